"""One quick question to a download's host, so that no network is an error and not a long wait."""

from __future__ import annotations

import queue
import ssl
import threading
import urllib.error
import urllib.request
from http.client import HTTPException


def is_reachable(url: str, seconds: float = 1.0) -> bool:
    """Whether `url` answers a HEAD request, proxies of the environment included.

    Args:
        url: An http or https address.
        seconds: Ceiling for each of connecting and answering; name look-up included, the whole
            call takes at most half as long again.
    """
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
    # In a thread, because no timeout reaches into a name look-up.
    threading.Thread(target=lambda: answers.put(_answers(url, seconds)), daemon=True).start()
    try:
        return answers.get(timeout=1.5 * seconds)
    except queue.Empty:
        return False


def _answers(url: str, seconds: float) -> bool:
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=seconds):
            return True
    except urllib.error.URLError as error:
        # The host is there; the downloader brings its own certificates.
        return isinstance(error.reason, ssl.SSLCertVerificationError)
    except (OSError, HTTPException):
        return False
