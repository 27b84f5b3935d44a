"""The store as a process: lock the folder, listen, stop cleanly."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from keras_split.codec import Limits
from keras_split.state import occupied
from keras_split.store.folder import BlobFolder
from keras_split.store.service import StoreService
from keras_split.transport import STORE, Credentials, Listener, Meter, handlers

_log = logging.getLogger(__name__)
_GRACE_SECONDS = 2.0


@dataclass(frozen=True)
class StoreOptions:
    """A store's process.

    Args:
        folder: Where the blobs are, for this process alone.
        address: `host:port`; port 0 picks a free one.
        credentials: Certificate and authority; None to speak without TLS, on loopback only.
        max_blob_bytes: Ceiling on one blob.
        max_total_bytes: Ceiling on all blobs.
        keep_days: Blobs that nobody has put for so long are dropped; None keeps all.
        max_calls: Calls at the same time.
        members: Data owners of a run, which are served; None for all of the authority.
    """

    folder: Path
    address: str = "127.0.0.1:0"
    credentials: Credentials | None = None
    max_blob_bytes: int = 1 << 30
    max_total_bytes: int = 64 << 30
    keep_days: float | None = None
    max_calls: int = 64
    members: Sequence[str] | None = None


def serve_store(options: StoreOptions, ready: Callable[[str], None]) -> None:
    """Serves a folder of blobs until SIGTERM or SIGINT.

    Args:
        options: The process.
        ready: Called with `host:port` once calls are accepted.

    Raises:
        OSError: Another process has the folder, or the address is taken.
    """
    with occupied(options.folder, "blobs"):
        limits = (options.max_blob_bytes, options.max_total_bytes, options.keep_days)
        folder = BlobFolder(options.folder, *limits)
        _log.info("Keeping blobs in %s: %s bytes so far.", options.folder, f"{folder.total_bytes:,}")
        _run(StoreService(folder), options, ready)


def _run(service: StoreService, options: StoreOptions, ready: Callable[[str], None]) -> None:
    listener = Listener(
        options.address, options.credentials, Limits(), options.max_calls, members=options.members
    )
    listener.server.add_generic_rpc_handlers((handlers(service, Meter(), STORE),))
    health_service = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_service, listener.server)
    health_service.set(STORE.name, health_pb2.HealthCheckResponse.SERVING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    listener.start()
    ready(f"{options.address.rpartition(':')[0]}:{listener.port}")
    stop.wait()
    health_service.enter_graceful_shutdown()
    listener.stop(_GRACE_SECONDS)
    _log.info("Stopped.")
