"""A run of the soak: killed at random instants until it is over, and judged then."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from soak.clinic import Clinic
from soak.plan import Plan
from soak.ward import Ward
from soak.weather import Weather

_RUN_SECONDS = 1800.0
_RECOVERY_SECONDS = 90.0
_LONGEST_PAUSE_SECONDS = 1.5
_WEATHER_SECONDS = 4.0
_SEVERAL = 0.15


class Stuck(Exception):
    """A run that does not go on."""


@dataclass
class Kill:
    """One SIGKILL, or several at one instant.

    Args:
        names: Who was killed.
        at_seconds: From the run's start.
        recovery_seconds: From the kill to the next commit on the server's disk.
    """

    names: list[str]
    at_seconds: float
    recovery_seconds: float


@dataclass
class Outcome:
    """What became of a run.

    Args:
        plan: What it was.
        kills: In order.
        weather: Disturbances, by kind.
        errors: By role, how often a process ended with an error of its own and was started again.
        seconds: Of all.
        verdict: Of the judge, in words.
        is_equal: Whether all is as in an undisturbed run.
    """

    plan: Plan
    kills: list[Kill] = field(default_factory=list)
    weather: Counter[str] = field(default_factory=Counter)
    errors: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    verdict: str = ""
    is_equal: bool = False


def run(plan: Plan, folder: Path, ward: Ward, kills: int) -> Outcome:
    """Runs a plan with at most so many kills; a run may be over before."""
    outcome, start = Outcome(plan), time.monotonic()
    drawn = random.Random(plan.seed)
    with Clinic(plan, folder, ward) as clinic:
        try:
            with Weather(clinic, random.Random(drawn.random()), _WEATHER_SECONDS) as weather:
                _await_commit(clinic, set(), start)
                while len(outcome.kills) < kills and _strike(clinic, drawn, outcome, start):
                    pass
            outcome.weather = weather.counts
            if not ward.until(lambda: all(each.is_over for each in clinic.owners), _RUN_SECONDS):
                raise Stuck("The owners do not come to their end.")
            _judge(clinic, outcome)
        except Stuck as error:
            outcome.verdict = str(error)
        outcome.errors = {name: each.errors for name, each in ward.patients.items() if each.errors}
    outcome.seconds = time.monotonic() - start
    return outcome


def _strike(clinic: Clinic, drawn: random.Random, outcome: Outcome, start: float) -> bool:
    """Kills at a random instant and waits until the run goes on; False if there is nothing left to kill."""
    time.sleep(drawn.uniform(0, _LONGEST_PAUSE_SECONDS))
    # Whoever has made its last commit is done, and as a program that is started again would train anew.
    unfinished = clinic.unfinished()
    if not unfinished:
        return False
    names = sorted(drawn.sample([*unfinished, "server", "store"], 2 if drawn.random() < _SEVERAL else 1))
    before, now = clinic.commits(), time.monotonic()
    if killed := clinic.ward.kill(names):
        _await_commit(clinic, before, now)
        outcome.kills.append(Kill(killed, now - start, time.monotonic() - now))
    return True


def _await_commit(clinic: Clinic, before: set[str], since: float) -> None:
    goes_on = clinic.ward.until(
        lambda: bool(clinic.commits() - before) or all(each.is_over for each in clinic.owners),
        _RECOVERY_SECONDS,
    )
    if not goes_on:
        raise Stuck(f"There was no commit for {time.monotonic() - since:.0f} s.")


def _judge(clinic: Clinic, outcome: Outcome) -> None:
    judge = clinic.start_judge()
    clinic.ward.until(lambda: judge.is_over or judge.errors > 0, _RECOVERY_SECONDS)
    outcome.is_equal = judge.is_over
    lines = [line for line in judge.printed.splitlines() if line.strip()] or ["It did not answer."]
    outcome.verdict = lines[-1]
