"""Members take turns in order; whoever is gone keeps nobody waiting for ever, and may come back."""

from __future__ import annotations

import pytest

from keras_split.errors import Refused, TurnLost
from keras_split.turns import Granted, Quota, Record, Rota, Waiting, order_of

MEMBERS = ("a", "b", "c")
LEASE, ABSENCE = 100.0, 10.0


def rota(order: str = "round-robin", record: Record | None = None) -> Rota:
    return Rota(MEMBERS, order_of(order), Quota(1, "steps"), record or Record(), LEASE, ABSENCE)


def commit(turns: Rota, member: str, now: float, *, ends: bool = True, used: float = 1.0) -> None:
    turn = turns.turn_of(member, now)
    turns.committed(turns.record.after(turn, member, ended=ends, used=used), now)


def take(turns: Rota, member: str, now: float) -> Granted:
    answer = turns.ask(member, now)
    assert isinstance(answer, Granted), answer
    return answer


def wait(turns: Rota, member: str, now: float) -> Waiting:
    answer = turns.ask(member, now)
    assert isinstance(answer, Waiting), answer
    return answer


def holders(turns: Rota, rounds: int) -> list[str]:
    """Who gets the turns if all ask all the time and each uses its turn."""
    found = []
    for now in range(rounds):
        granted = [each for each in MEMBERS if isinstance(turns.ask(each, now), Granted)]
        assert len(granted) == 1
        found += granted
        commit(turns, granted[0], now)
    return found


def test_all_take_turns_in_the_order_of_the_roster() -> None:
    assert holders(rota(), 7) == ["a", "b", "c", "a", "b", "c", "a"]


def test_the_highest_priority_goes_first_and_equals_alternate() -> None:
    assert holders(rota("priority:b=2,c=2"), 5) == ["b", "c", "b", "c", "b"]


def test_a_random_order_is_the_same_whoever_draws_it() -> None:
    first, second = (holders(rota("random:seed"), 20) for _ in range(2))
    assert first == second
    assert set(first) == set(MEMBERS)
    assert first != holders(rota("random:other"), 20)


def test_turns_are_counted_and_a_turn_that_is_asked_for_again_is_the_same() -> None:
    turns = rota()
    assert take(turns, "a", 0) == take(turns, "a", 1) == Granted(1, 0.0)
    commit(turns, "a", 2)
    assert take(turns, "b", 3).turn == 2


def test_whoever_waits_learns_for_whom_and_how_many_come_before() -> None:
    turns = rota()
    take(turns, "a", 0)
    found = wait(turns, "c", 4)
    assert (found.member, found.trains, found.ahead, found.seconds) == ("a", True, 2, 4)
    commit(turns, "a", 6)
    found = wait(turns, "c", 7)
    assert (found.member, found.trains, found.ahead, found.usual_seconds) == ("b", False, 1, 6)


def test_who_never_comes_is_waited_for_once() -> None:
    turns = rota()
    assert wait(turns, "b", 0).member == "a"
    assert wait(turns, "b", ABSENCE - 1).member == "a"
    take(turns, "b", ABSENCE)
    commit(turns, "b", ABSENCE)
    assert wait(turns, "b", ABSENCE).member == "c"
    assert take(turns, "b", 2 * ABSENCE).turn == 2
    commit(turns, "b", 2 * ABSENCE)
    assert take(turns, "b", 2 * ABSENCE).turn == 3


def test_who_comes_late_has_its_place() -> None:
    turns = rota()
    wait(turns, "b", 0)
    take(turns, "b", ABSENCE)
    assert wait(turns, "a", ABSENCE).ahead == 1 + 1
    commit(turns, "b", ABSENCE)
    take(turns, "c", ABSENCE)
    commit(turns, "c", ABSENCE)
    take(turns, "a", ABSENCE)


def test_a_silent_holder_loses_its_turn_and_may_come_back() -> None:
    turns = rota()
    take(turns, "a", 0)
    turns.renew("a", 1, LEASE - 1)
    assert wait(turns, "b", 2 * LEASE - 2).member == "a"
    assert take(turns, "b", 2 * LEASE).turn == 1
    with pytest.raises(TurnLost):
        turns.renew("a", 1, 2 * LEASE)
    commit(turns, "b", 2 * LEASE)
    assert wait(turns, "a", 2 * LEASE).member == "c"


def test_a_turn_that_was_committed_in_its_midst_outlives_the_server() -> None:
    turns = rota()
    take(turns, "a", 0)
    commit(turns, "a", 1, ends=False, used=3.0)
    again = rota(record=Record.from_json(turns.record.to_json()))
    assert wait(again, "b", 50).member == "a"
    assert take(again, "a", 51) == Granted(1, 3.0)


def test_a_turn_without_a_commit_is_given_out_anew() -> None:
    turns = rota()
    take(turns, "a", 0)
    commit(turns, "a", 0)
    take(turns, "b", 1)
    again = rota(record=turns.record)
    assert wait(again, "c", 2).member == "b"
    assert take(again, "b", 3).turn == 2


def test_who_leaves_is_not_waited_for_and_what_it_had_not_committed_is_lost() -> None:
    turns = rota()
    take(turns, "a", 0)
    turns.leave("a")
    assert take(turns, "b", 0).turn == 1
    with pytest.raises(TurnLost):
        turns.turn_of("a", 0)


def test_strangers_get_no_turn() -> None:
    with pytest.raises(Refused, match="'d' is no member of this run"):
        rota().ask("d", 0)


@pytest.mark.parametrize(
    ("text", "quota"),
    [
        ("epoch", Quota(1, "epochs")),
        ("3 epochs", Quota(3, "epochs")),
        ("100", Quota(100, "steps")),
        ("1 step", Quota(1, "steps")),
        ("30s", Quota(30, "seconds")),
        ("0.5 seconds", Quota(0.5, "seconds")),
    ],
)
def test_a_turns_length_is_read_as_one_says_it(text: str, quota: Quota) -> None:
    assert Quota.parse(text) == quota
    assert Quota.parse(str(quota)) == quota


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5 epochs", "three", "5 hours", "nan", "1e400"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="A turn's length is written as"):
        Quota.parse(text)


@pytest.mark.parametrize(
    "text", ["", "robin", "priority", "priority:", "priority:a", "priority:a=x", "random:"]
)
def test_what_is_no_order_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="An order of turns is one of"):
        order_of(text)
