"""What one side tells the other about itself before anything else."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
from pathlib import Path

import keras
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.errors import VersionMismatch
from keras_split.version import package_version

PROTOCOL = 2
_log = logging.getLogger(__name__)


def this_peer() -> pb.Peer:
    """This process."""
    return pb.Peer(
        protocol=PROTOCOL,
        package_version=package_version(),
        keras_version=keras.__version__,
        tensorflow_version=tf.__version__,
        fingerprint=_fingerprint(),
    )


def check_peer(other: pb.Peer, who: str) -> None:
    """Refuses a peer of another protocol, and warns of one that computes in another way.

    Args:
        other: What the peer told.
        who: `"server"` or `"client"`, for the text.

    Raises:
        VersionMismatch: The two cannot work together.
    """
    mine = this_peer()
    if other.protocol != PROTOCOL:
        raise VersionMismatch(
            f"The {who} speaks protocol {other.protocol} (keras_split {other.package_version}), this "
            f"side {PROTOCOL} ({mine.package_version}). Install the same version on both sides."
        )
    for name in ("package_version", "keras_version", "tensorflow_version", "fingerprint"):
        theirs, ours = getattr(other, name), getattr(mine, name)
        if theirs != ours:
            _log.warning(
                "The %s has %s %r and this side %r: training works, but need not equal the unsplit "
                "model to the last bit.",
                who,
                name.replace("_", " "),
                theirs,
                ours,
            )


def _fingerprint() -> str:
    threads = (
        tf.config.threading.get_intra_op_parallelism_threads()
        or os.environ.get("TF_NUM_INTRAOP_THREADS")
        or _usable_cores()
    )
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default")
    determinism = is_op_determinism_enabled()
    rewrites = not tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer")
    kind = "default" if rewrites else "strict"
    return f"threads={threads} onednn={onednn} deterministic={int(determinism)} exact={kind} cpu={_cpu()}"


def _usable_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _cpu() -> str:
    """Kernels are chosen by the processor's features, so two models of processor may differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()}-{hashlib.sha256(flags.encode()).hexdigest()[:8]}"
