"""Whether an audit log is as it was written.

Every change of a byte, and every line that was taken out, put in or moved, is found at the first line that
does not fit. What a chain cannot tell by itself is that its end was cut off at the end of a line, or that
somebody wrote all of it anew from some line on: who has noted a digest before finds that out as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from keras_split.audit.record import MAX_LINE_BYTES, SEALED, NotJson, Record, read


@dataclass
class Verdict:
    """What was found.

    Args:
        records: Whole lines that fit, from the first on.
        head: Digest of the last of them; empty if there is none.
        first_at: When the first was written.
        last_at: When the last was.
        sealed: How many times a line that a crash had cut short was accounted for.
        bad_line: Number of the first line that does not fit, from 1; 0 if all do.
        why: What is wrong with it.
        torn: Bytes behind the last line that fits, if a crash may have left them.
        knows_head: Whether the digest that was asked for is that of a line.
    """

    records: int = 0
    head: str = ""
    first_at: str = ""
    last_at: str = ""
    sealed: int = 0
    bad_line: int = 0
    why: str = ""
    torn: bytes = b""
    knows_head: bool = True

    @property
    def is_intact(self) -> bool:
        """Whether every line fits, and the digest that was asked for is among them."""
        return not self.bad_line and self.knows_head


def verify_log(path: Path | str, head: str = "") -> Verdict:
    """Reads a log from its first line to its last, or to the first that does not fit.

    Args:
        path: The file.
        head: A digest that was noted earlier, as `keras-split log verify` prints it; empty for none.
    """
    reader = _Reader(head)
    with open(path, "rb") as file:
        for line in _lines(file):
            if not reader.take(line):
                return reader.verdict
    reader.finish()
    return reader.verdict


@dataclass
class _Reader:
    """Goes along the chain.

    Args:
        wanted: A digest to look for.
    """

    wanted: str
    verdict: Verdict = field(default_factory=Verdict)
    _lines: int = 0
    _loose: bytes = b""
    _loose_line: int = 0

    def __post_init__(self) -> None:
        self.verdict.knows_head = not self.wanted

    def take(self, line: bytes) -> bool:
        """One more line; False if it does not fit."""
        self._lines += 1
        try:
            if not line.endswith(b"\n"):
                raise NotJson
            record, digest = read(line[:-1])
        except NotJson:
            # Of a line that a crash cut short, if the next one says so.
            self._loose_line = self._loose_line or self._lines
            self._loose += line
            return len(self._loose) <= MAX_LINE_BYTES or self._refuse(
                self._loose_line, "it is no line of ours"
            )
        except ValueError as error:
            return self._refuse(self._loose_line or self._lines, str(error))
        return self._continues(record) and self._accept(record, digest)

    def finish(self) -> None:
        """There are no more lines."""
        if self._loose:
            self.verdict.torn = self._loose
            self._refuse(
                self._loose_line,
                "it is not a whole line: a crash cut it short, it is being written, or somebody changed it. "
                "The program that writes this log accounts for it when it starts again",
            )

    def _continues(self, record: Record) -> bool:
        if self._loose and not self._accounts(record):
            return self._refuse(self._loose_line, "it was changed: it is no line of an audit log any more")
        if record.number != self.verdict.records:
            what = f"it says number {record.number}, and {self.verdict.records} is to come"
            return self._refuse(self._lines, f"{what}: lines were taken out, put in or moved")
        if record.previous != self.verdict.head:
            return self._refuse(
                self._lines, "it does not go on from the line before: one of them was replaced"
            )
        return True

    def _accounts(self, record: Record) -> bool:
        said = (record.event, record.facts.get("bytes"), record.facts.get("sha256"))
        return said == (SEALED, len(self._loose), hashlib.sha256(self._loose).hexdigest())

    def _accept(self, record: Record, digest: str) -> bool:
        found = self.verdict
        found.sealed += bool(self._loose)
        self._loose, self._loose_line = b"", 0
        found.records, found.head, found.last_at = found.records + 1, digest, record.at
        found.first_at = found.first_at or record.at
        found.knows_head = found.knows_head or digest == self.wanted
        return True

    def _refuse(self, line: int, why: str) -> bool:
        self.verdict.bad_line, self.verdict.why = line, why
        return False


def _lines(file: object) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES + 1):  # type: ignore[attr-defined]
        yield line
