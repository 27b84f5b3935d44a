"""`keras-split log` and its command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_split.cli.parameters import PRESENT_FILE
from keras_split.cli.text import facts, grouped

if TYPE_CHECKING:
    from keras_split.audit import Verdict


@click.group(short_help="Check an audit log.")
def log() -> None:
    """Check what `--audit-log` (server) or `audit_log=` (data owner) has written."""


@log.command(short_help="Check the chain of an audit log.")
@click.argument("path", metavar="FILE", type=PRESENT_FILE)
@click.option("--head", default="", metavar="DIGEST", help="A head that was noted earlier: is it in here?")
@click.pass_context
def verify(context: click.Context, path: Path, head: str) -> None:
    """Check that no line of FILE was changed, taken out, put in or moved.

    Prints the head, which is the digest of the last line. Note it elsewhere, or tell it to the other
    parties: whoever knows a head can tell later, with --head, if the end was cut off or the log written
    anew. Exits with 1 if the log is not intact.
    """
    from keras_split.audit import verify_log

    found = verify_log(path, "".join(head.split()).lower())
    click.echo(facts(_pairs(found)))
    click.echo(_judged(found, bool(head)))
    context.exit(0 if found.is_intact else 1)


def _pairs(found: Verdict) -> list[tuple[str, str]]:
    rows = [("Lines that fit", f"{found.records:,}")]
    if found.records:
        rows += [("First", found.first_at), ("Last", found.last_at), ("Head", grouped(found.head))]
    if found.sealed:
        rows.append(("Cut by a crash", f"{found.sealed:,} (accounted for)"))
    return rows


def _judged(found: Verdict, asked: bool) -> str:
    if found.bad_line:
        return click.style(f"Not intact: line {found.bad_line:,}: {found.why}.", fg="red")
    if not found.knows_head:
        return click.style(
            "Not intact: no line has the head that was given. The end was cut off, the log was written anew, "
            "or it is another log.",
            fg="red",
        )
    return click.style("Intact" + (", and the head that was given is in it." if asked else "."), fg="green")
