"""Tensors to frames and back: the bytes of the wire, and nothing about what they mean."""

from keras_split.codec.document import read_document
from keras_split.codec.dtypes import from_wire_dtype, to_wire_dtype
from keras_split.codec.frames import CHUNK_BYTES, Message, declared_bytes, pack, unpack
from keras_split.codec.limits import Limits
from keras_split.codec.structure import flatten_structure, unflatten_structure

__all__ = [
    "CHUNK_BYTES",
    "Limits",
    "Message",
    "declared_bytes",
    "flatten_structure",
    "from_wire_dtype",
    "pack",
    "read_document",
    "to_wire_dtype",
    "unflatten_structure",
    "unpack",
]
