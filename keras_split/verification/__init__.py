"""Shows, on a user's own model and data, that training split equals training whole."""

from keras_split.verification.report import Difference, Report
from keras_split.verification.verify import verify

__all__ = ["Difference", "Report", "verify"]
