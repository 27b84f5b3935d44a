"""A Keras graph and a cut become a head, a body and the frontier between them."""

from keras_split.partition.between import call_in_order, calls_of
from keras_split.partition.cuts import Cut, describe_cut, legal_cut_names, list_cuts, why_no_cut
from keras_split.partition.frontier import Frontier, Sections
from keras_split.partition.graph import same_places
from keras_split.partition.inventory import (
    named_layers,
    named_variables,
    shown_names,
    stateful_layers,
    states,
)
from keras_split.partition.part import Part, without_flags
from keras_split.partition.partition import Partition, output_names, partition
from keras_split.partition.rebuilt import checked, rebuild, settle_statistics

__all__ = [
    "Cut",
    "Frontier",
    "Part",
    "Partition",
    "Sections",
    "call_in_order",
    "calls_of",
    "checked",
    "describe_cut",
    "legal_cut_names",
    "list_cuts",
    "named_layers",
    "named_variables",
    "output_names",
    "partition",
    "rebuild",
    "same_places",
    "settle_statistics",
    "shown_names",
    "stateful_layers",
    "states",
    "why_no_cut",
    "without_flags",
]
