"""The client's proxy to a server: NumPy in, NumPy out."""

from keras_split.session.audited import open_session
from keras_split.session.joined import Joined
from keras_split.session.prepared import Exchange, Prepared
from keras_split.session.server import Server
from keras_split.session.session import Session
from keras_split.session.timeouts import Timeouts

__all__ = ["Exchange", "Joined", "Prepared", "Server", "Session", "Timeouts", "open_session"]
