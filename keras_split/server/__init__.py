"""The compute server: decode, hand to turns and segment, encode."""

from keras_split.server.process import ServerOptions, serve_clients, serve_model, serve_owner
from keras_split.server.served import ServingOptions

__all__ = ["ServerOptions", "ServingOptions", "serve_clients", "serve_model", "serve_owner"]
