"""Opaque sealed blobs by the digest of their bytes: on disk, and over gRPC. Has no keys and reads nothing."""

from keras_split.store.folder import BlobFolder
from keras_split.store.names import check_name, check_run
from keras_split.store.process import StoreOptions, serve_store
from keras_split.store.service import StoreService

__all__ = ["BlobFolder", "StoreOptions", "StoreService", "check_name", "check_run", "serve_store"]
