"""Stores, peers and an S3 server as processes, and blobs for them."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from keras_split import Credentials
from keras_split.codec import Limits
from keras_split.exchange import HandoverLimits, StoreHandover
from keras_split.transport import open_channel
from support.processes import Process

RUN = "0123456789abcdef"
QUICK = HandoverLimits(call_seconds=100, retry_seconds=100, peer_retry_seconds=0.5)
_READY = "Listening on "


def name_of(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


class Store(Process):
    """`keras-split store`.

    Args:
        pki: Folder with certificates; None to speak without TLS.
        folder: For the log and the blobs.
        options: Further options of the command.
        port: 0 picks one.
    """

    def __init__(self, pki: Path | None, folder: Path, *options: str, port: int = 0):
        self.blobs = folder / "blobs"
        self._pki = pki
        self._address = ""
        command = ["-m", "keras_split", "store", "--listen", f"127.0.0.1:{port}", "--folder", str(self.blobs)]
        tls = ["--insecure"] if pki is None else ["--certificates", str(pki / "server")]
        super().__init__([*command, *tls, *options], folder / "store.log")

    @property
    def address(self) -> str:
        """`host:port`, once the store accepts calls."""
        self._address = self._address or self.line(_READY)
        return self._address

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def handover(self, address: str = "", limits: HandoverLimits = QUICK) -> StoreHandover:
        """A data owner's end; by way of `address`, if that is another."""
        credentials = None if self._pki is None else Credentials.from_directory(self._pki / "owner")
        target = address or self.address
        connect = partial(open_channel, target, credentials, insecure=self._pki is None, limits=Limits())
        return StoreHandover(target, RUN, connect, limits)

    def files(self) -> set[str]:
        """All that is in the folder, but for the lock."""
        found = (each for each in self.blobs.rglob("*") if each.is_file() and each.name != ".lock")
        return {str(each.relative_to(self.blobs)) for each in found}


class Peer(Process):
    """A data owner who has put one blob and offers it.

    Args:
        pki: Folder with certificates.
        name: Whose certificate it shows.
        folder: For the log and the blobs.
        blob: What it has put.
    """

    def __init__(self, pki: Path, name: str, folder: Path, blob: bytes):
        folder.mkdir(parents=True)
        (folder / "blob").write_bytes(blob)
        arguments = [str(pki / name), str(folder / "own"), str(folder / "blob")]
        super().__init__(["-m", "support.offering", *arguments], folder / "peer.log")
        self.address = self.line(_READY)


class S3Server(Process):
    """Moto's server with one bucket; what it keeps ends with it."""

    bucket = "handovers"

    def __init__(self, log: Path):
        super().__init__(["-m", "support.s3_server", self.bucket], log)
        self.url = self.line(_READY)
        self.storage = {"key": "testing", "secret": "testing", "endpoint_url": self.url}
