"""`keras-split serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_split.cli.bodies import check_role
from keras_split.cli.logs import start_logging
from keras_split.cli.observers import observer_options, observers_from
from keras_split.cli.parameters import (
    FOLDER,
    check_tls,
    optional_model_argument,
    second_cut_option,
    tls_options,
)
from keras_split.cli.runs import run_from, run_options
from keras_split.cli.start import allow_modules_here, start_tensorflow

if TYPE_CHECKING:
    from keras_split.server import ObserverOptions, RunOptions, ServerOptions

_MIB = 1 << 20
_ADVICE = (
    "`keras-split certs --out certificates` makes a set for development, of which the server takes "
    "certificates/server. For trials on this machine alone there is --insecure."
)
_POSITIVE = click.IntRange(min=1)


@click.command(short_help="Serve the larger part of a model.")
@optional_model_argument
@click.option(
    "--cut",
    multiple=True,
    metavar="NAME",
    help="Layer behind which the server's part begins; may be repeated.",
)
@second_cut_option
@click.option(
    "--accept-bodies",
    is_flag=True,
    help="In place of MODEL: build and run bodies of every client that has a certificate.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=50051, show_default=True, help="0 picks one.")
@tls_options("server")
@click.option("--bind-any", is_flag=True, help="With --insecure: also where others can reach it.")
@click.option("--checkpoint-dir", type=FOLDER, help="Keep the state here, and resume from it.")
@click.option("--keep", type=_POSITIVE, default=50, show_default=True, help="Snapshots kept.")
@click.option("--seed", type=int, help="For a model that is built by a function.")
@click.option("--deterministic", is_flag=True, help="Use TensorFlow's deterministic kernels.")
@click.option("--strategy", default="single", show_default=True, help="single, or mirrored over all devices.")
@click.option(
    "--replicas",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="With mirrored: devices; 0 for all GPUs. Without GPUs, parts of the CPU.",
)
@click.option(
    "--nan",
    type=click.Choice(["allow", "refuse"]),
    default="allow",
    show_default=True,
    help="Steps whose gradients are not finite.",
)
@click.option(
    "--exact",
    type=click.Choice(["default", "strict"]),
    default="default",
    show_default=True,
    help="Strict: TensorFlow rewrites no graphs; clients must do likewise.",
)
@click.option("--reflection", is_flag=True, help="Tell gRPC tools which calls there are.")
@click.option(
    "--max-message-mib",
    type=_POSITIVE,
    default=1024,
    show_default=True,
    help="All tensors of one message together.",
)
@click.option(
    "--max-calls",
    type=_POSITIVE,
    default=64,
    show_default=True,
    help="Calls at the same time, one or two for each client.",
)
@click.option(
    "--max-calls-per-client",
    type=_POSITIVE,
    help="Of these, those of one certificate. Default: half of them.",
)
@click.option(
    "--max-signatures",
    type=_POSITIVE,
    default=64,
    show_default=True,
    help="Kinds and shapes of batches that are compiled.",
)
@click.option(
    "--lease-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Silence after which a client's turn is over.",
)
@click.option(
    "--combine-below",
    type=click.IntRange(min=0),
    default=32,
    show_default=True,
    metavar="ROWS",
    help="Compute inference requests of fewer rows together; 0 for never.",
)
@click.option(
    "--gradient-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="How long a step waits in its midst for its client, and inference with it.",
)
@run_options
@observer_options
@click.pass_context
def serve(
    context: click.Context,
    model: str | None,
    cut: tuple[str, ...],
    second_cut: tuple[str, ...],
    accept_bodies: bool,
    **given: Any,
) -> None:
    """Serve the part of a compiled MODEL behind a cut, until SIGTERM or Ctrl-C.

    With --accept-bodies there is no MODEL: clients bring bodies of their own, as a search for a cut
    does. Whoever has a certificate of the authority may then use this machine's time and memory.

    Prints `Listening on HOST:PORT` when it accepts calls. Stopping finishes the step that runs, and
    keeps the state if there is a --checkpoint-dir.
    """
    check_role(context, accept_bodies)
    check_tls(given["certificates"], given["insecure"], _ADVICE)
    _check_address(given["host"], given["insecure"], given["bind_any"])
    start_tensorflow()
    allow_modules_here()
    from keras_split.numerics import set_exactness
    from keras_split.server import serve_clients, serve_model

    start_logging(given.pop("log_format"))
    set_exactness(given.pop("exact"))
    options = _options(run=run_from(given), observers=observers_from(given), **given)
    if model is None:
        serve_clients(options, _tell)
    else:
        from keras_split.verification.served import ServedEquality

        def compared(*given: Any) -> Any:
            return ServedEquality(*given).check

        serve_model(model, cut, second_cut, options, _tell, compared=compared)


def _tell(address: str) -> None:
    click.echo(f"Listening on {address}")


def _check_address(host: str, insecure: bool, bind_any: bool) -> None:
    """Says at once what the server would say after it has loaded the model."""
    from keras_split.transport.addresses import is_loopback

    if insecure and not bind_any and not is_loopback(_address(host, 0)):
        raise click.UsageError(
            f"Without TLS anyone who can reach {host} reads the tensors and steers the training. "
            "Give --certificates DIR, or add --bind-any if the network is trusted."
        )


def _options(
    *,
    certificates: Path | None,
    checkpoint_dir: Path | None,
    host: str,
    port: int,
    run: RunOptions | None,
    observers: ObserverOptions,
    **given: Any,
) -> ServerOptions:
    from keras_split.codec import Limits
    from keras_split.server import ServerOptions, ServingOptions
    from keras_split.transport import Credentials

    limits = Limits(max_message_bytes=given.pop("max_message_mib") * _MIB)
    names = (
        "strategy",
        "replicas",
        "nan",
        "lease_seconds",
        "combine_below",
        "gradient_seconds",
        "max_signatures",
    )
    serving = {name: given.pop(name) for name in names}
    return ServerOptions(
        address=_address(host, port),
        credentials=Credentials.from_directory(certificates) if certificates else None,
        checkpoint_directory=checkpoint_dir,
        serving=ServingOptions(limits=limits, **serving),
        run=run,
        observers=observers,
        **given,
    )


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
