"""Which waits for a client have an end, on a clock that is made up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import CHUNK_BYTES, Limits, pack
from keras_split.transport.patience import Patience, PatientRequests
from keras_split.transport.watch import Watch, Watched

PATIENCE = Patience(first_seconds=5.0, frame_seconds=10.0, slowest_bytes_per_second=CHUNK_BYTES)


class Line:
    """A client whose frames take a time that is passed in."""

    def __init__(self, *arrivals: tuple[float, Any]):
        self.now = 1000.0
        self.ended_at = math.inf
        watched = Watched("A call", self._end)
        self._watch = Watch()
        self._arrivals = arrivals
        with self._watch.over(watched):
            requests = PatientRequests(self._frames(), watched, PATIENCE, Limits(), clock=lambda: self.now)
            self.received = sum(1 for _ in requests)

    def _end(self) -> None:
        self.ended_at = min(self.ended_at, self.now - 1000.0)

    def _frames(self) -> Iterator[Any]:
        for seconds, frame in self._arrivals:
            for _ in range(int(seconds)):
                self.now += 1.0
                self._watch.look(self.now)
            if self.ended_at < math.inf:
                return
            yield frame


def frames(chunks: int) -> list[pb.Frame]:
    """Of one message; the last has one byte."""
    tensors = [np.zeros(CHUNK_BYTES * (chunks - 1) + 1, np.uint8)]
    return list(pack(pb.Header(request=1), tensors))


(WHOLE,) = frames(1)


def test_the_first_message_has_a_deadline() -> None:
    assert Line((5, WHOLE)).ended_at == math.inf
    assert Line((100, WHOLE)).ended_at == 6.0


def test_between_two_messages_a_client_may_take_its_time() -> None:
    assert Line((1, WHOLE), (100_000, WHOLE)).received == 2


def test_each_frame_of_a_message_has_a_deadline() -> None:
    first, second = frames(2)
    assert Line((0, first), (10, second)).received == 2
    assert Line((0, first), (100, second)).ended_at == 11.0


def test_a_message_that_trickles_is_ended() -> None:
    """Each frame is in time, and all of them together are not: 5 MiB and a byte have 15 seconds and a bit."""
    assert Line(*((2, frame) for frame in frames(6))).received == 6
    slow = Line(*((5, frame) for frame in frames(6)))
    assert (slow.received, slow.ended_at) == (4, 21.0)


def test_after_a_whole_message_time_is_the_clients_again() -> None:
    line = Line(*((1, frame) for frame in frames(3)), (100_000, WHOLE))
    assert line.received == 4


def test_pieces_of_another_kind_have_a_deadline_each() -> None:
    assert Line((1, pb.JoinRequest()), (10, pb.JoinRequest())).received == 2
    assert Line((1, pb.JoinRequest()), (100, pb.JoinRequest())).ended_at == 12.0


@pytest.mark.parametrize("dims", [[1 << 60] * 8, [0], [1] * 9])
def test_a_header_that_will_be_refused_is_left_to_its_reader(dims: list[int]) -> None:
    header = pb.Header(tensors=[pb.Tensor(dtype=pb.FLOAT32, dims=dims)])
    assert Line((0, pb.Frame(header=header))).received == 1


def test_a_call_that_is_over_is_watched_no_more() -> None:
    ended: list[int] = []
    watch, watched = Watch(), Watched("A call", lambda: ended.append(1))
    with watch.over(watched), watched.waits_for("anything", 5.0):
        watch.look(5.0)
        assert ended == []
        watch.look(5.5)
        watch.look(6.0)
        assert ended == [1]
    with watched.waits_for("anything", 7.0):
        watch.look(8.0)
    assert ended == [1]
