"""A Keras graph and a cut become a head, a body and the frontier between them."""

from keras_split.partition.cuts import Cut, describe_cut, legal_cut_names, list_cuts, why_no_cut
from keras_split.partition.flags import flags_of, set_flags, without_flags
from keras_split.partition.frontier import Frontier, Sections
from keras_split.partition.inventory import named_layers, named_variables
from keras_split.partition.part import Part
from keras_split.partition.partition import Partition, partition

__all__ = [
    "Cut",
    "Frontier",
    "Part",
    "Partition",
    "Sections",
    "describe_cut",
    "flags_of",
    "legal_cut_names",
    "list_cuts",
    "named_layers",
    "named_variables",
    "partition",
    "set_flags",
    "why_no_cut",
    "without_flags",
]
