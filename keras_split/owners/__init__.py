"""One data owner among several: it takes turns, takes over what the last one left, and hands over."""

from keras_split.crypto import Trained
from keras_split.owners.agreed import Agreed
from keras_split.owners.audited import AuditedOwner
from keras_split.owners.membership import Membership, Places
from keras_split.owners.opening import member_of, way_of
from keras_split.owners.owner import DataOwner, Taken
from keras_split.turns import Waiting

__all__ = [
    "Agreed",
    "AuditedOwner",
    "DataOwner",
    "Membership",
    "Places",
    "Trained",
    "Taken",
    "Waiting",
    "member_of",
    "way_of",
]
