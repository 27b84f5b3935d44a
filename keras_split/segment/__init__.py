"""One party's part of a model, run for a remote caller: forward, backward, step, inference."""

from keras_split.segment.ahead import build_metrics
from keras_split.segment.draws import draws_nothing, draws_of_its_own
from keras_split.segment.masks import call_with_masks, takes_masks
from keras_split.segment.names import Sight, named, named_as
from keras_split.segment.optimized import ARGUMENT, PROBE, is_rewriting, optimized
from keras_split.segment.passed import give_logits, logits_beside
from keras_split.segment.placement import EXCHANGE, Mirrored, Single, exchanged, placement, writes_after
from keras_split.segment.release import release
from keras_split.segment.rows import share_rows
from keras_split.segment.segment import Segment, Settings
from keras_split.segment.shadow import Shadow, known_name
from keras_split.segment.signature import Input, Output, Shape, Signature
from keras_split.segment.tape import Tape, arrived, key_of, roots_of, seen_behind
from keras_split.segment.traced import Caller, TracedInference, TracedStep
from keras_split.segment.updates import (
    MEASURES,
    Measures,
    apply_gradients,
    innermost,
    leave_undecayed,
    looks_at_all,
    measure,
    swap_averages,
    undecayed,
)

__all__ = [
    "ARGUMENT",
    "EXCHANGE",
    "MEASURES",
    "PROBE",
    "Caller",
    "Input",
    "Measures",
    "Mirrored",
    "Output",
    "Segment",
    "Settings",
    "Shadow",
    "Shape",
    "Sight",
    "Signature",
    "Single",
    "Tape",
    "TracedInference",
    "TracedStep",
    "apply_gradients",
    "arrived",
    "build_metrics",
    "call_with_masks",
    "draws_nothing",
    "draws_of_its_own",
    "exchanged",
    "give_logits",
    "innermost",
    "is_rewriting",
    "key_of",
    "known_name",
    "leave_undecayed",
    "logits_beside",
    "looks_at_all",
    "measure",
    "named",
    "named_as",
    "optimized",
    "placement",
    "release",
    "roots_of",
    "seen_behind",
    "share_rows",
    "swap_averages",
    "takes_masks",
    "undecayed",
    "writes_after",
]
