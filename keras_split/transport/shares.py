"""How many calls may run at the same time, and how many of them one client may have."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Hashable, Iterator

from keras_split.errors import ServerBusy


class Shares:
    """Counts calls; to be asked from any thread.

    Args:
        total: Of all clients.
        each: Of one client.
    """

    def __init__(self, total: int, each: int):
        self._total = total
        self._each = each
        self._taken: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def one(self, client: Hashable) -> Iterator[None]:
        """Holds one call of a client.

        Args:
            client: Tells clients apart; None for one that cannot be told from others, and for which
                there is the total alone.

        Raises:
            ServerBusy: There are as many as there may be.
        """
        self.take(client)
        try:
            yield
        finally:
            self.give_back(client)

    def take(self, client: Hashable) -> None:
        """As `one`, for calls that end elsewhere."""
        with self._lock:
            if self._taken.total() >= self._total:
                raise ServerBusy(
                    f"This server is at its limit: {self._total} calls in flight. Try again later, or raise "
                    "its `--max-calls`."
                )
            if client is not None and self._taken[client] >= self._each:
                raise ServerBusy(
                    f"{client} has {self._each} calls in flight, as many as one client may have here. Close "
                    "models that are not in use, or raise the server's `--max-calls-per-client`."
                )
            self._taken[client] += 1

    def give_back(self, client: Hashable) -> None:
        """A call that was taken is over."""
        with self._lock:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]
