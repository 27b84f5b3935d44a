"""A data owner in a process of its own: puts a blob and offers it until it is killed."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from keras_split import Credentials
from keras_split.exchange import PeerHandover
from support.stores import QUICK, RUN, name_of

if __name__ == "__main__":
    certificates, folder, file = map(Path, sys.argv[1:])
    blob = file.read_bytes()
    handover = PeerHandover(folder, RUN, Credentials.from_directory(certificates), "127.0.0.1:0", QUICK)
    handover.put(name_of(blob), blob)
    print(f"Listening on {handover.address}", flush=True)
    signal.pause()
