"""Who says yes to what a server offers, before anything of it is built."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import keras

from keras_split.errors import TopologyError
from keras_split.topology import Offer

Approve = Callable[[Offer], bool] | str | None

_LOGGER = logging.getLogger(__name__)


def check_approve(approve: Approve) -> Approve:
    """Refuses what is no way to approve, before a server is asked for anything.

    Raises:
        ValueError: It is neither a function nor a digest.
    """
    if isinstance(approve, str):
        approve = approve.strip().lower()
        if not re.fullmatch("[0-9a-f]{64}", approve):
            raise ValueError(
                "`approve` takes a function, or the digest that `connect` and `keras-split status` print: 64 "
                f"hexadecimal digits. Received: approve={approve[:80]!r}."
            )
    elif approve is not None and not callable(approve):
        raise ValueError(
            "`approve` takes a function of an `Offer` that returns True or False, or a digest. Received: "
            f"approve={type(approve).__name__}."
        )
    return approve


def ask(offer: Offer, approve: Approve) -> None:
    """Shows what is about to run, unless its digest was approved before, and has it approved.

    Raises:
        TopologyError: It was not.
    """
    if isinstance(approve, str):
        if approve != offer.digest:
            raise TopologyError(
                "The server's topology is not the one that was approved. Nothing was built. Connect without "
                "`approve`, or with a function, to see what is offered now, and pass its digest if you want "
                f"to run it. Received: approve={approve!r}, digest={offer.digest!r}."
            )
        return
    _show(str(offer))
    if approve is not None and approve(offer) is not True:
        raise TopologyError(
            f"The function in `approve` did not return True for the server's topology {offer.digest}. "
            "Nothing was built, and the server got nothing. Agree on another topology with the server's "
            "party, or approve this one."
        )


def _show(text: str) -> None:
    """Where Keras shows its progress."""
    if keras.config.is_interactive_logging_enabled():
        print(text, flush=True)
    else:
        _LOGGER.info("%s", text)
