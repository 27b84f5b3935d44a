"""The compiled exchanges of one body."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from typing import Any

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.errors import ProtocolError, Refused
from keras_split.numerics import Numerics
from keras_split.segment import Segment, Signature, TracedInference, TracedStep, draws_nothing
from keras_split.server.options import ServingOptions
from keras_split.server.preparation import read_signature, signature_name, write_outputs

# Called with "train", "test" or "predict", and what is sent.
Check = Callable[[str, Signature], None]

_KINDS: dict[int, str] = {pb.TRAIN: "train", pb.TEST: "test", pb.PREDICT: "predict"}


class Traces:
    """Compiles each kind and shape of exchange once, one at a time.

    Args:
        segment: What is traced.
        topology: Of the body, for its frontier.
        numerics: Keras' global settings under which the model was made.
        options: Ceilings.
        forgets: Whether the exchange that was used longest ago makes room for another one. With several
            clients, one of them could have the others' compiled again and again.
        check: Asked about each exchange before it is compiled; raises for one that is not to be.
    """

    def __init__(
        self,
        segment: Segment,
        topology: dict[str, Any],
        numerics: Numerics,
        options: ServingOptions,
        *,
        forgets: bool = False,
        check: Check | None = None,
    ):
        self._segment = segment
        self._topology = topology
        self._numerics = numerics
        self._options = options
        self._forgets = forgets
        self._check = check
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Signature, Any, pb.PrepareReply]] = {}
        self._last_use: dict[str, int] = {}
        self._uses = itertools.count()

    def prepare(self, request: pb.PrepareRequest) -> pb.PrepareReply:
        """What a client gets in such an exchange."""
        name = signature_name(request)
        with self._lock:
            if name not in self._kept:
                self._kept[name] = self._trace(request, name)
            reply = pb.PrepareReply()
            reply.CopyFrom(self._kept[name][2])
            self._last_use[name] = next(self._uses)
            reply.kept.extend(self._kept)
            return reply

    def step(self, name: str) -> tuple[Signature, TracedStep]:
        """A prepared training step."""
        return self._find(name, TracedStep)

    def inference(self, name: str) -> tuple[Signature, TracedInference]:
        """A prepared inference."""
        return self._find(name, TracedInference)

    def alone(self) -> contextlib.AbstractContextManager[Any]:
        """Within, nothing is compiled."""
        return self._lock

    def clear(self) -> None:
        """Forgets all, for a body that is compiled with another optimizer."""
        self._kept.clear()
        self._last_use.clear()

    def _find(self, name: str, kind: type) -> tuple[Signature, Any]:
        signature, traced, _ = self._kept.get(name, (None, None, None))
        if signature is None or not isinstance(traced, kind):
            raise ProtocolError("This exchange was not prepared with this server.")
        self._last_use[name] = next(self._uses)
        return signature, traced

    def _trace(self, request: pb.PrepareRequest, name: str) -> tuple[Signature, Any, pb.PrepareReply]:
        if len(self._kept) >= self._options.max_signatures and self._forgets:
            oldest = min(self._kept, key=lambda each: self._last_use.get(each, 0))
            del self._kept[oldest]
            self._last_use.pop(oldest, None)
        elif len(self._kept) >= self._options.max_signatures:
            raise Refused(
                f"This server has compiled {len(self._kept)} kinds and shapes of exchanges, its "
                "limit. Give batches of one shape, or raise `--max-signatures`."
            )
        signature = read_signature(request, self._topology, self._options.limits)
        with self._numerics.applied(), draws_nothing("A layer, loss or function of the server's part"):
            if self._check is not None:
                self._check(_KINDS[request.mode], signature)
            traced = self._compiled(request.mode, signature)
        return signature, traced, write_outputs(traced, name)

    def _compiled(self, mode: int, signature: Signature) -> TracedStep | TracedInference:
        if mode == pb.TRAIN:
            return self._segment.trace_step(signature)
        return self._segment.trace_inference(
            signature,
            outputs_only=mode == pb.PREDICT,
            combines_below=self._options.combine_below,
        )
