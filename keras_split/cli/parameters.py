"""Arguments and options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

FOLDER = click.Path(file_okay=False, path_type=Path)
PRESENT_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
PRESENT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def check_model(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Takes a `.keras` file or `package.module:function`, before TensorFlow is loaded."""
    if value is None:
        return None  # Click itself asks for it where it is required.
    if not value.endswith(".keras"):
        return _check_function(value, "a .keras file or package.module:function")
    if not Path(value).is_file():
        raise click.BadParameter(f"There is no file {value!r}.", ctx, param)
    return value


def check_function(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Takes `package.module:function`, or nothing."""
    del ctx, param
    return value if value is None else _check_function(value, "package.module:function")


def model_argument(function: Function) -> Function:
    """Adds MODEL."""
    return click.argument("model", metavar="MODEL", callback=check_model)(function)


def second_cut_option(function: Function) -> Function:
    """Adds `--second-cut`."""
    return click.option(
        "--second-cut",
        multiple=True,
        metavar="NAME",
        help="Last layer of the server's part, for training without its labels; may be repeated.",
    )(function)


def passphrase_option(function: Function) -> Function:
    """Adds `--passphrase-file`."""
    return click.option(
        "--passphrase-file",
        type=PRESENT_FILE,
        metavar="FILE",
        help="File whose first line seals the key file; readable by its owner alone.",
    )(function)


def optional_model_argument(function: Function) -> Function:
    """Adds MODEL, which may be left out."""
    return click.argument("model", metavar="[MODEL]", required=False, callback=check_model)(function)


def tls_options(whose: str) -> Callable[[Function], Function]:
    """Adds `--certificates` and `--insecure`.

    Args:
        whose: Party whose folder of certificates it is, for the help text.
    """

    def add(function: Function) -> Function:
        help_text = f"The {whose}'s folder with ca.crt, tls.crt and tls.key."
        insecure = click.option("--insecure", is_flag=True, help="Speak without TLS.")
        certificates = click.option("--certificates", type=PRESENT_FOLDER, help=help_text)
        return certificates(insecure(function))

    return add


def check_tls(certificates: Path | None, insecure: bool, advice: str) -> None:
    """Raises a usage error unless exactly one of the two is given.

    Args:
        certificates: Folder, or None.
        insecure: Without TLS.
        advice: What to do where neither is given.
    """
    if certificates is not None and insecure:
        raise click.UsageError("Give either --certificates or --insecure, not both.")
    if certificates is None and not insecure:
        raise click.UsageError(f"Give --certificates DIR. {advice}")


def _check_function(value: str, expected: str) -> str:
    if not all(value.partition(":")):
        raise click.BadParameter(f"Expected {expected}. Received: {value!r}.")
    return value
