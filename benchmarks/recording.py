"""Notes when a split step reaches which point, on both sides, without a change to the package.

The sides share the kernel's monotonic clock, so their marks line up on one axis. An exchange is a row
of marks in a file that both processes have mapped into their memory; a mark costs less than a
microsecond. One request is in flight at a time, so the mark of the last frame is the message's. A
label-free step has two exchanges, any other one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from keras_split.transport import Meter

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]

CLIENT = ("entered", "packed", "sent", "received", "left")
SERVER = ("received", "decoded", "started", "computed", "sent", "update_began", "update_ended")
_MAX_ROWS = 100_000


def create(path: Path) -> None:
    """Makes an empty file for the server's marks."""
    np.memmap(path, np.float64, "w+", shape=(_MAX_ROWS, len(SERVER)))


class _Rows:
    """Marks of exchanges by name; of no use beyond `_MAX_ROWS`."""

    def __init__(self, values: np.ndarray, names: tuple[str, ...]):
        self._values = values
        self._columns = {name: at for at, name in enumerate(names)}
        self.current = -1

    def mark(self, name: str, row: int | None = None, moment: float | None = None) -> None:
        """Notes a moment, by default now, in a row, by default the current one."""
        at = self.current if row is None else row
        if 0 <= at < len(self._values):
            self._values[at, self._columns[name]] = moment or time.monotonic()


class ClientRecorder:
    """Records this process' steps from now on.

    Args:
        marks: File with the server's marks; None without a recorded server.
    """

    def __init__(self, marks: Path | None):
        from keras_split.session import Session, conversation

        self.tensor_bytes = {"up": 0, "down": 0}
        self._own = np.zeros((_MAX_ROWS, len(CLIENT)))
        self._rows = _Rows(self._own, CLIENT)
        shape = (_MAX_ROWS, len(SERVER))
        self._servers = np.zeros(shape) if marks is None else _open(marks)
        for name, place in (("step", 1), ("forward", 1), ("backward", 0)):
            _replace(Session, name, partial(self._exchange, place))
        _replace(conversation, "pack", self._pack)
        _hook_meter(
            sent=lambda: self._rows.mark("sent"),
            received=lambda: self._rows.mark("received"),
        )

    @property
    def exchanges(self) -> int:
        """Exchanges so far."""
        return self._rows.current + 1

    def since(self, first: int) -> dict[str, np.ndarray]:
        """Marks of the exchanges from a number on, by `"client name"` and `"server name"`."""
        rows = slice(first, self.exchanges)
        client = {f"client {name}": self._own[rows, at] for at, name in enumerate(CLIENT)}
        server = {f"server {name}": self._servers[rows, at] for at, name in enumerate(SERVER)}
        return {**client, **server}

    def _pack(self, pack: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*arguments: Any) -> Iterator[Any]:
            yield from pack(*arguments)
            self._rows.mark("packed")

        return recorded

    def _exchange(self, place: int, exchange: Callable[..., Any]) -> Callable[..., Any]:
        """Records a method of the session; `place` is that of its tensors among its arguments."""

        def recorded(session: Any, *arguments: Any) -> Any:
            self._rows.current += 1
            self._rows.mark("entered")
            values = exchange(session, *arguments)
            self._rows.mark("left")
            self.tensor_bytes["up"] += sum(each.nbytes for each in arguments[place])
            self.tensor_bytes["down"] += sum(each.nbytes for each in values)
            return values

        return recorded


def record_server(path: Path) -> None:
    """Records the steps that this process serves from now on."""
    from keras_split.segment import TracedStep
    from keras_split.server import training

    rows = _Rows(_open(path), SERVER)
    last = {"received": 0.0}

    def unpack(original: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*arguments: Any) -> Any:
            message = original(*arguments)
            if message is not None and message.header.WhichOneof("content") in ("step", "backward"):
                rows.current += 1
                rows.mark("decoded")
                rows.mark("received", moment=last["received"])
            return message

        return recorded

    _replace(training, "unpack", unpack)
    _replace(TracedStep, "__call__", partial(_step_of_server, rows))
    _hook_meter(
        sent=lambda: rows.mark("sent"),
        received=lambda: last.update(received=time.monotonic()),
    )


def _open(path: Path) -> np.ndarray:
    return np.memmap(path, np.float64, "r+", shape=(_MAX_ROWS, len(SERVER)))


def _step_of_server(rows: _Rows, step: Callable[..., Any]) -> Callable[..., Any]:
    def recorded(traced: Any, values: Any, caller: Any) -> None:
        listening = _RecordedCaller(rows, caller)
        step(traced, values, listening)
        rows.mark("update_ended", listening.row)

    return recorded


class _RecordedCaller:
    """A step gives its answer away on the way, and updates when that returns.

    A label-free one asks before that, and what it computes then belongs to its second exchange.
    """

    def __init__(self, rows: _Rows, caller: Any):
        self._rows = rows
        self._caller = caller
        self._begin()

    def ask(self, outputs: Any) -> Any:
        self._rows.mark("computed", self.row)
        gradients = self._caller.ask(outputs)
        self._begin()
        return gradients

    def answer(self, reply: Any) -> None:
        self._rows.mark("computed", self.row)
        self._caller.answer(reply)
        self._rows.mark("update_began", self.row)

    def _begin(self) -> None:
        self.row = self._rows.current  # The next step may arrive while the update runs.
        self._rows.mark("started", self.row)


def _replace(owner: Any, name: str, wrap: Wrapper) -> None:
    """Puts a wrapper in the place of a function, for the life of the process."""
    setattr(owner, name, wrap(getattr(owner, name)))


def _hook_meter(sent: Callable[[], None], received: Callable[[], None]) -> None:
    """Calls `sent` after a message has been serialised, and `received` before one is parsed."""

    def serialize(make: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*arguments: Any) -> Callable[[Any], bytes]:
            work = make(*arguments)
            return lambda message: _then(work(message), sent)

        return recorded

    def parse(make: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*arguments: Any) -> Callable[[bytes], Any]:
            work = make(*arguments)
            return lambda data: _first(received, work, data)

        return recorded

    _replace(Meter, "serializer", serialize)
    _replace(Meter, "deserializer", parse)


def _first(note: Callable[[], None], work: Callable[[bytes], Any], data: bytes) -> Any:
    note()
    return work(data)


def _then(data: bytes, note: Callable[[], None]) -> bytes:
    note()
    return data
