"""Train one Keras model across organisations that may not share their data."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_split import errors, zoo
    from keras_split.callbacks import SemiSupervised
    from keras_split.crypto import Identity
    from keras_split.errors import SplitError
    from keras_split.model import Decoder, SplitModel
    from keras_split.numerics import set_exactness
    from keras_split.owners import Places
    from keras_split.partition import Cut, list_cuts
    from keras_split.planning import Plan, plan
    from keras_split.session import Server, Timeouts
    from keras_split.transport import Credentials
    from keras_split.verification.report import Report
    from keras_split.verification.verify import verify

    __version__: str

__all__ = [
    "Credentials",
    "Cut",
    "Decoder",
    "Identity",
    "Places",
    "Plan",
    "Report",
    "SemiSupervised",
    "Server",
    "SplitError",
    "SplitModel",
    "Timeouts",
    "errors",
    "list_cuts",
    "plan",
    "set_exactness",
    "verify",
    "zoo",
]

# What is not here is a room itself.
_ROOMS = {
    "Credentials": "transport",
    "Cut": "partition",
    "Decoder": "model",
    "Identity": "crypto",
    "Places": "owners",
    "Plan": "planning",
    "Report": "verification",
    "SemiSupervised": "callbacks",
    "Server": "session",
    "SplitError": "errors",
    "SplitModel": "model",
    "Timeouts": "session",
    "list_cuts": "partition",
    "plan": "planning",
    "set_exactness": "numerics",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module(f"{__name__}.version").package_version()
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = importlib.import_module(f"{__name__}.{_ROOMS.get(name, name)}")
    value = globals()[name] = getattr(room, name) if name in _ROOMS else room
    return value


def _is_program() -> bool:
    """Whether this process is `keras-split` or `python -m keras_split`."""
    as_module = " -m keras_split " in f"{' '.join(sys.orig_argv)} "
    return as_module or Path(sys.argv[0]).stem == "keras-split"


# The program must not wait for TensorFlow before it prints its help. Everyone else gets all at
# once: `keras.models.load_model` finds SplitModel only when it is registered, and a program that
# loads a half names nothing else of this package.
if not _is_program():
    for _name in __all__:
        __getattr__(_name)
