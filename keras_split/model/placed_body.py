"""The body of a model that is whole in this process, and what its server knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_split.model.kept import Kept
from keras_split.model.own_objects import modules_of_own_objects
from keras_split.numerics import Numerics
from keras_split.partition import Partition, checked, named_layers, named_variables, without_flags
from keras_split.session import Session
from keras_split.state import bits, read, write

_PLAIN = (bool, int, float, str, tuple, type(None))


class PlacedBody:
    """Places the body on a server, and again what the user has changed of it since.

    Keras lets a user change layers at any time: values take effect at once, flags with the next graph, and
    options with the next compile. So the layers of the given model are the truth, and what the server was
    told last is remembered.

    Args:
        parts: Of the model.
        folder: For snapshots on the server's machine; empty for a temporary one.
        kept: What a later program finds the body by; None where none will look for it.
    """

    def __init__(self, parts: Partition, folder: str, kept: Kept | None = None):
        self.parts = parts
        self._folder = folder
        self._kept = kept
        self._layers = _layers(parts.whole)
        self._untold = _attributes(parts.body.model)
        self._told: dict[str, Any] = {}
        self._checked: Any = None
        # Tensors share the variables' memory until these change, so that nothing is copied for nothing.
        self._values: dict[str, Any] = {}

    def place(self, session: Session) -> None:
        """Tells a server of its owner all that it does not know yet; the first time, everything."""
        self._check()
        own = self._variables()
        changed = {name: each for name, each in own.items() if not self._is_known(name, each)}
        told = self._describe()
        # With flags that no part has otherwise than its layers made them, as those of statistics.
        facts = told["body"], [bool(each.trainable) for each in own.values()]
        if facts != self._checked:
            checked(told["body"], self.parts.body)
            self._checked = facts
        if self._kept is not None and told != self._told:
            self._kept.write({**told, "variables": list(own)})
        if changed or told != self._told:
            session.host({**told, "variables": list(changed)}, list(read(changed).values()), self._folder)
        self._told = told
        self._values.update({name: tf.convert_to_tensor(each) for name, each in changed.items()})

    def has_other_options(self) -> bool:
        """Whether layers are no more what the server was told, apart from values and flags."""
        self._check()
        return bool(self._told) and _options(self._describe()) != _options(self._told)

    def has_other_values(self) -> bool:
        """Whether values of the body have been set here since the server was told."""
        known = self._is_known
        return bool(self._told) and any(not known(name, each) for name, each in self._variables().items())

    def take(self, values: Mapping[str, np.ndarray]) -> None:
        """Writes what the server has learned into the layers here."""
        own = self._variables()
        write(own, {name: values[name] for name in own})
        self.forget_changes()

    def forget_changes(self) -> None:
        """What has been set here until now is of no meaning to a server that has a body already."""
        if self._told:
            self._values = {name: tf.convert_to_tensor(each) for name, each in self._variables().items()}

    def _check(self) -> None:
        """Refuses what can be told to no server."""
        if _layers(self.parts.whole) != self._layers:
            raise ValueError(
                "Layers were added to the model, or taken from it, since it was split. Build the SplitModel "
                f"anew. Received: model {self.parts.whole.name!r}."
            )
        if self._values and set(self._values) != set(self._variables()):
            raise ValueError(
                "Layers of the server's part have other variables than when they were placed there (LoRA or "
                "quantization, for instance). Call `whole_model()` before such a change, and build the "
                f"SplitModel anew after it. Received: model {self.parts.whole.name!r}."
            )
        for path, now in _attributes(self.parts.body.model).items():
            before = self._untold[path]
            # Keras notes on a layer whose weights are loaded that it is not calibrated.
            odd = [name for name in now if now[name] != before.get(name, False)]
            if odd:
                raise ValueError(
                    f"`{odd[0]}` of layer {path!r} has changed since the model was split, and is not in its "
                    "config, so that the server cannot know. Have `get_config` return it, or build the "
                    f"SplitModel anew. Received: {odd[0]}={now[odd[0]]!r}."
                )

    def _variables(self) -> dict[str, Any]:
        return named_variables(self.parts.body.model)

    def _is_known(self, name: str, variable: Any) -> bool:
        known, now = self._values.get(name), tf.convert_to_tensor(variable)
        if known is None or known.shape != now.shape or known.dtype != now.dtype:
            return False
        return _place(known) == _place(now) or np.array_equal(bits(known), bits(now))

    def _describe(self) -> dict[str, Any]:
        body = self.parts.body
        return {
            # Where labels stay with the client, its last layers are not the server's business either.
            "topology": {**self.parts.topology(), "tail": None},
            "body": body.to_config(),
            # By which some optimizers choose what to do with a variable.
            "paths": {name: each.path for name, each in self._variables().items()},
            "numerics": self._told.get("numerics") or Numerics.current().to_config(),
            "modules": modules_of_own_objects(),
        }


def _options(told: Mapping[str, Any]) -> Any:
    return without_flags({"topology": told["topology"], "body": told["body"]})


def _layers(model: keras.Model) -> list[int]:
    return [id(each) for each in model._flatten_layers()]


def _attributes(model: keras.Model) -> dict[str, dict[str, Any]]:
    """Plain values that layers have, and their configs do not."""
    found = {}
    for path, layer in named_layers(model).items():
        told = {*layer.get_config(), "built", "trainable"}
        names = [name for name in vars(layer) if not name.startswith("_") and name not in told]
        found[path] = {name: vars(layer)[name] for name in names if type(vars(layer)[name]) in _PLAIN}
    return found


def _place(tensor: Any) -> Any:
    """Where a tensor's values are; a value of its own where that cannot be seen."""
    try:
        return np.asarray(memoryview(tensor)).__array_interface__["data"][0]
    except ValueError:  # NumPy knows no buffers of bfloat16.
        return object()
