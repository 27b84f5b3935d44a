"""The compute server: decode, hand to turns and segment, encode."""

from keras_split.server.observers import ObserverOptions
from keras_split.server.options import ServingOptions
from keras_split.server.process import ServerOptions, serve_clients, serve_model, serve_owner
from keras_split.server.run_options import RunOptions

__all__ = [
    "ObserverOptions",
    "RunOptions",
    "ServerOptions",
    "ServingOptions",
    "serve_clients",
    "serve_model",
    "serve_owner",
]
