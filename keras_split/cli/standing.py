"""What `keras-split status` prints."""

from __future__ import annotations

from typing import Any

import click

from keras_split.cli.text import duration, facts, table
from keras_split.columns import short

_HEAD = ("Member", "State", "Turns", "Steps", "Commits", "Received", "Sent", "Waits for", "Waited", "Refused")
_COLOURS = {"trains": "green", "waits": "yellow"}


def shown(found: dict[str, Any]) -> str:
    """The server, and below it everybody who has called it.

    Args:
        found: The fields of a `StatusReply`, `members` and `peer` as dictionaries.
    """
    parts = [facts(_server(found))]
    if found["members"]:
        parts.append(members(found["members"]))
    return "\n\n".join(parts)


def members(found: list[dict[str, Any]]) -> str:
    """The table of members."""
    head, rule, *lines = table(_HEAD, [_row(each) for each in found]).splitlines()
    colours = [_COLOURS.get(each["state"]) for each in found]
    styled = [
        click.style(line, fg=colour) if colour else line for line, colour in zip(lines, colours, strict=True)
    ]
    return "\n".join([head, rule, *styled])


def _row(member: dict[str, Any]) -> tuple[str, ...]:
    waits = member["state"] == "waits"
    return (
        member["name"] or "(unnamed)",
        member["state"] or "-",
        f"{member['turns']:,}",
        f"{member['steps']:,}",
        f"{member['commits']:,}",
        short(member["bytes_received"], "B"),
        short(member["bytes_sent"], "B"),
        duration(member["waiting_seconds"]) if waits else "-",
        duration(member["waited_seconds"]),
        f"{member['refusals']:,}",
    )


def _server(found: dict[str, Any]) -> list[tuple[str, str]]:
    peer = found["peer"]
    return [
        ("Model", f"{found['model']}, cut at {found['cut']}"),
        *_run(found),
        ("Update", f"{found['version']:,}"),
        ("Training now", _holder(found)),
        ("Turns", f"{found['turns']:,}"),
        ("Steps", f"{found['steps']:,}"),
        ("Inferences", f"{found['inferences']:,}"),
        ("Received", short(found["bytes_received"], "B")),
        ("Sent", short(found["bytes_sent"], "B")),
        ("Up for", duration(found["uptime_seconds"])),
        ("Strategy", found["strategy"]),
        ("Topology", found["topology_digest"]),
        (
            "Versions",
            f"keras_split {peer['package_version']}, Keras {peer['keras_version']}, "
            f"TensorFlow {peer['tensorflow_version']}, protocol {peer['protocol']}",
        ),
        ("Computes with", peer["fingerprint"]),
    ]


def _run(found: dict[str, Any]) -> list[tuple[str, str]]:
    if not found["run"]:
        return []
    commits = f"{found['commits']:,}"
    if found["commits"]:
        commits += f", the last at update {found['committed_version']:,}"
    return [
        ("Run", f"{found['run']}, epoch {found['roster_epoch']} of the roster"),
        ("Length of turns", found["quota"]),
        ("Commits", commits),
    ]


def _holder(found: dict[str, Any]) -> str:
    if not found["trainer"]:
        return "nobody"
    return f"{found['trainer']}, turn {found['turn']:,}, lease of {duration(found['lease_seconds'])} left"
