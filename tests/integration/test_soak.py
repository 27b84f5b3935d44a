"""The soak's short form: `make soak` is the long one."""

from __future__ import annotations

from soak.__main__ import soak


def test_a_run_whose_processes_are_killed_at_random_instants_ends_as_an_undisturbed_one(tmp_path):
    outcomes = soak(kills=5, seed=2, epochs=6, folder=tmp_path)
    assert all(each.is_equal for each in outcomes), [each.verdict for each in outcomes]
    assert sum(len(kill.names) for each in outcomes for kill in each.kills) >= 5
