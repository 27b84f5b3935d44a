"""What the port tells of each party."""

from __future__ import annotations

from keras_split.server.observers.observer import Event
from keras_split.server.observers.watchers import Watchers
from keras_split.transport import Account


class PartyAccount:
    """One party's bytes and refusals.

    Args:
        watchers: Who is told.
        party: Whose; empty where nobody can be told from others.
    """

    def __init__(self, watchers: Watchers, party: str):
        self._watchers = watchers
        self._party = party

    def received(self, size: int) -> None:
        """A message of so many bytes came from it."""
        if self._party:
            self._watchers.census.add_bytes(self._party, size, 0)

    def sent(self, size: int) -> None:
        """A message of so many bytes goes to it."""
        if self._party:
            self._watchers.census.add_bytes(self._party, 0, size)

    def refused(self, call: str, error: str) -> None:
        """A call of it was refused."""
        self._watchers.see(Event("refused", self._party, {"call": call, "error": error}))


def account_of(watchers: Watchers, party: str) -> Account:
    """A party's."""
    return PartyAccount(watchers, party)
