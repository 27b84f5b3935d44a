"""How an error of a call reaches the caller."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import grpc

from keras_split.errors import Refused, RemoteFailure, SplitError
from keras_split.transport.authorisation import refuse

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def reported(context: grpc.ServicerContext) -> Iterator[None]:
    """Our errors become status codes whose text is for the user; others are only named."""
    try:
        yield
    except SplitError as error:
        if not isinstance(error, Refused):
            _log.warning("%s: %s", type(error).__name__, error)
        refuse(context, error)
    except grpc.RpcError:
        raise  # The caller went away while its stream was read.
    except Exception as error:
        if not context.is_active():
            raise
        _log.exception("A call failed.")
        what = f"The server failed with {type(error).__name__}; its log says where."
        refuse(context, RemoteFailure(what))
