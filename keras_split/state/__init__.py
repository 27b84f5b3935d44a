"""What a part remembers, in memory and on disk."""

from keras_split.state.bundle import Bundle, optimizer_variables, read, write
from keras_split.state.file import CorruptState
from keras_split.state.occupancy import occupied
from keras_split.state.shelf import Shelf, Ticket

__all__ = ["Bundle", "CorruptState", "Shelf", "Ticket", "occupied", "optimizer_variables", "read", "write"]
