"""What goes with `serve --accept-bodies`, and what does not."""

from __future__ import annotations

import click
from click.core import ParameterSource

_OF_A_MODEL = ("model", "cut", "second_cut", "checkpoint_dir", "keep", "seed", "strategy", "replicas")
_NO_TLS = (
    "--accept-bodies builds what clients send, so it needs --certificates: without TLS anyone who reaches "
    "the port could place a body here, every user of this machine among them."
)


def check_role(context: click.Context, accept_bodies: bool) -> None:
    """Raises a usage error unless either a model is served or bodies are accepted."""
    if not accept_bodies:
        return _check_model(context)
    for name in _OF_A_MODEL:
        if _is_given(context, name):
            shown = "MODEL" if name == "model" else f"--{name.replace('_', '-')}"
            raise click.UsageError(
                f"{shown} is for a model that this server serves; with --accept-bodies clients bring "
                "their own. Leave one of the two out."
            )
    if _is_given(context, "insecure"):
        raise click.UsageError(_NO_TLS)


def _check_model(context: click.Context) -> None:
    for name, shown in (("model", "MODEL"), ("cut", "--cut NAME")):
        if not _is_given(context, name):
            raise click.UsageError(f"Give {shown}, or --accept-bodies in place of a model.")


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT
