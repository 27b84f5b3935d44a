"""Append-only logs whose lines are chained by digests: what happened, and never what was in it."""

from keras_split.audit.log import AuditLog
from keras_split.audit.verify import Verdict, verify_log

__all__ = ["AuditLog", "Verdict", "verify_log"]
