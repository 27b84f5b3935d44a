"""The server as a process: build, listen, stop cleanly."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from keras_split.numerics import Numerics
from keras_split.partition import checked, partition
from keras_split.segment import placement
from keras_split.server import admission
from keras_split.server.hosting import Hosting
from keras_split.server.observers import ObserverOptions, open_watchers
from keras_split.server.observers.accounts import account_of
from keras_split.server.options import ServingOptions
from keras_split.server.run_folder import open_run
from keras_split.server.run_options import RunOptions
from keras_split.server.served import Served
from keras_split.server.service import SplitService
from keras_split.server.settings import settings_of
from keras_split.server.source import load_model
from keras_split.server.standing import Standing, serving
from keras_split.server.traces import Check
from keras_split.state import Shelf, occupied
from keras_split.transport import SERVICE, STORE, Credentials, Listener, Meter, handlers

_log = logging.getLogger(__name__)
_PARENT_POLL_SECONDS = 0.5
_GRACE_SECONDS = 2.0


@dataclass(frozen=True)
class ServerOptions:
    """A server process.

    Args:
        address: `host:port`; port 0 picks a free one.
        credentials: Certificate and authority; None only with `insecure`.
        insecure: Speak without TLS.
        bind_any: Without TLS, also on addresses that others can reach.
        reflection: Tell gRPC tools which calls there are.
        max_calls: Calls at the same time.
        max_calls_per_client: Of these, one party's; None for half of them.
        checkpoint_directory: For snapshots that outlive the process.
        keep: Snapshots kept.
        seed: For models that are built by a function.
        deterministic: TensorFlow's deterministic kernels.
        serving: How the body is served.
        run: Who trains the body in turns; None for one client at a time, whoever comes.
        observers: Who looks on.
    """

    address: str = "127.0.0.1:0"
    credentials: Credentials | None = None
    insecure: bool = False
    bind_any: bool = False
    reflection: bool = False
    max_calls: int = 64
    max_calls_per_client: int | None = None
    checkpoint_directory: Path | None = None
    keep: int = 50
    seed: int | None = None
    deterministic: bool = False
    serving: ServingOptions = field(default_factory=ServingOptions)
    run: RunOptions | None = None
    observers: ObserverOptions = field(default_factory=ObserverOptions)


def serve_model(
    source: str,
    cut: Sequence[str],
    second_cut: Sequence[str],
    options: ServerOptions,
    ready: Callable[[str], None],
    stop: threading.Event | None = None,
    compared: Callable[..., Check] | None = None,
) -> None:
    """Serves the body of a model until SIGTERM or SIGINT.

    Args:
        source: A `.keras` file or `package.module:function`.
        cut: Names of the cut's layers.
        second_cut: Those behind which the client's part begins again; empty to share labels.
        options: The process.
        ready: Called with `host:port` once calls are accepted.
        stop: Ends the server as well.
        compared: Called with the model and its cuts at first; raises for one that is not to be served, and
            returns what raises for an exchange that is not to be prepared.
    """
    _prepare_tensorflow(options)
    with tempfile.TemporaryDirectory() as scratch, _occupied(options.checkpoint_directory):
        served = _serve_from(source, (cut, second_cut), options, Path(scratch), compared)
        hosting = Hosting(options.serving, Path(scratch), admission.nobody())
        hosting.serve(served)
        _log.info(
            "Serving the body of %r behind %s%s: %s parameters, update %d, topology %s.",
            served.topology["name"],
            ", ".join(map(repr, served.topology["cut"])),
            _until(served.topology["second_cut"]),
            f"{served.segment.model.count_params():,}",
            served.turns.version,
            served.digest[:12],
        )
        _run(hosting, options, ready, stop or threading.Event())


def serve_owner(options: ServerOptions, parent: int, ready: Callable[[str], None]) -> None:
    """Hosts bodies for the process that started this one, and ends with it."""
    _prepare_tensorflow(options)
    stop = end_of(parent)
    with tempfile.TemporaryDirectory() as scratch:
        hosting = Hosting(options.serving, Path(scratch), admission.owner())
        _run(hosting, options, ready, stop)


def end_of(parent: int) -> threading.Event:
    """Is set when the process that started this one is gone."""
    gone = threading.Event()
    threading.Thread(target=_watch, args=(parent, gone), daemon=True).start()
    return gone


def serve_clients(options: ServerOptions, ready: Callable[[str], None]) -> None:
    """Hosts bodies for everyone who has a certificate, until SIGTERM or SIGINT.

    Args:
        options: The process; without `insecure`, `seed` and `checkpoint_directory`.
        ready: Called with `host:port` once calls are accepted.
    """
    _prepare_tensorflow(options)
    _add_threads(options.max_calls)
    with tempfile.TemporaryDirectory() as scratch:
        hosting = Hosting(options.serving, Path(scratch), admission.clients())
        _log.info("Building and running bodies of clients that have a certificate of this authority.")
        _run(hosting, options, ready, threading.Event())


def _prepare_tensorflow(options: ServerOptions) -> None:
    if options.seed is not None:
        keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()


def _add_threads(calls: int) -> None:
    """A label-free step holds one of the threads that all graphs share while it waits for its client."""
    config = tf.config.threading
    own = config.get_inter_op_parallelism_threads() or os.cpu_count() or 1
    config.set_inter_op_parallelism_threads(own + calls)


def _serve_from(
    source: str,
    cuts: tuple[Sequence[str], Sequence[str]],
    options: ServerOptions,
    scratch: Path,
    compared: Callable[..., Check] | None,
) -> Served:
    if cuts[1] and options.serving.strategy != "single":
        raise ValueError(
            "A label-free step stops in its midst for the client's gradients, and several devices "
            "cannot stop there together. Leave `--strategy` or `--second-cut` out. "
            f"Received: strategy={options.serving.strategy!r}."
        )
    # Under a strategy's scope, since variables are mirrored from the moment they exist.
    place = placement(options.serving.strategy, options.serving.replicas)
    with place.scope():
        model = load_model(source)
        parts = partition(model, *map(tuple, cuts))
    # Several devices add up in another order in any case.
    check = None
    if compared is not None and options.serving.strategy == "single":
        check = compared(model, *cuts)
    for part in parts.sides["client"]:
        checked(part.to_config(), part)  # Whoever connects will build it.
    settings = settings_of(model)
    shelf = Shelf(options.checkpoint_directory or scratch / "snapshots", options.keep)
    served = Served(
        parts.topology(), parts.body, Numerics.current(), shelf, options.serving, place, check=check
    )
    served.settle(settings)
    if options.run is not None:
        served.take_part(open_run(served, options.run, options.checkpoint_directory))
    elif served.resume():
        _log.info("Resumed from the newest snapshot in %s.", options.checkpoint_directory)
    return served


def _run(
    hosting: Hosting, options: ServerOptions, ready: Callable[[str], None], stop: threading.Event
) -> None:
    meter = Meter()
    watchers = open_watchers(options.observers, lambda census: Standing(census, meter).of_all(hosting))
    service = SplitService(hosting, options.serving.limits, meter, watchers)
    listener = Listener(
        options.address,
        None if options.insecure else options.credentials,
        options.serving.limits,
        max_calls=options.max_calls,
        bind_any=options.bind_any,
        max_calls_per_client=options.max_calls_per_client,
        members=None if options.run is None else options.run.members,
        accounts=partial(account_of, watchers),
    )
    listener.server.add_generic_rpc_handlers((handlers(service, meter),))
    for run in (each.run for each in hosting.all()):
        if run is not None and run.envelopes is not None:
            store = run.envelopes.store(watchers)
            listener.server.add_generic_rpc_handlers((handlers(store, meter, STORE),))
    health_service = _add_health(listener, options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    for served in hosting.all():
        watchers.see(serving(served))
    listener.start()
    ready(f"{options.address.rpartition(':')[0]}:{listener.port}")
    stop.wait()
    health_service.enter_graceful_shutdown()
    try:
        _finish(hosting, options, listener)
    finally:
        watchers.close()


def _add_health(listener: Listener, options: ServerOptions) -> health.HealthServicer:
    service = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(service, listener.server)
    service.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    if options.reflection:
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, listener.server)
    return service


def _finish(hosting: Hosting, options: ServerOptions, listener: Listener) -> None:
    """Lets the steps that run come to their end, and keeps the result."""
    try:
        for served in hosting.all():
            served.stop()
            # In a run only commits last, and each of them is on the disk already.
            if options.checkpoint_directory and served.run is None:
                ticket = served.engine.change(served.snapshot)
                _log.info("Kept update %d in %s.", ticket.version, options.checkpoint_directory)
    finally:
        listener.stop(_GRACE_SECONDS)
    _log.info("Stopped.")


def _until(second_cut: list[str]) -> str:
    return f" to {', '.join(map(repr, second_cut))}, label-free" if second_cut else ""


def _occupied(folder: Path | None) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if folder is None else occupied(folder)


def _watch(parent: int, stop: threading.Event) -> None:
    """A server that outlives its owner would hold memory and a port for nobody."""
    while not stop.wait(_PARENT_POLL_SECONDS):
        if os.getppid() != parent:
            stop.set()
