"""A private server that notes when a step reaches which point.

`python -m benchmarks.recorded_server FOLDER PID MARKS`; FOLDER and PID as for the private server.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.recording import record_server
from keras_split.server.private import main

if __name__ == "__main__":
    record_server(Path(sys.argv[3]))
    main(Path(sys.argv[1]), int(sys.argv[2]))
