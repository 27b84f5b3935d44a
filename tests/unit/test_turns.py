"""One client trains at a time, and every step counts once, in whatever order things go wrong."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from keras_split.errors import TrainerBusy, VersionMismatch
from keras_split.turns import Turns, Verdict

LEASE = 10.0
CLIENTS = ("first", "second", "third")
FATES = ("done", "request lost", "reply lost")


@pytest.fixture
def turns():
    return Turns(LEASE, lineage=1)


def at(turns):
    return turns.lineage, turns.version


def apply(turns, turn, step, now=0.0):
    assert turns.step(turn.number, step, at(turns), now) is Verdict.APPLY
    turns.applied(step)


def test_nobody_trains_at_first(turns):
    assert turns.holder(0) == ""


def test_a_second_client_waits_for_the_first(turns):
    turn = turns.begin("first", 0, 0)
    with pytest.raises(TrainerBusy, match=r"Another client \(first\) trains.*need no turn"):
        turns.begin("second", 0, 1)
    assert turns.holder(1) == "first"
    turns.disconnect(turn)
    assert turns.holder(1) == ""
    assert turns.begin("second", 0, 1).number == turn.number + 1


def test_silence_ends_a_turn_and_steps_renew_it(turns):
    turn = turns.begin("first", 0, 0)
    apply(turns, turn, 11, now=LEASE - 1)
    with pytest.raises(TrainerBusy):
        turns.begin("second", 0, LEASE + 1)
    turns.begin("second", 0, 2 * LEASE)
    with pytest.raises(VersionMismatch, match="turn is over"):
        turns.step(turn.number, 12, at(turns), 2 * LEASE)


def test_every_request_renews_a_turn(turns):
    turn = turns.begin("first", 0, 0)
    turns.renew(turn.number, LEASE - 1)
    with pytest.raises(TrainerBusy):
        turns.begin("second", 0, LEASE + 1)
    turns.begin("second", 0, 2 * LEASE)
    with pytest.raises(VersionMismatch, match="turn is over"):
        turns.renew(turn.number, 2 * LEASE)


def test_a_silent_holder_goes_on_if_nobody_else_came(turns):
    turn = turns.begin("first", 0, 0)
    apply(turns, turn, 11, now=5 * LEASE)


def test_a_holder_that_lost_its_connection_resumes(turns):
    turn = turns.begin("first", 0, 0)
    turns.disconnect(turn)
    again = turns.begin("first", turn.number, 1)
    assert again.number == turn.number
    with pytest.raises(TrainerBusy):
        turns.begin("second", 0, 1)


def test_the_end_of_an_old_connection_does_not_end_a_resumed_turn(turns):
    # The server may see that a line is dead long after the client has taken another one.
    old = turns.begin("first", 0, 0)
    new = turns.begin("first", old.number, 1)
    turns.disconnect(old)
    with pytest.raises(TrainerBusy):
        turns.begin("second", 0, 2)
    turns.disconnect(new)
    turns.begin("second", 0, 2)


@pytest.mark.parametrize("thief", ["first", "second"])
def test_a_turn_that_another_one_followed_is_not_resumed(turns, thief):
    turn = turns.begin("first", 0, 0)
    turns.disconnect(turn)
    turns.begin(thief, 0, 1)
    with pytest.raises(VersionMismatch, match="turn .* is over"):
        turns.begin("first", turn.number, 2)


def test_a_turn_is_not_resumed_by_another_client_or_after_a_restart(turns):
    with pytest.raises(VersionMismatch, match="restarted"):
        turns.begin("first", 5, 0)
    turn = turns.begin("first", 0, 0)
    with pytest.raises(VersionMismatch):
        turns.begin("second", turn.number, 0)


def test_a_client_may_begin_anew_before_the_end_of_its_last_turn_is_seen(turns):
    old = turns.begin("first", 0, 0)
    new = turns.begin("first", 0, 0)
    assert new.number != old.number
    with pytest.raises(VersionMismatch, match="turn is over"):
        turns.step(old.number, 11, at(turns), 0)


def test_the_last_step_is_repeated_and_no_other(turns):
    turn = turns.begin("first", 0, 0)
    start = at(turns)
    apply(turns, turn, 11)
    assert turns.step(turn.number, 11, start, 0) is Verdict.REPEAT
    with pytest.raises(VersionMismatch, match="seen 0 updates and the server 1"):
        turns.step(turn.number, 12, start, 0)
    apply(turns, turn, 12)
    with pytest.raises(VersionMismatch, match="seen 0 updates and the server 2"):
        turns.step(turn.number, 11, start, 0)


def test_nothing_is_repeated_across_a_restore(turns):
    turn = turns.begin("first", 0, 0)
    apply(turns, turn, 11)
    turns.restored(version=1, lineage=2)
    for state in ((1, 0), (1, 1), (2, 0)):
        with pytest.raises(VersionMismatch, match="restored in between"):
            turns.step(turn.number, 11, state, 0)
    assert turns.step(turn.number, 12, (2, 1), 0) is Verdict.APPLY


class Disorder(RuleBasedStateMachine):
    """Clients that lose requests, replies and connections, against one server.

    Both sides keep the list of steps that they have applied, in place of weights.
    """

    def __init__(self):
        super().__init__()
        self.turns = Turns(LEASE, lineage=1)
        self.now = 0.0
        self.steps = 0
        self.server: list[int] = []
        self.client = {name: [] for name in CLIENTS}
        self.lineage = dict.fromkeys(CLIENTS, 1)
        self.turn = dict.fromkeys(CLIENTS)
        self.streams = {name: [] for name in CLIENTS}
        self.pending = dict.fromkeys(CLIENTS)
        self.snapshots: list[list[int]] = [[]]

    @rule(name=st.sampled_from(CLIENTS))
    def begin(self, name):
        resumed = self.turn[name].number if self.turn[name] else 0
        holder = self.turns.holder(self.now)
        try:
            turn = self.turns.begin(name, resumed, self.now)
        except TrainerBusy:
            assert holder not in ("", name)
            return
        except VersionMismatch:
            assert resumed
            self.turn[name] = self.pending[name] = None
            return
        assert resumed or holder in ("", name)
        self.turn[name] = turn
        self.streams[name].append(turn)

    @rule(name=st.sampled_from(CLIENTS), fates=st.lists(st.sampled_from(FATES), min_size=1))
    def train(self, name, fates):
        for fate in fates:
            if self.turn[name] is None:
                self.begin(name)
            if self.turn[name] is not None:
                self._step(name, fate)

    def _step(self, name, fate):
        if self.pending[name] is None:
            self.steps += 1
            self.pending[name] = self.steps
        if fate != "request lost" and self._serve(name) and fate != "reply lost":
            self.client[name].append(self.pending[name])
            self.pending[name] = None

    def _serve(self, name):
        state = (self.lineage[name], len(self.client[name]))
        step = self.pending[name]
        try:
            verdict = self.turns.step(self.turn[name].number, step, state, self.now)
        except VersionMismatch:
            apart = state[0] != self.turns.lineage or self.client[name] != self.server
            assert apart or self.turns.holder(self.now) != name
            self.turn[name] = self.pending[name] = None
            return False
        if verdict is Verdict.APPLY:
            assert self.client[name] == self.server
            self.server.append(step)
            self.turns.applied(step)
        else:
            assert [*self.client[name], step] == self.server
        return True

    @rule(name=st.sampled_from(CLIENTS))
    def end_turn(self, name):
        if self.turn[name] is not None:
            self.turns.disconnect(self.turn[name])
            self.turn[name] = self.pending[name] = None

    @rule(name=st.sampled_from(CLIENTS), which=st.integers(0, 9))
    def an_old_or_new_stream_breaks(self, name, which):
        if self.streams[name]:
            self.turns.disconnect(self.streams[name][which % len(self.streams[name])])

    @rule(seconds=st.floats(0, 2 * LEASE))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def keep(self):
        self.snapshots.append(list(self.server))

    @rule(name=st.sampled_from(CLIENTS), which=st.integers(0, 9))
    def go_back(self, name, which):
        self.begin(name)
        if self.turn[name] is None or self.turns.holder(self.now) != name:
            return
        self.server = list(self.snapshots[which % len(self.snapshots)])
        self.turns.restored(len(self.server), self.turns.lineage + 1)
        self.client[name], self.lineage[name] = list(self.server), self.turns.lineage
        self.pending[name] = None

    @precondition(lambda self: self.server)
    @rule()
    def the_server_restarts(self):
        self.server = list(self.snapshots[-1])
        lineage = self.turns.lineage + 1
        self.turns = Turns(LEASE, lineage)
        self.turns.restored(len(self.server), lineage)

    @invariant()
    def every_step_counts_once(self):
        assert len(set(self.server)) == len(self.server) == self.turns.version

    @invariant()
    def a_client_is_at_most_one_step_behind_what_it_was_told(self):
        for name in CLIENTS:
            assert len(set(self.client[name])) == len(self.client[name])


TestDisorder = Disorder.TestCase
TestDisorder.settings = settings(max_examples=200, stateful_step_count=40)
