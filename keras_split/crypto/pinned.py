"""A member's pin on disk: what it has accepted once, it never goes back behind."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from dataclasses import fields as dataclass_fields
from pathlib import Path

from keras_split.crypto import canonical
from keras_split.crypto.chain import Pin
from keras_split.crypto.link import Trained
from keras_split.durable import make_folder, written
from keras_split.errors import DamagedEnvelope, ForkDetected, RollbackDetected
from keras_split.run_names import check_run

_MAX_FILE_BYTES = 1024
_KEYS = frozenset(each.name for each in dataclass_fields(Pin))


class Pinned:
    """The newest link that this member has accepted in one run, durable and only ever newer.

    Keep the folder with the member's key, on a disk of its own machine: who can set this file back can
    show the member an old state.

    Args:
        folder: Made, for its owner alone, where it is missing.
        run: Name of the run; each has a file of its own.

    Raises:
        ValueError: A name that no run can have.
    """

    def __init__(self, folder: str | Path, run: str) -> None:
        check_run(run)
        self._folder = Path(folder)
        make_folder(self._folder)
        self._path = self._folder / f"{run}.pin"

    def read(self) -> Pin | None:
        """The pin, or None where nothing was accepted yet.

        Raises:
            DamagedEnvelope: There is a file and it is no pin. It is never taken for a new start.
        """
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            found = canonical.fields(canonical.decode_canonical(content, _MAX_FILE_BYTES), _KEYS)
            return Pin(**{**found, "trained": Trained.read(found["trained"])})
        except ValueError as error:
            raise DamagedEnvelope(
                f"{self._path} is no pin of keras_split: {error}. Bring it back from a backup. If there is "
                "none, compare the newest number and digest with another member before you remove it."
            ) from None

    def advance(self, pin: Pin) -> None:
        """Pins a newer link; when this returns, a power cut does not undo it.

        Raises:
            RollbackDetected: The pin on disk is newer.
            ForkDetected: The pin on disk is of the same number, and another link.
            DamagedEnvelope: The file on disk is no pin.
        """
        with self._alone():
            known = self.read()
            if known is not None:
                _check_newer(known, pin)
            if pin != known:
                self._write(canonical.encode(asdict(pin)))

    def begin_anew(self) -> None:
        """The member has trained all that it wanted to; its next `fit` begins with its first row."""
        with self._alone():
            known = self.read()
            if known is not None:
                self._write(canonical.encode(asdict(replace(known, trained=Trained()))))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two programs of one member must not overtake each other between reading and writing."""
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, content: bytes) -> None:
        with written(self._path) as file:
            file.write(content)


def _check_newer(known: Pin, pin: Pin) -> None:
    if pin.number < known.number:
        raise RollbackDetected(
            f"Link {known.number} is pinned, and link {pin.number} is older. Another program of this member "
            "may have gone on: start again, so that the newest pin is read."
        )
    if pin.number == known.number and pin.digest != known.digest:
        raise ForkDetected(
            f"Another link {known.number} is pinned: there are two histories. Stop, and compare the newest "
            "number and digest with the other members, not by way of this server."
        )
