"""From the name of a way to the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from keras_split.codec import Limits
from keras_split.exchange.files import FileHandover
from keras_split.exchange.folder import FolderHandover
from keras_split.exchange.handover import Handover
from keras_split.exchange.limits import HandoverLimits
from keras_split.exchange.peer import PeerHandover
from keras_split.exchange.store import StoreHandover
from keras_split.transport import Credentials, open_channel


@dataclass(frozen=True)
class PeerSettings:
    """For `"peer"`: where this data owner keeps and offers its own blobs.

    Args:
        folder: For this process alone.
        listen: `host:port`; port 0 picks a free one.
        advertised: `host:port` where others reach it; the default is `listen`.
        fallback: Another way, as `open_handover` takes it; empty for none.
    """

    folder: str | Path
    listen: str = "127.0.0.1:0"
    advertised: str = ""
    fallback: str = ""


@dataclass(frozen=True)
class HandoverSettings:
    """What some ways need besides their name.

    Args:
        server: `host:port` of the compute server, for `"server"`.
        insecure: Speak without TLS, on loopback only.
        peer: For `"peer"`.
        storage: For fsspec's library, such as keys and an end point.
        limits: Ceilings and deadlines.
    """

    server: str = ""
    insecure: bool = False
    peer: PeerSettings | None = None
    storage: Mapping[str, Any] = field(default_factory=dict, repr=False)
    limits: HandoverLimits = field(default_factory=HandoverLimits)


def open_handover(
    where: str, run: str, credentials: Credentials | None, settings: HandoverSettings | None = None
) -> Handover:
    """Opens a way of handing over.

    Args:
        where: `"server"`, `"store://host:port"`, `"peer"`, `"file:///share"`, or any other URL of fsspec,
            such as `"s3://bucket/prefix"`.
        run: Hex digits that name the run.
        credentials: This data owner's; None for files, and with `insecure`.
        settings: What the way needs besides.

    Raises:
        ValueError: A way that does not exist, or lacks something.
        OSError: A folder or an address that another process has.
    """
    settings = settings or HandoverSettings()
    if where == "server":
        return _store(_given(settings.server, "server"), run, credentials, settings)
    if where == "peer":
        return _peer(run, credentials, settings)
    scheme, separator, rest = where.partition("://")
    if not separator or not rest:
        raise ValueError(
            "A handover is 'server', 'peer', 'store://host:port', 'file:///folder' or another URL of fsspec, "
            f"such as 's3://bucket/prefix'. Received: where={where!r}."
        )
    if scheme == "store":
        return _store(rest, run, credentials, settings)
    if scheme == "file":
        return FolderHandover(_absolute(where, rest), run, settings.limits)
    return FileHandover(where, run, settings.limits, settings.storage)


def _store(
    target: str, run: str, credentials: Credentials | None, settings: HandoverSettings
) -> StoreHandover:
    connect = partial(open_channel, target, credentials, insecure=settings.insecure, limits=Limits())
    return StoreHandover(target, run, connect, settings.limits)


def _peer(run: str, credentials: Credentials | None, settings: HandoverSettings) -> PeerHandover:
    peer = settings.peer
    if peer is None or credentials is None:
        raise ValueError("The handover 'peer' needs credentials, and PeerSettings with a folder of its own.")
    if peer.fallback == "peer":
        raise ValueError("A peer's fallback is another way: a store, the server or a file system.")
    fallback = open_handover(peer.fallback, run, credentials, settings) if peer.fallback else None
    return PeerHandover(
        Path(peer.folder),
        run,
        credentials,
        peer.listen,
        settings.limits,
        advertised=peer.advertised,
        fallback=fallback,
    )


def _absolute(where: str, path: str) -> Path:
    if not path.startswith("/"):
        raise ValueError(
            f"A folder is written file:///folder, with three slashes. Received: where={where!r}."
        )
    return Path(path)


def _given(value: str, name: str) -> str:
    if not value:
        raise ValueError(f"The handover {name!r} needs HandoverSettings({name}='host:port').")
    return value
