"""What one data owner does in its turns is never at the others' cost."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from keras_split.crypto import Identity, Trained
from keras_split.errors import NotFinite
from keras_split.owners import membership
from keras_split.server.run import RunOptions
from keras_split.turns import Quota
from support.simulated import HEAD, LONG, Blobs, Client, Disk, Faults, Server, roster_of, transparent

IDENTITIES = [Identity.generate(name, post_quantum=False) for name in "ab"]
Connect = Callable[[str], Client]


@pytest.fixture
def member() -> Iterator[Connect]:
    """Connects members of one run, on which nothing goes wrong by itself."""
    with transparent():
        roster, faults = roster_of(IDENTITIES), Faults(random.Random(0), 0.0)
        options = RunOptions(roster, membership.read_rosters(roster), "round-robin", Quota(2, "steps"))
        server = Server(Disk(), options, faults, LONG)
        keys = {each.name: each for each in IDENTITIES}
        yield lambda name: Client(keys[name], roster, server, Blobs(server.disk, faults), 3, faults)


def not_waiting(waiting: object) -> None:
    raise AssertionError("The turn is another's.")


def test_a_state_that_is_not_finite_is_not_handed_over_and_all_go_on_from_the_last_commit(member) -> None:
    diverged, other = member("a"), member("b")
    for number in (np.nan, np.inf):
        turn = diverged.owner.take(not_waiting).turn
        diverged.session.step(1)
        with pytest.raises(NotFinite, match="'head'.*Lower the learning rate"):
            diverged.owner.commit({"head": np.array(number)}, turn, Trained(0, 1), ends=True, used=1.0)
        diverged.owner.leave(is_done=False)
        taken = other.owner.take(not_waiting)
        assert (taken.state["head"], other.session.version) == (HEAD, 0)
        other.owner.leave(is_done=False)
        again = diverged.owner.take(not_waiting)
        assert (again.state["head"], again.trained, diverged.session.version) == (HEAD, Trained(), 0)
