"""The group of commands, and how an error ends one."""

from __future__ import annotations

import os
import signal
from typing import Any

import click

from keras_split.cli.certs import certs
from keras_split.cli.cuts import cuts
from keras_split.cli.demo import demo
from keras_split.cli.keygen import keygen
from keras_split.cli.log import log
from keras_split.cli.plan import plan
from keras_split.cli.roster import roster
from keras_split.cli.serve import serve
from keras_split.cli.status import status
from keras_split.cli.store import store
from keras_split.cli.verify import verify
from keras_split.demo.several.parent import Parent
from keras_split.version import package_version

_NOT_ERRORS = (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError)


class Failure(click.ClickException):
    """What went wrong, in one red line on standard error."""

    def show(self, file: Any = None) -> None:
        """Called by click, which then exits with 1."""
        click.secho(f"Error: {self.message}", file=file, err=file is None, fg="red")


class Program(click.Group):
    """Turns exceptions into `Failure`, unless `--debug` asks for the traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command."""
        try:
            return super().invoke(ctx)
        except _NOT_ERRORS:
            raise
        except Exception as error:
            if ctx.params["debug"]:
                raise
            raise Failure(_describe(error)) from None


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_version(), prog_name="keras-split")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--end-with-stdin", is_flag=True, hidden=True, help="End when standard input does.")
def main(debug: bool, end_with_stdin: bool) -> None:
    """Train one Keras model across organisations that may not share their data.

    Start with `keras-split demo`. MODEL is a .keras file or package.module:function everywhere.
    """
    del debug  # Program.invoke reads it.
    if end_with_stdin:
        Parent(gone=lambda: os.kill(os.getpid(), signal.SIGTERM))
    # What gRPC's core logs by itself says less than the errors that we print.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


for command in (demo, cuts, plan, serve, certs, keygen, roster, log, status, store, verify):
    main.add_command(command)


def _describe(error: Exception) -> str:
    # It brings gRPC along, which `--help` need not wait for.
    from keras_split.errors import SplitError

    text = " ".join(str(error).split())
    if isinstance(error, (SplitError, ValueError, OSError)) and text:
        return text
    return f"{type(error).__name__}: {text} (`keras-split --debug ...` shows where)"
