"""How a server writes its log: lines for people, or one JSON object each for programs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

FORMATS = ("text", "json")
_TEXT = "%(asctime)s %(levelname)s %(message)s"


class JsonLines(logging.Formatter):
    """One line for each record: time, level, event, member, turn, version, message, and where from.

    Names without a value are null, so that every line has the same.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        found: dict[str, Any] = {"time": at.replace("+00:00", "Z"), "level": record.levelname.lower()}
        for name in ("event", "member", "turn", "version"):
            found[name] = getattr(record, name, None)
        found["message"], found["logger"] = record.getMessage(), record.name
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return json.dumps(found, default=str)


def start_logging(form: str) -> None:
    """Logs to standard error.

    Args:
        form: `"text"` or `"json"`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
