"""Seals, hands over, opens and loads a state in each way, with real processes and TLS on loopback."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import keras

from benchmarks import machine
from benchmarks.pace import SLOWEST, Pace
from benchmarks.states import made_up
from keras_split.crypto import Header, Identity, Roster, open_envelope, read_rosters, seal
from keras_split.exchange import Handover, HandoverSettings, Hint, PeerSettings, open_handover
from keras_split.state import Bundle, dump, parse, state_digest, write
from keras_split.transport import Credentials
from keras_split.verification.rehearsal import Rehearsal

WAYS = ("server", "store", "peer")
# Of the roster, to all of whom each state is sealed.
MEMBERS = 10
_MAX_BYTES = 1 << 30
_DIGEST = "0" * 64
_READY = "Listening on "
# Cores' worth of other processes' work, beyond which a round says more about them.
_MOST_FOREIGN_CORES = 0.15

Result = TypeVar("Result")
Round = dict[str, Any]


class Ways:
    """Two members of a run, with each way of handing over open between them.

    Args:
        rehearsal: Their run, whose server is one of the ways.
    """

    def __init__(self, rehearsal: Rehearsal):
        folder = rehearsal.folder
        roster = read_rosters((folder / "roster.json").read_text())[-1]
        self.roster: Roster = roster
        self._names = [member.name for member in roster.members][:2]
        self.giver, self.taker = (Identity.load(folder / f"{name}.key") for name in self._names)
        with contextlib.ExitStack() as opened:
            targets = {
                "server": rehearsal.address(),
                "store": opened.enter_context(_store(folder / "pki" / "server", folder / "blobs")),
                "peer": "",
            }
            self.ends = {
                way: [self._open(way, name, target, folder) for name in self._names]
                for way, target in targets.items()
            }
            for ends in self.ends.values():
                for end in ends:
                    opened.callback(end.close)
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Ends connections and the store."""
        self._opened.close()

    def transfer(self, way: str, name: str, blob: bytes) -> dict[str, float]:
        """Seconds to put a blob so that it is durable, and to get it."""
        giver, taker = self.ends[way]
        put, _ = timed(lambda: giver.put(name, blob))
        get, _ = timed(lambda: taker.get(name, len(blob), Hint(self._names[0], giver.address)))
        return {"put": put, "get": get}

    def _open(self, way: str, name: str, target: str, folder: Path) -> Handover:
        credentials = Credentials.from_directory(folder / "pki" / name)
        where = f"store://{target}" if way == "store" else way
        settings = HandoverSettings(server=target, peer=PeerSettings(folder / f"{name}.envelopes"))
        return open_handover(where, self.roster.run, credentials, settings)


def take_round(ways: Ways, base: Bundle, number: int, pace: Pace) -> Round:
    """A state from one member's memory to another's variables, once in each way."""
    before, utilisation = pace.take(), machine.Utilisation()
    cpu = time.process_time()
    seconds: dict[str, float] = {}
    with machine.pinned(machine.cores()[0]):
        seconds["dump"], payload = timed(lambda: dump(base))
        header = _header(ways, number)
        seconds["seal"], (link, blob) = timed(lambda: seal(ways.giver, ways.roster, header, payload))
    # The other ends of the line work meanwhile, each in a process of its own.
    order = WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]
    transfers = {way: ways.transfer(way, link.blob, blob) for way in order}
    variables = {name: keras.Variable(array) for name, array in base.items()}
    with machine.pinned(machine.cores()[0]):
        seconds["open"], opened = timed(lambda: open_envelope(ways.taker, ways.roster, link, blob))
        seconds["load"], _ = timed(lambda: _load(variables, opened))
    own = time.process_time() - cpu
    stolen = sum(core["stolen"] for core in utilisation.end().values()) / utilisation.seconds()
    return {
        "seconds": seconds,
        "transfers": transfers,
        "bytes": {"payload": len(payload), "blob": len(blob), "link": len(link.to_bytes())},
        "own_cpu_seconds": own,
        "stolen_cores": stolen,
        "calibration_seconds": [before, pace.take()],
    }


def measure_ways(megabytes: float, rounds: list[Round], pace: Pace) -> dict[str, Any]:
    """Medians of the rounds of one size that count."""
    judged = [{**each, "dropped": _reason(each, pace)} for each in rounds]
    counted = [each for each in judged if not each["dropped"]] or judged
    seconds = {
        name: statistics.median(each["seconds"][name] for each in counted) for name in counted[0]["seconds"]
    }
    transfers = {
        way: {
            part: statistics.median(each["transfers"][way][part] for each in counted)
            for part in ("put", "get")
        }
        for way in WAYS
    }
    sizes = counted[0]["bytes"]
    return {
        "megabytes": megabytes,
        "members": MEMBERS,
        "clean_rounds": sum(not each["dropped"] for each in judged),
        "seconds": seconds,
        "transfers": transfers,
        "overhead": (sizes["blob"] + sizes["link"]) / sizes["payload"] - 1,
        "rounds": judged,
    }


def take_rounds(ways: Ways, sizes: Sequence[float], wanted: int, pace: Pace) -> list[dict[str, Any]]:
    """All sizes in each round, so that a slope over the rounds favours none."""
    rounds: dict[float, list[Round]] = {size: [] for size in sizes}
    for at in range(wanted):
        for size in sizes:
            # Another state each time, or a store would have it already.
            rounds[size].append(take_round(ways, made_up(size, seed=at), at, pace))
    return [measure_ways(size, taken, pace) for size, taken in rounds.items()]


def way_lines(result: dict[str, Any]) -> Iterator[str]:
    """A block for one size."""
    seconds = {name: 1e3 * each for name, each in result["seconds"].items()}
    yield (
        f"sealed to {result['members']} members, {result['megabytes']:g} MB: seal {seconds['seal']:.1f}, "
        f"open {seconds['open']:.1f}, load {seconds['load']:.1f} ms; {result['overhead']:.3%} more bytes; "
        f"{result['clean_rounds']} of {len(result['rounds'])} rounds clean"
    )
    for way, found in result["transfers"].items():
        yield f"  {way:<8}put {1e3 * found['put']:8.1f}   get {1e3 * found['get']:8.1f} ms"


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of one call."""
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def _load(variables: dict[str, Any], payload: bytes) -> None:
    state = parse(payload, _MAX_BYTES)
    state_digest(state)
    write(variables, state)


def _header(ways: Ways, number: int) -> Header:
    return Header(
        run=ways.roster.run,
        roster_epoch=ways.roster.epoch,
        roster_digest=ways.roster.digest,
        number=number + 1,
        turn=1,
        kind="full",
        base=_DIGEST,
        result=_DIGEST,
        topology=_DIGEST,
        settings=_DIGEST,
        previous=_DIGEST,
        sender=ways.giver.name,
        version=number,
    )


def _reason(taken: Round, pace: Pace) -> str:
    if pace.slowdown(taken["calibration_seconds"]) > SLOWEST:
        return "throttled"
    return "stolen" if taken["stolen_cores"] > _MOST_FOREIGN_CORES else ""


@contextlib.contextmanager
def _store(certificates: Path, folder: Path) -> Iterator[str]:
    """`keras-split store`, until the end of the `with` statement."""
    command = [sys.executable, "-m", "keras_split", "store", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--folder", str(folder), "--certificates", str(certificates)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix(_READY).strip()
        finally:
            process.terminate()
