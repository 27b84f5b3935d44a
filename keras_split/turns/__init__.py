"""Who may train, and what a repeated step means."""

from keras_split.turns.lease import Turn, Turns, Verdict
from keras_split.turns.order import ORDERS, Order, order_of
from keras_split.turns.quota import Quota, Unit
from keras_split.turns.record import Record
from keras_split.turns.rota import Granted, Rota
from keras_split.turns.waiting import Waiting

__all__ = [
    "ORDERS",
    "Granted",
    "Order",
    "Quota",
    "Record",
    "Rota",
    "Turn",
    "Turns",
    "Unit",
    "Verdict",
    "Waiting",
    "order_of",
]
