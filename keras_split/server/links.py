"""The signed headers of a run's envelopes, one file each."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from pathlib import Path

from keras_split.crypto import Link
from keras_split.durable import make_folder, written

# A page of links, of some hundred bytes each, stays far below what a message may have.
PAGE = 256
# In memory.
_KEPT = 4 * PAGE
_SUFFIX = ".link"


class Links:
    """Keeps links by number, each durable when `put` returns.

    A link counts once a commit names it; one of a commit that did not come about is written over by the next.

    Args:
        folder: Made if it is missing.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        make_folder(folder)
        # A committed link never changes.
        self._kept = lru_cache(_KEPT)(self._read)

    def put(self, link: Link) -> None:
        """Writes a link under its number."""
        with written(self._path(link.header.number)) as file:
            file.write(link.to_bytes())

    def get(self, number: int) -> Link:
        """The link of a number, which was committed."""
        return self._kept(number)

    def has_any(self) -> bool:
        """Whether there has been a commit, or the attempt to make one."""
        return any(self._folder.glob(f"*{_SUFFIX}"))

    def page(self, first: int, last: int) -> list[Link]:
        """Links from a number on, as many as one reply takes."""
        return [self.get(number) for number in islice(range(first, last + 1), PAGE)]

    def newest_whole(self, last: int) -> int:
        """Number of the newest link up to `last` whose state can be had without another's; -1 for none."""
        found = (number for number in range(last, -1, -1) if self.get(number).header.kind != "delta")
        return next(found, -1)

    def _read(self, number: int) -> Link:
        return Link.read(self._path(number).read_bytes())

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:09d}{_SUFFIX}"
