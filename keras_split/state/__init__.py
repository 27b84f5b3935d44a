"""What a part remembers, in memory, on disk, and on its way to the next client."""

from keras_split.state.bundle import Bundle, optimizer_variables, read, write
from keras_split.state.client import dump, parse, state_digest
from keras_split.state.delta import applied, difference
from keras_split.state.format import CorruptState
from keras_split.state.occupancy import occupied
from keras_split.state.shelf import Shelf, Ticket
from keras_split.state.slots import Slot, slots_of
from keras_split.state.tensors import bits

__all__ = [
    "Bundle",
    "CorruptState",
    "Shelf",
    "Slot",
    "Ticket",
    "applied",
    "bits",
    "difference",
    "dump",
    "occupied",
    "optimizer_variables",
    "parse",
    "read",
    "slots_of",
    "state_digest",
    "write",
]
