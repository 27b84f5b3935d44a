"""Whatever one side says about turns, the other understands it or refuses it by name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.crypto import read_rosters
from keras_split.errors import ProtocolError, SplitError
from keras_split.owners.owner import _read_quota
from keras_split.owners.waiting import read_waiting
from keras_split.server.links import Links
from keras_split.server.run import Run
from keras_split.server.run_options import RunOptions
from keras_split.state import Shelf
from support.history import AGREED, ROSTER, history_of, membership_in, owner_before

COUNT = 5
with tempfile.TemporaryDirectory() as maker:
    LINKS, BLOBS = history_of(COUNT, Path(maker))
IN_A_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
INT64 = st.integers(-(2**63), 2**63 - 1)

UINT64 = st.integers(0, 2**64 - 1)
HONEST = [link.to_bytes() for link in LINKS]
PAGES = st.tuples(st.integers(0, COUNT), st.integers(0, COUNT)).map(lambda ends: HONEST[slice(*ends)])
REPLIES = st.builds(
    pb.TurnReply,
    turn=st.integers(0, 9) | UINT64,
    used=st.floats(),
    quota=st.just(1.0) | st.floats(),
    unit=st.sampled_from(["steps", "epochs", "seconds", "", "x" * 99]) | st.text(max_size=9),
    commit_every=UINT64,
    links=PAGES | st.lists(st.sampled_from(HONEST) | st.binary(max_size=99), max_size=3),
    more_links=st.booleans(),
    roster=st.just(ROSTER) | st.text(max_size=99),
    commits=st.integers(0, COUNT) | UINT64,
)
NO_LENGTHS = [
    (0.0, "steps"),
    (-1.0, "epochs"),
    (float("nan"), "seconds"),
    (float("inf"), "steps"),
    (1.0, "x"),
]


@IN_A_FOLDER
@given(replies=st.lists(REPLIES, min_size=1, max_size=4), known=st.sampled_from([None, *LINKS]))
def test_any_replies_about_a_turn_are_understood_or_refused(tmp_path: Path, replies, known) -> None:
    member = membership_in(Path(tempfile.mkdtemp(dir=tmp_path)), known)
    said: Iterator[pb.TurnReply] = chain(replies, repeat(replies[-1]))
    owner, commits = owner_before(lambda request: next(said), BLOBS, member)
    try:
        state = owner.take(lambda waiting: None).state
    except SplitError:
        assert not commits
    else:
        assert set(state) == {"head"}
    pin = member.pinned.read()
    if known is not None:
        assert pin is not None and pin.number >= known.header.number and not commits


@pytest.mark.parametrize(("quota", "unit"), NO_LENGTHS)
def test_a_turn_of_no_length_is_refused(quota: float, unit: str) -> None:
    with pytest.raises(ProtocolError, match="no length that there is"):
        _read_quota(pb.TurnReply(quota=quota, unit=unit))


def test_only_names_of_members_are_shown() -> None:
    escape = pb.Waiting(member="\x1b[2J", trains=True, ahead=1)
    assert str(read_waiting(escape, ["a"])) == "another member trains"
    assert str(read_waiting(pb.Waiting(member="a", trains=True, ahead=1), ["a"])) == "a trains"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    options = RunOptions(ROSTER, read_rosters(ROSTER))
    made = Run(
        options,
        AGREED.topology,
        AGREED.settings,
        Links(tmp_path / "links"),
        Shelf(tmp_path / "commits"),
        60.0,
    )
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
