"""Channels and ports: TLS, who may call what, limits, keepalive and the byte meter.

Knows nothing of tensors' meaning.
"""

from keras_split.transport.accounts import Account
from keras_split.transport.authorisation import caller, refuse
from keras_split.transport.calls import SERVICE, SPLIT, STORE, Service, handlers, stub
from keras_split.transport.channel import open_channel
from keras_split.transport.credentials import Credentials
from keras_split.transport.listener import Listener
from keras_split.transport.meter import Meter
from keras_split.transport.patience import Patience
from keras_split.transport.pinned import open_pinned_channel
from keras_split.transport.policy import POLICY, Policy, Row
from keras_split.transport.reporting import reported

__all__ = [
    "POLICY",
    "SERVICE",
    "SPLIT",
    "STORE",
    "Account",
    "Credentials",
    "Listener",
    "Meter",
    "Patience",
    "Policy",
    "Row",
    "Service",
    "caller",
    "handlers",
    "open_channel",
    "open_pinned_channel",
    "reported",
    "refuse",
    "stub",
]
