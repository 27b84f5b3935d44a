"""Whatever one side says about turns, the other understands it or refuses it by name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.crypto import Identity, create_roster, read_rosters
from keras_split.errors import ProtocolError, SplitError
from keras_split.owners import Agreed, DataOwner, Membership, Places, Waiting
from keras_split.owners.owner import _read_quota
from keras_split.server.links import Links
from keras_split.server.run import Run, RunOptions
from keras_split.state import Shelf

IDENTITY = Identity.generate("a", post_quantum=False)
ROSTER = create_roster([IDENTITY.member], [IDENTITY.member], signers=[IDENTITY])
TOPOLOGY, SETTINGS = "1" * 64, "2" * 64
IN_A_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
INT64 = st.integers(-(2**63), 2**63 - 1)

REPLIES = st.builds(
    pb.TurnReply,
    turn=st.integers(0, 2**64 - 1),
    used=st.floats(),
    quota=st.floats(),
    unit=st.sampled_from(["steps", "epochs", "seconds", "", "x" * 99]) | st.text(max_size=9),
    commit_every=st.integers(0, 2**64 - 1),
    links=st.lists(st.binary(max_size=99), max_size=3),
    roster=st.just(ROSTER) | st.text(max_size=99),
    commits=st.integers(0, 2**64 - 1),
)
NO_LENGTHS = [
    (0.0, "steps"),
    (-1.0, "epochs"),
    (float("nan"), "seconds"),
    (float("inf"), "steps"),
    (1.0, "x"),
]


class Understood(Exception):
    """The client goes on with the reply."""


@IN_A_FOLDER
@given(reply=REPLIES)
def test_any_reply_about_a_turn_is_understood_or_refused(tmp_path: Path, reply: pb.TurnReply) -> None:
    def begin(*position: Any) -> None:
        raise Understood

    session: Any = SimpleNamespace(ask_for_turn=lambda request: reply, take_turn=begin, version=0)
    handover: Any = SimpleNamespace(address="")
    membership = Membership(IDENTITY, ROSTER, Places(folder=tmp_path))
    agreed = Agreed(TOPOLOGY, SETTINGS)
    owner = DataOwner(membership, handover, lambda: session, agreed, lambda secret: {}, 64)
    with pytest.raises((SplitError, Understood)):
        owner.take(lambda waiting: None)


@pytest.mark.parametrize(("quota", "unit"), NO_LENGTHS)
def test_a_turn_of_no_length_is_refused(quota: float, unit: str) -> None:
    with pytest.raises(ProtocolError, match="no length that there is"):
        _read_quota(pb.TurnReply(quota=quota, unit=unit))


def test_only_names_of_members_are_shown() -> None:
    escape = pb.Waiting(member="\x1b[2J", trains=True, ahead=1)
    assert str(Waiting.of(escape, ["a"])) == "another member trains"
    assert str(Waiting.of(pb.Waiting(member="a", trains=True, ahead=1), ["a"])) == "a trains"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    options = RunOptions(ROSTER, read_rosters(ROSTER))
    made = Run(options, TOPOLOGY, SETTINGS, Links(tmp_path / "links"), Shelf(tmp_path / "commits"), 60.0)
    made.begin(lambda: {"body": np.array(0)})
    return made


@IN_A_FOLDER
@given(since=INT64, pinned=INT64, looks=st.booleans())
def test_any_request_about_a_turn_has_an_answer(run: Run, since: int, pinned: int, looks: bool) -> None:
    assert run.ask("a", pb.TurnRequest(since=since, pinned=pinned, looks=looks)).commits == 0


def test_an_address_that_is_none_is_refused(run: Run) -> None:
    with pytest.raises(ProtocolError, match="longer than any"):
        run.ask("a", pb.TurnRequest(address="a" * 2000))


@IN_A_FOLDER
@given(link=st.binary(max_size=99))
def test_any_commit_that_is_none_is_refused(run: Run, link: bytes) -> None:
    turn = run.ask("a", pb.TurnRequest(since=-1, pinned=-1)).turn
    with pytest.raises(SplitError):
        run.commit("a", turn, pb.Commit(link=link), lambda: {"body": np.array(0)}, 0)
