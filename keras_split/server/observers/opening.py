"""From what an administrator asks for to observers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.audit import AuditLog
from keras_split.server.observers.auditing import Auditing
from keras_split.server.observers.census import Census
from keras_split.server.observers.lines import Lines
from keras_split.server.observers.observer import Observer
from keras_split.server.observers.watchers import Watchers

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ObserverOptions:
    """Who looks on besides the counts of `status`.

    Args:
        audit_log: File of the audit log; None for none.
        metrics: `host:port` for Prometheus; empty for none.
        tensorboard: Folder for TensorBoard's event files; None for none.
    """

    audit_log: Path | None = None
    metrics: str = ""
    tensorboard: Path | None = None


def open_watchers(options: ObserverOptions, status: Callable[[Census], pb.StatusReply | None]) -> Watchers:
    """Opens files and the port.

    Args:
        options: Which.
        status: What the server does, given the counts.

    Raises:
        ValueError: An audit log that was changed, or a library that is missing.
        OSError: A file or a port cannot be had.
    """
    census = Census()
    others: list[Observer] = [Lines()]
    if options.audit_log is not None:
        others.append(Auditing(AuditLog(options.audit_log)))
    if options.tensorboard is not None:
        from keras_split.server.observers.scalars import Scalars

        others.append(Scalars(options.tensorboard))
    if options.metrics:
        others.append(_metrics(options.metrics, census, lambda: status(census)))
    return Watchers(others, census)


def _metrics(where: str, census: Census, status: Callable[[], pb.StatusReply | None]) -> Observer:
    try:
        from keras_split.server.observers.metrics import Metrics
    except ImportError:
        raise ValueError(
            "`--metrics` needs the library prometheus_client: `pip install '.[metrics]'` in a checkout."
        ) from None
    host, _, port = where.rpartition(":")
    metrics = Metrics(host.strip("[]"), int(port), census, status)
    _log.info("Metrics on http://%s:%d/metrics.", host, metrics.port)
    return metrics
