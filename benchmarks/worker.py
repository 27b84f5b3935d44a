"""A process that trains one model when it is told to: `python -m benchmarks.worker JOB`.

Commands come as lines on the standard input; each is answered with a line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from benchmarks.processes import Job
from benchmarks.trainees import Split, Whole


def main(job: Job) -> None:
    """Answers commands until there are no more."""
    # Whatever else writes to the standard output must not end up between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    trainee: Any = Split(job) if job.is_split else Whole(job)
    commands = {
        "train": trainee.train,
        "memory": trainee.memory,
        "parts": trainee.parts,
        "breakdown": getattr(trainee, "breakdown", None),
        "traffic": getattr(trainee, "traffic", None),
    }
    for line in sys.stdin:
        answers.write(json.dumps(commands[line.strip()]()) + "\n")
        answers.flush()
    trainee.close()


if __name__ == "__main__":
    main(Job.from_json(sys.argv[1]))
