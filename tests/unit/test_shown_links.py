"""A server shows the whole history, page by page, or it is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.crypto import Link
from keras_split.errors import EnvelopeRefused, MissingLinks, ProtocolError, RollbackDetected
from keras_split.owners import Membership
from support.history import Blobs, history_of, membership_in, owner_before, reply_of

COUNT = 9
Show = Callable[[pb.TurnRequest], pb.TurnReply]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Link], Blobs]:
    return history_of(COUNT, tmp_path_factory.mktemp("maker"))


def taken_by(member: Membership, blobs: Blobs, show: Show) -> float:
    """The state that it gets."""
    owner, commits = owner_before(show, blobs, member)
    taken = owner.take(lambda waiting: None)
    assert not commits
    return float(taken.state["head"])


def paged(links: list[Link], size: int) -> Show:
    """An honest server of small pages, which shows all from the beginning."""

    def show(request: pb.TurnRequest) -> pb.TurnReply:
        first = max(0, request.since)
        return reply_of(links[first : first + size], more_links=first + size < len(links))

    return show


@pytest.mark.parametrize("known", [None, 0, 3, 4, 8])
@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_a_history_comes_in_pages_wherever_the_pin_is(run, tmp_path: Path, known, size: int) -> None:
    links, blobs = run
    member = membership_in(tmp_path, None if known is None else links[known])
    assert taken_by(member, blobs, paged(links, size)) == COUNT - 1
    pin = member.pinned.read()
    assert pin is not None and (pin.number, pin.trained) == (COUNT - 1, links[-1].header.trained)


def test_a_page_is_pinned_before_the_next_one_is_asked_for(run, tmp_path: Path) -> None:
    links, blobs = run
    member, honest, pins = membership_in(tmp_path, links[3]), paged(links, 2), []

    def show(request: pb.TurnRequest) -> pb.TurnReply:
        pin = member.pinned.read()
        pins.append(pin.number if pin else -1)
        return honest(request)

    taken_by(member, blobs, show)
    # The first page has nothing that the pin vouches for.
    assert pins == [3, 3, 3, 5, 7]


def test_a_forged_page_is_refused_before_another_is_asked_for(run, tmp_path: Path) -> None:
    links, blobs = run
    forged = [Link(link.header, link.blob, link.size, bytes(64)) for link in links]
    asked: list[int] = []

    def show(request: pb.TurnRequest) -> pb.TurnReply:
        asked.append(request.since)
        return paged(forged, 2)(request)

    with pytest.raises(EnvelopeRefused):
        taken_by(membership_in(tmp_path), blobs, show)
    assert asked == [-1]


@pytest.mark.parametrize("known", [None, 4])
@pytest.mark.parametrize(
    "pages",
    [[[]], [[0, 1], []], [[0, 1], [0, 1]], [[0, 1], [1]], [[0, 1], [3]], [[0, 1], [1, 2]]],
    ids=str,
)
def test_who_promises_more_links_and_sends_other_ones_is_refused(run, tmp_path: Path, known, pages) -> None:
    links, blobs = run
    replies = iter([*pages, *[pages[-1]] * 1000])

    def show(request: pb.TurnRequest) -> pb.TurnReply:
        return reply_of([links[at] for at in next(replies)], more_links=True)

    with pytest.raises(MissingLinks):
        taken_by(membership_in(tmp_path, None if known is None else links[known]), blobs, show)


def test_a_member_that_knows_of_nothing_begins_no_run_that_others_have_begun(run, tmp_path: Path) -> None:
    owner, commits = owner_before(lambda request: reply_of([], commits=3), run[1], membership_in(tmp_path))
    with pytest.raises(MissingLinks, match="counts 3 commits"):
        owner.take(lambda waiting: None)
    with pytest.raises(MissingLinks, match="counts 3 commits"):
        owner.look()
    assert not commits


@pytest.mark.parametrize("known", [None, 2, 8])
def test_a_run_that_was_begun_is_not_begun_again(run, tmp_path: Path, known) -> None:
    links, blobs = run
    member = membership_in(tmp_path, None if known is None else links[known])
    owner, commits = owner_before(lambda request: reply_of(links, commits=0), blobs, member)
    with pytest.raises(RollbackDetected, match="nothing of the run has been committed"):
        owner.take(lambda waiting: None)
    assert not commits


def test_a_run_begins_where_nobody_has_committed_anything(tmp_path: Path) -> None:
    owner, commits = owner_before(lambda request: reply_of([], commits=0), Blobs(), membership_in(tmp_path))
    assert owner.take(lambda waiting: None).state["head"] == 0
    assert [Link.read(each.link).header.kind for each in commits] == ["secret"]


@pytest.mark.parametrize("turn", [0, 1 << 53, (1 << 64) - 1])
def test_a_turn_that_no_link_can_name_is_refused(tmp_path: Path, turn: int) -> None:
    owner, _ = owner_before(
        lambda request: reply_of([], turn=turn, commits=0), Blobs(), membership_in(tmp_path)
    )
    with pytest.raises(ProtocolError, match=f"turn={turn}"):
        owner.take(lambda waiting: None)
