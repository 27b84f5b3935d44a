"""Who looks on while a server works: counts, audit log, metrics, scalars and the program's own log."""

from keras_split.server.observers.observer import Event, Observer, StepSeen
from keras_split.server.observers.opening import ObserverOptions, open_watchers
from keras_split.server.observers.watchers import Watchers

__all__ = ["Event", "Observer", "ObserverOptions", "StepSeen", "Watchers", "open_watchers"]
