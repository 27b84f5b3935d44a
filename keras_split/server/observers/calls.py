"""What is told of a service's calls."""

from __future__ import annotations

import threading
from typing import Any

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.server.observers.observer import Event, Observer

_MODES = {pb.TRAIN: "train", pb.TEST: "test", pb.PREDICT: "predict"}


class CallsSeen:
    """Tells of calls other than training.

    Args:
        observer: Who is told.
    """

    def __init__(self, observer: Observer):
        self._observer = observer
        self._granted: dict[str, int] = {}
        self._prepared: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def joined(self, party: str, topology: str, update: int) -> None:
        """A client has said hello."""
        self._observer.see(Event("joined", party, {"topology": topology, "update": update}))

    def prepared(self, party: str, request: pb.PrepareRequest, reply: pb.PrepareReply) -> None:
        """What will cross in an exchange; told once for each party."""
        with self._lock:
            is_known = (party, reply.signature) in self._prepared
            self._prepared.add((party, reply.signature))
        if not is_known:
            facts = {
                "mode": _MODES[request.mode],
                "signature": reply.signature,
                "receives": [_described(each) for each in request.inputs],
                "sends": [_described(each) for each in reply.outputs],
            }
            self._observer.see(Event("prepared", party, facts))

    def asked(self, party: str, request: pb.TurnRequest, reply: pb.TurnReply) -> None:
        """A data owner has asked for its turn."""
        if request.leaves:
            self._observer.see(Event("turn_left", party))
        elif reply.HasField("waiting"):
            self._observer.see(Event("turn_waits", party, {"ahead": reply.waiting.ahead}))
        elif reply.turn and self._is_new(party, reply.turn):
            facts = {"turn": reply.turn, "commits": reply.commits}
            self._observer.see(Event("turn_granted", party, facts))

    def _is_new(self, party: str, turn: int) -> bool:
        """A turn is granted again to who has it and asks again."""
        with self._lock:
            known, self._granted[party] = self._granted.get(party), turn
        return known != turn


def _described(spec: pb.TensorSpec) -> dict[str, Any]:
    """Role, dtype and shape, where None is a size that may vary."""
    return {
        "role": pb.Role.Name(spec.role).lower(),
        "dtype": pb.DType.Name(spec.dtype).lower(),
        "shape": [None if size == -1 else size for size in spec.dims],
    }
