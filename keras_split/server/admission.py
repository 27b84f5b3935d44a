"""Whose bodies a server builds, and what it looks at before it does.

A body arrives as a Keras config, and building one can run code, read files and fill the memory. The
owner of a private server may do all of that anyway; a client from elsewhere may not.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from typing import Any

from keras_split.codec import read_document
from keras_split.errors import Refused, TopologyError
from keras_split.topology import TopologyLimits, validate, validate_settings

Body = dict[str, Any]

# Nothing has to stand between a body's inputs and its outputs: raw data is on the other side.
_LIMITS = TopologyLimits(mixing="none")


class Admission:
    """Decides about what a client wants to place here.

    Args:
        admit: Given a body and the folder that it names for snapshots, returns the body to build.
        checks_settings: Whether compile settings must be Keras' own.
        tells_the_only_one: Whether a body may be asked for without its name.
    """

    def __init__(
        self,
        admit: Callable[[Body, str], Body],
        *,
        checks_settings: bool = False,
        tells_the_only_one: bool = True,
    ):
        self.admit = admit
        self.tells_the_only_one = tells_the_only_one
        self._checks_settings = checks_settings

    def check_settings(self, text: str) -> None:
        """Looks at compile settings before Keras does.

        Raises:
            TopologyError: They are not plainly Keras' own.
            ProtocolError: They are not JSON.
        """
        if self._checks_settings:
            validate_settings(read_document(text, "The compile settings"), whose="client")


def nobody() -> Admission:
    """For a server that serves a model of its own."""
    return Admission(_refuse)


def owner() -> Admission:
    """For the process that started this one, whose modules are imported."""
    return Admission(_trust)


def clients() -> Admission:
    """For everyone with a certificate: closed lists of layers and options, no modules, no paths.

    A body's name is known to its owner alone, and is the right to use it.
    """
    return Admission(_inspect, checks_settings=True, tells_the_only_one=False)


def _refuse(body: Body, folder: str) -> Body:
    del body, folder
    raise Refused("This server serves a model of its own and hosts no other.")


def _trust(body: Body, folder: str) -> Body:
    del folder
    for module in body["modules"]:
        # Keras names the object that is missing in the end, if it is needed at all.
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    return body


def _inspect(body: Body, folder: str) -> Body:
    if folder:
        raise Refused(
            "This server lets no client choose a folder on its machine. Leave `checkpoint_dir` out."
        )
    part = body["body"]
    try:
        checked = validate(part["model"], limits=_LIMITS)
    except TopologyError as error:
        raise TopologyError(f"This server does not build the body: {error}") from None
    return {**body, "body": {**part, "model": checked.config}}
