"""How a body is served."""

from __future__ import annotations

from dataclasses import dataclass, field

from keras_split.codec import Limits


@dataclass(frozen=True)
class ServingOptions:
    """How a body is served.

    Args:
        strategy: `"single"` or `"mirrored"`.
        replicas: Mirrored devices; 0 for all GPUs. Without GPUs, parts of the CPU.
        nan: `"allow"`, as Keras does, or `"refuse"` steps whose gradients are not finite.
        lease_seconds: Silence after which a client's turn is over.
        combine_below: Inference requests of fewer rows may be computed together; 0 for never.
        gradient_seconds: How long a step waits in its midst for its client's gradients, or for what was
            measured of them; inference waits with it.
        max_signatures: Kinds and shapes of exchanges that are compiled.
        limits: Ceilings on what a client may send.
    """

    strategy: str = "single"
    replicas: int = 0
    nan: str = "allow"
    lease_seconds: float = 600.0
    combine_below: int = 32
    gradient_seconds: float = 60.0
    max_signatures: int = 64
    limits: Limits = field(default_factory=Limits)
