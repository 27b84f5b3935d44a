"""Envelopes that a server keeps for the members of its run, until nobody needs them any more."""

from __future__ import annotations

import logging
from itertools import takewhile

from keras_split.server.links import Links
from keras_split.server.observers import Observer
from keras_split.server.observers.envelopes import SeenStore
from keras_split.store import BlobFolder, StoreService

_log = logging.getLogger(__name__)


class Envelopes:
    """The envelopes of one run.

    A member goes to the newest state from the newest whole one, and asks for nothing before that. Some may
    have set out before it was committed, so that all from the whole one before it on are kept as well.

    Args:
        blobs: Where members put them; nobody else does.
        run: Name of the run.
        links: Their signed headers. What none of them names is left alone: its commit may be about to come.
    """

    def __init__(self, blobs: BlobFolder, run: str, links: Links):
        self._blobs = blobs
        self._run = run
        self._links = links

    def store(self, observer: Observer) -> StoreService:
        """The calls by which members put and get them.

        Args:
            observer: Who is told.
        """
        return SeenStore(self._blobs, self._run, observer)

    def drop_outdated(self, last: int) -> None:
        """Drops what is no longer needed after a commit.

        Args:
            last: Number of that commit.
        """
        whole = self._links.newest_whole(self._links.newest_whole(last) - 1)
        names = (self._links.get(number).blob for number in range(whole - 1, -1, -1))
        there = list(takewhile(lambda name: self._blobs.has(self._run, name), names))
        try:
            # The oldest first: what a server that is killed here leaves is found the next time.
            for name in reversed(there):
                self._blobs.drop(self._run, name)
        except OSError as error:
            _log.warning("Envelopes that nobody needs any more could not be dropped: %s.", error.strerror)
