"""A server elsewhere that accepts bodies of its clients."""

from __future__ import annotations

from dataclasses import dataclass

from keras_split.session.session import Session
from keras_split.session.timeouts import Timeouts
from keras_split.transport import Credentials

_ADVICE = "The body that was placed there is gone with the connection: build the SplitModel anew."


@dataclass(frozen=True)
class Server:
    """A running `keras-split serve --accept-bodies`, as the place for a model's body.

    The body's architecture and weights are the client's own and travel there. Nothing is opened before
    the first exchange, so that this may be copied and kept.

    Args:
        target: `host:port`.
        credentials: Certificate and authority of this client.

    Example:

    ```python
    server = keras_split.Server("compute.example:50051", credentials)
    split = keras_split.SplitModel(model, cut="pool2", server=server)
    ```
    """

    target: str
    credentials: Credentials

    def session(self, timeouts: Timeouts | None = None) -> Session:
        """A new session; it connects at its first call."""
        return Session(self.target, self.credentials, timeouts=timeouts, advice=_ADVICE)
