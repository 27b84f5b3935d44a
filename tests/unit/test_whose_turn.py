"""Who has the turn, and nobody else, changes the body."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import Message
from keras_split.errors import VersionMismatch
from keras_split.state import read
from support.served import begin, serve


def request(kind: str, ticket: pb.Ticket) -> Message:
    contents = {
        "snapshot": pb.Snapshot(),
        "restore": pb.Restore(ticket=ticket),
        "finalize": pb.Finalize(),
        "inspect": pb.Inspect(),
    }
    return Message(pb.Header(**{kind: contents[kind]}), [])


@pytest.mark.parametrize("kind", ["snapshot", "restore", "finalize", "inspect"])
def test_a_client_that_was_silent_for_too_long_does_nothing_in_the_turn_of_another(
    tmp_path: Path, kind: str
) -> None:
    served = serve(tmp_path, owned=True, lease_seconds=1e-9)
    silent = begin(served, client="silent")
    ticket = silent._answer(request("snapshot", pb.Ticket()))[0].ticket
    begin(served, client="other")
    before, lineage = read(served.variables()), served.turns.lineage
    with pytest.raises(VersionMismatch, match="turn is over"):
        silent._answer(request(kind, ticket))
    assert served.turns.lineage == lineage
    assert all((value == before[name]).all() for name, value in read(served.variables()).items())
    assert len(list(tmp_path.glob("*.state"))) == 1
    served.engine.stop()
