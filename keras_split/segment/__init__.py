"""One party's part of a model, run for a remote caller: forward, backward, step, inference."""

from keras_split.segment.placement import Mirrored, Single, placement, writes_after
from keras_split.segment.rows import share_rows
from keras_split.segment.segment import Segment, Settings
from keras_split.segment.signature import Input, Output, Signature
from keras_split.segment.traced import Caller, TracedInference, TracedStep

__all__ = [
    "Caller",
    "Input",
    "Mirrored",
    "Output",
    "Segment",
    "Settings",
    "Signature",
    "Single",
    "TracedInference",
    "TracedStep",
    "placement",
    "share_rows",
    "writes_after",
]
