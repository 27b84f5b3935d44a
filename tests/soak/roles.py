"""What a process of a soak is: a server, a store, a data owner, or the judge at the end."""

from __future__ import annotations

import os

from keras_split import cli
from support import member


def program(arguments: list[str], variables: dict[str, str]) -> None:
    """`keras-split` with arguments, and environment variables."""
    os.environ.update(variables)
    cli.main(arguments, prog_name="keras-split")


def judge(**given: object) -> None:
    """Fails unless both halves are what one machine has that has trained the same."""
    from soak import judge

    judge.main(**given)  # type: ignore[arg-type]


def owner(**given: object) -> None:
    """Trains its shard, and says `Done`."""
    member.main(**given)  # type: ignore[arg-type]
