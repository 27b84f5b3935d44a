"""Where a run is on a server's disk.

```
CHECKPOINT_DIR/<run>/links/       signed headers of all envelopes
CHECKPOINT_DIR/<run>/commits/     the body at the last commits
CHECKPOINT_DIR/<run>/envelopes/   those of members that hand over by this server
CHECKPOINT_DIR/<run>/away.json    who has left since the last commit
```
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from keras_split.digest import digest_of
from keras_split.server.absences import Absences
from keras_split.server.envelopes import Envelopes
from keras_split.server.links import Links
from keras_split.server.run import BYTES_BESIDE_ROSTER, Run
from keras_split.server.run_options import RunOptions
from keras_split.server.served import Served
from keras_split.state import Shelf
from keras_split.store import BlobFolder

_log = logging.getLogger(__name__)
# The newest, and one before for an administrator's sake: members accept the newest only.
_COMMITS_KEPT = 2


def open_run(served: Served, options: RunOptions, directory: Path | None) -> Run:
    """A run on a body.

    Args:
        served: The body, which has its settings.
        options: Of the run.
        directory: For snapshots and runs.

    Raises:
        ValueError: There is no `directory`, or the roster cannot be sent to members.
    """
    if directory is None:
        raise ValueError(
            "A run of several data owners lasts as long as its commits, which need a folder. Give "
            "`--checkpoint-dir`."
        )
    _check_size(options.roster, served.options.limits.max_frame_bytes - BYTES_BESIDE_ROSTER)
    name = options.rosters[-1].run
    folder = directory / name
    links = Links(folder / "links")
    run = Run(
        options,
        served.digest,
        digest_of(json.loads(served.settings_text)),
        links,
        Shelf(folder / "commits", keep=_COMMITS_KEPT, in_one_line=True),
        served.options.lease_seconds,
        envelopes=Envelopes(BlobFolder(folder / "envelopes", *options.envelope_bytes), name, links),
        absences=Absences(folder / "away.json"),
    )
    _log.info("Turns of %s (%s, %s).", ", ".join(run.rota.members), options.order, options.quota)
    return run


def _check_size(roster: str, most: int) -> None:
    size = len(roster.encode())
    if size > most:
        raise ValueError(
            f"The roster file has {size:,} bytes with all its epochs, and a reply has room for {most:,}: "
            "members that lack its newest epoch could not get it. Begin a new run, whose roster has one "
            "epoch (`keras-split roster create`); keys of `keras-split keygen --classical` take less room."
        )
