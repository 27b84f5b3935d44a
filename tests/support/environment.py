"""What a child process of the tests is given."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_TESTS = Path(__file__).parents[1]


def environment() -> dict[str, str]:
    """This process' environment, for a child that imports what this process can."""
    paths = [str(_TESTS), *filter(None, sys.path)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
