"""Handing over straight from one data owner to the next, with nobody in between."""

from __future__ import annotations

import contextlib
import logging
from functools import partial
from pathlib import Path

from keras_split.codec import Limits
from keras_split.errors import BlobMissing, SplitError
from keras_split.exchange.handover import Handover, Hint, joined
from keras_split.exchange.limits import NO_CEILING, HandoverLimits
from keras_split.exchange.store import StoreHandover
from keras_split.roles import TRAINER, Caller
from keras_split.state import occupied
from keras_split.store import BlobFolder, StoreService, check_run
from keras_split.store.names import check_digest
from keras_split.transport import (
    STORE,
    Credentials,
    Listener,
    Meter,
    handlers,
    open_pinned_channel,
)

_log = logging.getLogger(__name__)
_MAX_CALLS = 16
_GRACE_SECONDS = 1.0


class PeerHandover:
    """Keeps this data owner's blobs, offers them to others, and fetches theirs.

    Both ends speak mutual TLS. This side's port answers certificates of data owners only, so that the compute
    server gets nothing from it; and whom it fetches from must show the certificate of the holder that was
    named.

    Nothing that was put is ever dropped: it may be the only copy of what the next member needs, and a blob
    does not tell whether it is.

    Args:
        folder: For this data owner's own blobs, and for this process alone.
        run: Hex digits.
        credentials: This data owner's certificate.
        listen: `host:port` of the port; port 0 picks a free one.
        limits: Ceilings and deadlines.
        advertised: `host:port` where others reach the port, if it is not `listen`.
        fallback: Gets each blob as well, and is asked where a peer does not give it.

    Raises:
        ValueError: `listen` is all addresses of this machine, and `advertised` is not given.
        OSError: The folder or the address is taken.
    """

    def __init__(
        self,
        folder: Path,
        run: str,
        credentials: Credentials,
        listen: str,
        limits: HandoverLimits,
        *,
        advertised: str = "",
        fallback: Handover | None = None,
    ):
        self._run = check_run(run)
        self._credentials = credentials
        self._limits = limits
        self._fallback = fallback
        with contextlib.ExitStack() as opened:
            opened.enter_context(occupied(folder, "blobs"))
            self._own = BlobFolder(folder, limits.max_blob_bytes, NO_CEILING)
            listener = _offer(self._own, credentials, listen)
            opened.callback(listener.stop, _GRACE_SECONDS)
            self.address = advertised or _reachable(listen, listener.port)
            self._opened = opened.pop_all()

    def put(self, name: str, blob: bytes) -> None:
        """Keeps a blob here, and in the fallback."""
        self._own.put(self._run, name, [blob])
        if self._fallback is not None:
            self._fallback.put(name, blob)

    def get(self, name: str, size: int, hint: Hint | None = None) -> bytes:
        """Fetches a blob from its holder, or else from the fallback."""
        if self._own.has(self._run, name):
            pieces, source = self._own.get(self._run, name), str(self._own.path)
            return check_digest(joined(pieces, self._limits.ceiling(size), source), name, source)
        try:
            return self._fetch(name, size, hint)
        except SplitError as error:
            if self._fallback is None:
                raise
            # Its bytes are checked as well, so that a peer who lies delays nobody.
            _log.warning("%s The fallback is asked in its place.", error)
            return self._fallback.get(name, size, hint)

    def close(self) -> None:
        """Offers nothing more; what was put stays in the folder."""
        self._opened.close()
        if self._fallback is not None:
            self._fallback.close()

    def _fetch(self, name: str, size: int, hint: Hint | None) -> bytes:
        if hint is None or not hint.address:
            raise BlobMissing(f"Nobody has said which data owner offers the blob {name[:12]}.")
        holder = Caller(TRAINER, hint.holder)
        connect = partial(open_pinned_channel, hint.address, holder, self._credentials, Limits())
        retry_seconds = self._limits.peer_retry_seconds
        peer = StoreHandover(hint.address, self._run, connect, self._limits, retry_seconds)
        with contextlib.closing(peer):
            return peer.get(name, size)


def _offer(folder: BlobFolder, credentials: Credentials, listen: str) -> Listener:
    listener = Listener(listen, credentials, Limits(), _MAX_CALLS)
    service = StoreService(folder, is_read_only=True)
    listener.server.add_generic_rpc_handlers((handlers(service, Meter(), STORE),))
    listener.start()
    return listener


def _reachable(listen: str, port: int) -> str:
    host = listen.rpartition(":")[0]
    if host in ("0.0.0.0", "[::]", ""):
        raise ValueError(
            "Others cannot connect to all addresses: say where they reach this data owner, as in "
            f"advertised='hospital-a.example:50061'. Received: listen={listen!r}."
        )
    return f"{host}:{port}"
