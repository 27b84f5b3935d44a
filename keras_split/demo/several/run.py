"""Several data owners take turns, in processes of their own; then one machine does the same."""

from __future__ import annotations

import contextlib
import json
import queue
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_split.crypto import Link
from keras_split.datasets import Dataset
from keras_split.demo.run import (
    Plan,
    compiled,
    cost_of,
    data_title,
    describe_data,
    load_data,
    new_model,
)
from keras_split.demo.several.alone import Alone, train_alone
from keras_split.demo.several.board import Board, Span
from keras_split.demo.several.chain import read_chain
from keras_split.demo.several.child import Child, Said, listening
from keras_split.demo.several.place import Place, prepare
from keras_split.demo.several.variables import load, of_body
from keras_split.state import Bundle, Shelf

Say = Callable[[str], None]
Show = Callable[[Board], None]

# Ends by itself when this process does, however that ends.
_PROGRAM = ("-m", "keras_split", "--end-with-stdin")


@dataclass(frozen=True)
class Several:
    """What came out.

    Args:
        plan: What was to be shown.
        handover: In which way.
        title: Model and images, for people.
        board: Who did what, and when.
        links: Of the run, signed.
        variables: Of the common model.
        alone: The same on one machine.
        processes: What ran, with its process number.
    """

    plan: Plan
    handover: str
    title: str
    board: Board
    links: Sequence[Link]
    variables: Bundle
    alone: Alone
    processes: dict[str, int]

    @property
    def turns(self) -> list[Span]:
        """In their order."""
        return sorted(self.board.turns, key=lambda turn: turn.number)

    @property
    def last_scores(self) -> dict[str, float]:
        """Of the common model, as the last holder has measured them."""
        return self.turns[-1].scores

    @property
    def weight_difference(self) -> float:
        """Largest absolute difference of any variable; NaN if one is NaN."""
        ours, theirs = self.variables, self.alone.variables
        return float(np.max([np.max(np.abs(ours[name] - theirs[name])) for name in theirs]))


def run(plan: Plan, clients: int, handover: str, logs: Path, say: Say, show: Show) -> Several:
    """Trains with several data owners, and then on one machine.

    Args:
        plan: What to show.
        clients: How many data owners.
        handover: `"server"`, `"store"`, `"peer"` or a URL.
        logs: Folder for the processes' logs.
        say: Prints a heading.
        show: Draws the board anew.

    Raises:
        ConnectionLost: A process has ended too early.
        DatasetUnavailable: The images are neither here nor to be had.
        ValueError: The cut is not legal.
    """
    data = load_data(plan)
    cost_of(plan, data)
    say(describe_data(plan, data))
    logs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="keras-split-demo-") as folder:
        place = prepare(Path(folder), clients, compiled(new_model(plan, data)), data, plan.seed)
        board = Board(place.members, plan.recipe.epochs, plan.recipe.batch_size)
        processes = _train(plan, place, handover, board, logs, say, show)
        say("The same batches in the same order on one machine")
        return _outcome(plan, handover, data, place, board, processes)


def _train(
    plan: Plan, place: Place, handover: str, board: Board, logs: Path, say: Say, show: Show
) -> dict[str, int]:
    say(f"{len(place.members)} data owners in turns of an epoch, each in a process of its own")
    said: queue.SimpleQueue[Said] = queue.SimpleQueue()
    with contextlib.ExitStack() as running:

        def start(name: str, *arguments: str) -> Child:
            return running.enter_context(Child(name, arguments, logs / f"{name}.log", said))

        others = {}
        if handover == "store":
            others["store"] = start("store", *_store(place))
            handover = f"store://{listening(others['store'], said)}"
        others["server"] = start("server", *_server(plan, place))
        address = listening(others["server"], said)
        say(f"Server ({others['server'].pid}) behind gRPC and TLS at {address}; handover: {handover}")
        members = {
            name: start(name, *_member(plan, place, name, address, handover)) for name in place.members
        }
        children = {**others, **members}
        _listen(children, said, board, show, until=lambda: board.is_ready)
        board.begin(time.monotonic())
        _tell(members, "go")
        _listen(children, said, board, show, until=lambda: board.is_done)
        # Only now: in the peers' way the last states are with who made them.
        _tell(members, "stop")
        return {name: child.pid for name, child in children.items()}


def _listen(
    children: dict[str, Child],
    said: queue.SimpleQueue[Said],
    board: Board,
    show: Show,
    until: Callable[[], bool],
) -> None:
    show(board)
    while not until():
        name, line = said.get()
        if line is None:
            raise children[name].failed()
        board.hear(name, json.loads(line))
        show(board)


def _tell(members: dict[str, Child], word: str) -> None:
    for child in members.values():
        child.say(word)


def _server(plan: Plan, place: Place) -> list[str]:
    second = ["--second-cut", plan.second_cut] if plan.second_cut else []
    return [
        *_PROGRAM,
        *("serve", str(place.model), "--cut", plan.cut, *second),
        *("--host", "localhost", "--port", "0"),
        *(
            "--certificates",
            str(place.certificates("server")),
            "--checkpoint-dir",
            str(place.folder / "kept"),
        ),
        *("--roster", str(place.roster), "--turns", "round-robin", "--steps-per-turn", "epoch"),
    ]


def _store(place: Place) -> list[str]:
    files = ["--certificates", str(place.certificates("store")), "--folder", str(place.folder / "blobs")]
    return [*_PROGRAM, "store", "--listen", "localhost:0", *files]


def _member(plan: Plan, place: Place, name: str, address: str, handover: str) -> list[str]:
    settings = {
        "name": name,
        "folder": str(place.of(name)),
        "address": address,
        "certificates": str(place.certificates(name)),
        "roster": str(place.roster),
        "handover": handover,
        "epochs": plan.recipe.epochs,
        "batch_size": plan.recipe.batch_size,
    }
    return ["-m", "keras_split.demo.several.member", json.dumps(settings)]


def _outcome(
    plan: Plan, handover: str, data: Dataset, place: Place, board: Board, processes: dict[str, int]
) -> Several:
    links = read_chain(place.commits)
    # Link 0 is the secret start, in the midst of turn 1; each of the others ends a turn.
    order = [link.header.sender for link in links[1:]]
    start = load(place.of(order[0]) / "start.state")
    alone = train_alone(place, (plan.cut, plan.second_cut), start, order, data, plan.recipe.batch_size)
    kept = Shelf(place.commits / "commits").latest()
    body = of_body(kept[1]) if kept else {}
    variables = {**load(place.of(order[-1]) / "end.state"), **body}
    title = f"{plan.recipe.model_title} on {data_title(plan, data)}"
    return Several(plan, handover, title, board, links, variables, alone, processes)
