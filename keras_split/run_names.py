"""How runs are named: by hex digits alone, so that no name leads out of its folder, wherever it stands."""

from __future__ import annotations

import re
from typing import Any

_NAME = re.compile(r"[0-9a-f]{8,64}")


def is_run(name: Any) -> bool:
    """Whether a run can have this name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_run(name: Any) -> str:
    """Returns `name`.

    Raises:
        ValueError: No run can have it.
    """
    if not is_run(name):
        raise ValueError(
            f"A run is named by 8 to 64 hex digits in lower case. Received: run={str(name)[:80]!r}."
        )
    return str(name)
