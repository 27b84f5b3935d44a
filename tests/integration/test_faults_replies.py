"""A server that lies is found out before anything of its reply is applied."""

from __future__ import annotations

import pytest

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import pack
from keras_split.errors import ConnectionLost, ProtocolError
from support.gate import until
from support.halves import Witness, connect, train
from support.liar import Liar, bare, repeat

LYING_STEP = 2


def with_gradient(change):
    """Replaces the last tensor of the reply, which is the cut gradient."""
    return lambda message: pack(bare(message), [*message.tensors[:-1], change(message.tensors[-1])])


def with_tensors(change):
    return lambda message: pack(bare(message), change(message.tensors))


def with_header(**fields):
    def lie(message):
        header = bare(message)
        header.MergeFrom(pb.Header(**fields))
        return pack(header, message.tensors)

    return lie


def with_frames(change):
    def lie(message):
        (frame,) = repeat(message)
        change(frame)
        yield frame

    return lie


def with_dtype(number):
    return with_frames(lambda frame: setattr(frame.header.tensors[-1], "dtype", number))


def with_shape(*sizes):
    def change(frame):
        frame.header.tensors[-1].dims[:] = sizes

    return with_frames(change)


def cut_short(message):
    (frame,) = repeat(message)
    frame.data = b"short"
    yield frame
    yield pb.Frame(header=bare(message))


LIES = {
    "another shape": (with_gradient(lambda each: each[:, 1:]), "sent a cut_gradient of float32.*15"),
    "another rank": (with_gradient(lambda each: each[0]), "sent a cut_gradient of .*was agreed on"),
    "another dtype": (with_gradient(lambda each: each.astype("f8")), "float64.*same version"),
    "a tensor less": (with_tensors(lambda each: each[:-1]), "sent 2 tensors in place of 3"),
    "a tensor more": (with_tensors(lambda each: [*each, each[0]]), "sent 4 tensors in place of 3"),
    "another answer": (with_header(begun=pb.Begun(turn=1)), "an answer to another question"),
    "an old answer": (with_header(request=1), "an answer to another question"),
    "a step not counted": (with_header(stepped=pb.Stepped(version=1)), "without counting it"),
    "no header": (with_frames(lambda frame: frame.ClearField("header")), "must begin with"),
    "too few bytes": (cut_short, "ended after 5 of"),
    "too many bytes": (with_frames(lambda frame: setattr(frame, "data", b"x" * 9999)), "more than"),
    "an unknown dtype": (with_dtype(99), "unknown dtype number 99"),
    "a size of zero": (with_shape(8, 0), "sizes are from 1 to"),
    "rank 9": (with_shape(*[1] * 9), "rank 9; at most 8"),
    "a claim of terabytes": (with_shape(1 << 24, 1 << 20), "exceeds the limit"),
}


@pytest.fixture(scope="module")
def liar(shared_server):
    with Liar(shared_server) as liar:
        yield liar


@pytest.fixture(scope="module")
def liars_client(liar, shared_server):
    split = connect(shared_server, liar.address)
    yield split
    split.close()


@pytest.fixture
def split(liar, liars_client, start):
    liar.lie = repeat
    return start.load(liars_client)


@pytest.mark.parametrize(("lie", "found_out"), LIES.values(), ids=LIES)
def test_a_lie_ends_the_training_and_changes_nothing(split, liar, observer, lie, found_out):
    honest_steps = []

    def lie_once(message):
        honest_steps.append(message)
        return lie(message) if len(honest_steps) == LYING_STEP + 1 else repeat(message)

    liar.lie = lie_once
    witness = Witness(LYING_STEP, lambda: None)
    with pytest.raises(ProtocolError, match=found_out):
        train(split, callbacks=[witness])
    witness.assert_unchanged(split)
    # The turn is given back, though the honest server knows nothing of the lie.
    until(lambda: not observer.status().trainer)


def test_a_stream_that_just_ends_is_no_end_of_the_data(split, liar):
    liar.lie = lambda message: None
    witness = Witness(0, lambda: None)
    with pytest.raises(ConnectionLost, match="ended the conversation"):
        train(split, callbacks=[witness])
    witness.assert_unchanged(split)


def test_a_frontier_that_changes_its_shape_is_refused_before_any_step(connected, shared_server):
    def widen(reply):
        reply.outputs[-1].dims[:] = (-1, 99)

    with Liar(shared_server, about_preparing=widen) as liar:
        split = connected(liar.address)
        witness = Witness(0, lambda: None)
        with pytest.raises(ProtocolError, match="cut gradient of float32.*99.*fits no frontier"):
            train(split, callbacks=[witness])
        witness.assert_unchanged(split)
