"""Whatever dies, and whatever the line loses: each step counts once, in the order of an undisturbed run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_split.crypto import Identity, Trained
from keras_split.errors import EnvelopeRefused
from keras_split.owners import DataOwner
from keras_split.state import state_digest
from support.simulated import (
    BODY,
    HEAD,
    Client,
    Disk,
    Schedule,
    Server,
    hash_of,
    roster_of,
    run_all,
    trained,
    transparent,
)

NAMES = ("a", "b", "c")
# Drawing one costs more than running it, so that many are made of each that is drawn.
BATCH = 25
SCHEDULES = int(os.environ.get("KERAS_SPLIT_SCHEDULES", "10000"))

Members = tuple[list[Identity], list[str]]


@pytest.fixture(scope="module")
def members() -> Iterator[Members]:
    """Identities, and the rosters of the first one, two and three of them."""
    made = [Identity.generate(name, post_quantum=False) for name in NAMES]
    with transparent():
        yield made, [roster_of(made[:count]) for count in range(1, 4)]


def run(members: Members, plan: Schedule, make: type[Server] = Server) -> Disk:
    count = len(plan.steps)
    return run_all(members[0][:count], members[1][count - 1], plan, make)


def undisturbed(plan: Schedule) -> list[int]:
    """Round robin, step by step."""
    seen: list[int] = []
    done = [0] * len(plan.steps)
    while done != list(plan.steps):
        for at, name in enumerate(NAMES[: len(plan.steps)]):
            for _ in range(min(plan.quota, plan.steps[at] - done[at])):
                seen.append(hash_of(name, done[at]))
                done[at] += 1
    return seen


def seen_in(disk: Disk, plan: Schedule) -> list[int]:
    """What was trained, in order, once it is sure that both halves have come to the same."""
    _, body, metadata = disk.commits[-1]
    seen, record = [int(each) for each in body["seen"]], metadata["run"]
    assert int(body["body"]) == trained(BODY, seen)
    head = {"head": np.array(trained(HEAD, seen))}
    assert disk.links[record["number"]].header.result == state_digest(head)
    assert set(range(record["number"] + 1)) <= set(disk.links)
    assert {name: pin.trained.steps for name, pin in disk.pins.items()} == dict(
        zip(NAMES, plan.steps, strict=False)
    )
    return seen


def assert_each_once(disk: Disk, plan: Schedule) -> None:
    seen = seen_in(disk, plan)
    own = [[hash_of(name, at) for at in range(count)] for name, count in zip(NAMES, plan.steps, strict=False)]
    for steps in own:
        assert [each for each in seen if each in steps] == steps
    assert len(seen) == sum(plan.steps)


def schedules(**given: object) -> st.SearchStrategy[Schedule]:
    return st.builds(
        Schedule,
        seed=st.integers(0, 2**32),
        rate=st.sampled_from([0.0, 0.02, 0.05, 0.1]),
        steps=st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
        quota=st.integers(1, 3),
        commit_every=st.integers(0, 2),
        **given,
    )


def many(count: int) -> settings:
    return settings(max_examples=max(1, count // BATCH), suppress_health_check=list(HealthCheck))


def each_of(plan: Schedule) -> Iterator[Schedule]:
    return (Schedule(**{**vars(plan), "seed": plan.seed + at}) for at in range(BATCH))


# In four parts, so that several processors can share them.
@pytest.mark.parametrize("part", range(4))
@many(SCHEDULES // 5)
@given(drawn=schedules())
def test_every_schedule_of_faults_ends_as_the_undisturbed_run(members, part, drawn):
    del part
    for plan in each_of(drawn):
        assert seen_in(run(members, plan), plan) == undisturbed(plan)


@many(SCHEDULES // 5)
@given(schedules(lease=st.sampled_from([4.0, 8.0, 20.0]), rests=st.sampled_from([0.0, 0.3, 0.7])))
def test_when_leases_end_each_step_still_counts_once(members, drawn):
    for plan in each_of(drawn):
        assert_each_once(run(members, plan), plan)


class RepliesFirst(Server):
    """Says that a commit lasts before it does."""

    def commit(self, member, commit):
        before = list(self.disk.commits)
        super().commit(member, commit)
        if self._faults.strike():
            self.disk.commits[:] = before
            self.start()


class TakesNothingBack(Server):
    """Goes on with steps of a turn that was never committed."""

    def begin(self, member):
        seen = self.seen
        super().begin(member)
        self.seen = seen
        return len(self.disk.commits[-1][1]["seen"])


class FencesNobody(Server):
    """Lets whoever had the turn once go on."""

    def step(self, member, value):
        self._stream(member)
        self.seen.append(value)
        return len(self.seen)


@pytest.mark.parametrize("fault", [RepliesFirst, TakesNothingBack, FencesNobody])
def test_the_simulation_finds_a_server_that_doubles_or_loses_steps(members, fault):
    assert finds(members, fault)


def test_the_simulation_finds_a_client_that_takes_nothing_back(members, monkeypatch):
    take = Client._take

    def goes_on(self):
        trained, state = self.trained, self.state
        take(self)
        if self.taken is not None and state:
            self.trained, self.state = trained, state

    monkeypatch.setattr(Client, "_take", goes_on)
    assert finds(members, Server)


def test_the_simulation_finds_a_client_that_forgets_how_far_it_was(members, monkeypatch):
    monkeypatch.setattr(DataOwner, "_trained", lambda self: Trained())
    assert finds(members, Server)


def finds(members: Members, make: type[Server]) -> bool:
    """Whether one of some hundred schedules shows that something is wrong."""
    for seed in range(60):
        plan = Schedule(seed, 0.1, (3, 2, 3), 2, 1 + seed % 2, lease=8.0, rests=0.3)
        try:
            assert_each_once(run(members, plan, make), plan)
        except (AssertionError, EnvelopeRefused):
            return True
    return False
