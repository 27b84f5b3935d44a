"""`connect`, on the class for a new client and on an instance for a half that was loaded."""

from __future__ import annotations

from functools import partial
from typing import Any

from keras_split.codec import Limits
from keras_split.digest import digest_of
from keras_split.model.connection import Connection
from keras_split.model.topology import build_parts
from keras_split.session import Session, Timeouts
from keras_split.transport import Credentials


class Connect:
    """Joins a server.

    `SplitModel.connect(...)` makes a new client of a server that owns the architecture (paper,
    section 3, requirements 2 and 3): the head is built from the server's topology once that has been
    validated, with initial weights from a secret of this process; optimizer, loss and metrics are the
    server's.

    `split.connect(...)` on a model from `keras.models.load_model` gives it its server back, which
    returns to the snapshot that belongs to the loaded half.

    Args:
        target: `host:port` of a `keras-split serve`.
        credentials: Certificate and authority of this client.
        insecure: Without TLS; loopback only.
        timeouts: Deadlines.
        limits: Ceilings on what the server may send.
        custom_layers: Own layer classes that the topology may use, by their registered names.
        decoder: As in `SplitModel`; the server does not hear of it.

    Returns:
        The connected `SplitModel`.

    Raises:
        SplitError: No server, another version, or a topology that must not be run.
    """

    def __get__(self, instance: Any, owner: type) -> Any:
        return partial(_new, owner) if instance is None else partial(_again, instance)


def _new(
    owner: Any,
    target: str,
    credentials: Credentials | None = None,
    *,
    insecure: bool = False,
    timeouts: Timeouts | None = None,
    limits: Limits | None = None,
    custom_layers: dict[str, type] | None = None,
    decoder: Any = None,
) -> Any:
    session = Session(target, credentials, insecure=insecure, timeouts=timeouts, limits=limits)
    joined = session.join()
    parts = build_parts(joined.topology, custom_layers)
    connection = Connection(lambda: session, joined.digest)
    connection.joined()
    model = owner._of(parts, joined.topology, connection, decoder)
    model.compile()
    return model


def _again(
    model: Any,
    target: str,
    credentials: Credentials | None = None,
    *,
    insecure: bool = False,
    timeouts: Timeouts | None = None,
    limits: Limits | None = None,
) -> Any:
    session = Session(target, credentials, insecure=insecure, timeouts=timeouts, limits=limits)
    model._halves.move(Connection(lambda: session, digest_of(model._halves.topology)))
    return model
