"""How sealed state gets from one data owner to the next: by a store, by files, or straight."""

from keras_split.exchange.audited import AuditedHandover
from keras_split.exchange.files import FileHandover
from keras_split.exchange.folder import FolderHandover
from keras_split.exchange.handover import Handover, Hint
from keras_split.exchange.limits import HandoverLimits
from keras_split.exchange.opening import HandoverSettings, PeerSettings, open_handover
from keras_split.exchange.peer import PeerHandover
from keras_split.exchange.store import StoreHandover

__all__ = [
    "AuditedHandover",
    "FileHandover",
    "FolderHandover",
    "Handover",
    "HandoverLimits",
    "HandoverSettings",
    "Hint",
    "PeerHandover",
    "PeerSettings",
    "StoreHandover",
    "open_handover",
]
