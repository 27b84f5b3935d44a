"""Every attack of the corpus is refused by name before Keras sees it, in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from keras_split.topology import read_offer
from support.environment import environment
from support.hostile_topologies import CASES, LEAKS, honest

MOST_MB = 50
MOST_SECONDS = 10


class Refused(NamedTuple):
    name: str
    seconds: float
    megabytes: float
    error: str
    text: str


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Refused]:
    """One process that has imported Keras is offered them all, one after the other."""
    file = tmp_path_factory.mktemp("attacks") / "offers"
    with file.open("w") as lines:
        for name, made in CASES.items():
            lines.write(json.dumps([name, made()]) + "\n")
    support = str(Path(__file__).parents[1])
    variables = {**environment(), "TF_CPP_MIN_LOG_LEVEL": "3"}
    variables["PYTHONPATH"] = ":".join(filter(None, (variables.get("PYTHONPATH"), support)))
    command = [sys.executable, "-m", "support.refuses", str(file)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, env=variables, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    rows = [Refused(*json.loads(line)) for line in found.stdout.splitlines()]
    return {each.name: each for each in rows}


# One test for all: each worker of a parallel run would start a process of its own for its share.
def test_every_attack_is_refused_before_keras_sees_it_in_little_memory(outcomes: dict[str, Refused]) -> None:
    assert list(outcomes) == list(CASES)
    accepted = [each for each in outcomes.values() if each.error != "TopologyError"]
    assert not accepted
    unreadable = [each for each in outcomes.values() if not each.text.isprintable() or len(each.text) >= 6500]
    assert not unreadable
    mistaken = [name for name in LEAKS if not _is_told_as_leak(outcomes[name].text)]
    assert not mistaken
    assert max(each.megabytes for each in outcomes.values()) < MOST_MB
    assert max(each.seconds for each in outcomes.values()) < MOST_SECONDS


def _is_told_as_leak(text: str) -> bool:
    return "raw input 'raw'" in text or "input 'raw' would be compared" in text


def test_the_offer_without_an_attack_is_accepted() -> None:
    found: dict[str, Any] = honest()
    offer = read_offer(found["topology"], "digest", found["settings"])
    assert offer.parameters == 36
    assert offer.bytes_per_sample == 16
