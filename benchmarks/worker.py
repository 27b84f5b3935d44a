"""A process that trains one model when it is told to: `python -m benchmarks.worker JOB`.

Commands are names of the trainee's methods, one per line of the standard input; each is answered
with a line of JSON.
"""

from __future__ import annotations

import json
import os
import sys

from benchmarks.processes import Job
from benchmarks.trainees import trainee


def main(job: Job) -> None:
    """Answers commands until there are no more."""
    # Whatever else writes to the standard output must not end up between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    training = trainee(job)
    for line in sys.stdin:
        command = getattr(training, line.strip())
        print(json.dumps(command()), file=answers, flush=True)
    training.close()


if __name__ == "__main__":
    main(Job.from_json(sys.argv[1]))
