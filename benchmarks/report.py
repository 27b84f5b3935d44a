"""What was measured, as a file for people and programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_DIGITS = 6


def write_report(report: dict[str, Any], path: Path) -> None:
    """Writes JSON, its floats rounded, and says where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(report), indent=1) + "\n")
    print(f"What was measured so far is in {path}")


def _rounded(value: Any) -> Any:
    """Floats to six significant digits, for people who read the file."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value
