"""The results as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

_MS = 1000.0
# Of the first column: the longest label, and a gap.
_WIDTH = 31


def comparison_lines(result: dict[str, Any]) -> Iterator[str]:
    """A block for one comparison."""
    yield result["name"]
    yield from _speed(result)
    if result["breakdown"]:
        yield from _parts(result["breakdown"], result["candidate"])
    memory = result["memory_mib"]
    yield _line("peak memory, MiB", "  ".join(f"{name} {memory[name]:,.0f}" for name in memory))


def wire_lines(results: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A block for the bytes on the wire."""
    yield "bytes of a step at LeNet's cut, and the share beyond the tensors' own"
    for result in results:
        tensors = result["bytes_per_step"]["tensors"]
        sizes = f"{tensors['up']:,.0f} up, {tensors['down']:,.0f} down"
        yield f"  batch {result['batch']:<4} tensors {sizes}"
        for kind, label in (("metered", "as serialised"), ("socket", "on the socket, TLS")):
            shares = result["overhead"][kind]
            listed = "  ".join(f"{way} {shares[way]:.3%}" for way in ("up", "down", "both"))
            yield f"    {label:<20}{listed}"
        yield f"    bar {result['bar']:.0%} on the socket: {_verdict(result['meets_bar'])}"


def _speed(result: dict[str, Any]) -> Iterator[str]:
    summary, bar = result["summary"], result["bar"]
    dropped = f"{summary['throttled_rounds']} throttled, {summary['disturbed_rounds']} disturbed"
    yield _line("rounds", f"{summary['clean_rounds']} count; dropped: {dropped}")
    if not summary["clean_rounds"]:
        yield _line("no speed to report", "the machine was never at full speed and free of other work")
        return
    for name in (result["reference"], result["candidate"]):
        rate = summary[f"{name}_samples_per_second"]
        yield _line(f"{name}, samples/s", f"median {rate['median']:,.0f}  best {rate['best']:,.0f}")
    ratio = summary["ratio"]
    judged = "" if bar is None else f"  bar {bar:.2f}: {_verdict(ratio['best'] >= bar)}"
    yield _line(
        f"{result['candidate']} over {result['reference']}",
        f"median {ratio['median']:.3f}  best round {ratio['best']:.3f}  "
        f"best over best {ratio['of_bests']:.3f}{judged}",
    )


def _parts(found: dict[str, Any], name: str) -> Iterator[str]:
    state = "" if not found["is_throttled"] else " (throttled)"
    yield _line(f"a {name} step, ms", f"{found['typical_step'] * _MS:.2f}{state} =")
    yield from _listed(found["parts"])
    yield "  beside or inside"
    yield from _listed(found["detail"])
    whole = {name: value for name, value in found["whole"].items() if name != "step"}
    yield _line("a whole step, ms", f"{found['whole']['step'] * _MS:.2f} =")
    yield from _listed(whole)


def _listed(parts: dict[str, float]) -> Iterator[str]:
    for name, seconds in parts.items():
        yield f"    {name:<34}{seconds * _MS:9.3f}"


def _line(label: str, text: str) -> str:
    return f"  {label:<{_WIDTH}}{text}"


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "missed"
