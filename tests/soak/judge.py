"""Compares what a run has come to with one machine that has trained the same batches, undisturbed.

`python -m soak.judge JSON` fails where they differ.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from keras_split import Credentials, SplitModel
from keras_split.crypto import Link, open_envelope
from keras_split.state import Bundle, Shelf
from soak.plan import Plan
from support import bodies
from support.equality import assert_same_arrays, client_state, states_of_whole
from support.halves import label_slots
from support.run import whole_in_turns


def main(
    *,
    address: str,
    certificates: str,
    identity: str,
    roster: str,
    handover: str,
    run_folder: str,
    plan: dict[str, Any],
) -> None:
    """Raises AssertionError where anything differs: any bit, the order, or the count of steps."""
    credentials = Credentials.from_directory(certificates)
    split = SplitModel.connect(address, credentials, identity=identity, roster=roster, handover=handover)
    split.refresh()
    folder, wanted = Path(run_folder), Plan(**plan)
    whole = whole_in_turns(_beginning(split, folder), wanted.order())
    client, body = states_of_whole(whole, bodies.CUT)
    assert_same_arrays(client, client_state(split), "client")
    found = Shelf(folder / "commits", in_one_line=True).latest()
    assert found is not None
    assert found[2]["version"] == len(wanted.order()), "steps"
    assert_same_arrays(body, label_slots(found[1]), "server")
    print(f"Equal: {len(client)} variables of the clients, {len(body)} of the server", flush=True)
    split.close()


def _beginning(split: Any, folder: Path) -> Bundle:
    """What the run's secret expands to."""
    link = Link.read(next(iter(sorted((folder / "links").glob("*.link")))).read_bytes())
    owner = split._ownership.owner
    membership, blob = owner.membership, owner._handover.get(link.blob, link.size)
    secret = open_envelope(membership.identity, membership.roster, link, blob)
    now = split._ownership.state.read()
    start = split._ownership.state.expand(secret)
    split._ownership.state.write(now)
    return start


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
