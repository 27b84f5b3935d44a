"""Channels and ports: TLS, limits, keepalive and the byte meter. Knows nothing of tensors' meaning."""

from keras_split.transport.calls import SERVICE, handlers, stub
from keras_split.transport.channel import open_channel
from keras_split.transport.credentials import Credentials
from keras_split.transport.listener import Listener
from keras_split.transport.meter import Meter

__all__ = ["SERVICE", "Credentials", "Listener", "Meter", "handlers", "open_channel", "stub"]
