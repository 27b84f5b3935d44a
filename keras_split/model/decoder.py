"""What the client reconstructs its inputs with, to learn from rows without labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import tree


class Decoder:
    """A model from the frontier back to the inputs, which never leaves the client (paper, section 3.3).

    Args:
        model: Built Keras model. Inputs are the frontier's tensors without masks, `(batch, ...)`; outputs
            are what `target` returns.
        loss: Keras loss or its name, for each output.
        target: From a batch of inputs to what is to be reconstructed; None for the inputs
            themselves. To be saved with the model it must be registered with
            `keras.saving.register_keras_serializable`.

    Example:

    >>> keras_split.Decoder(model, loss="mae", target=blurred)
    """

    def __init__(self, model: keras.Model, loss: Any = "mse", target: Callable[[Any], Any] | None = None):
        self.model = model
        self.loss = keras.losses.get(loss)
        self.target = target

    def value(self, smashed: Sequence[Any], x: Any, *, training: bool) -> Any:
        """The reconstruction's loss, with the decoder's own terms."""
        inputs = smashed if len(smashed) > 1 else smashed[0]
        found = tree.flatten(self.model(inputs, training=training))
        wanted = tree.flatten(x if self.target is None else self.target(x))
        if len(found) != len(wanted):
            raise ValueError(
                f"The decoder has {len(found)} outputs, and there are {len(wanted)} tensors to reconstruct. "
                "Give `keras_split.Decoder(model, target=...)` to say which."
            )
        pairs = zip(wanted, found, strict=True)
        return tf.add_n([*(tf.reduce_mean(self.loss(*each)) for each in pairs), *self.model.losses])

    def to_config(self) -> dict[str, Any]:
        """JSON-ready; without values of variables.

        Raises:
            ValueError: The target has no name by which it can be found again.
        """
        serialize = keras.saving.serialize_keras_object
        target = None if self.target is None else serialize(self.target)
        if isinstance(target, dict) and target.get("class_name") == "__lambda__":
            raise ValueError(
                "The decoder's `target` is a lambda, whose code is not saved. Define a function and register "
                "it with `keras.saving.register_keras_serializable`."
            )
        return {"model": serialize(self.model), "loss": serialize(self.loss), "target": target}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Decoder:
        """Rebuilds one, with fresh weights."""
        names = ("model", "loss", "target")
        return cls(*(keras.saving.deserialize_keras_object(config[name]) for name in names))


def as_decoder(given: Any, frontier: list[dict[str, Any]]) -> Decoder | None:
    """Checks a decoder against the frontier's description.

    Raises:
        ValueError: It does not start there.
    """
    if given is None:
        return None
    decoder = given if isinstance(given, Decoder) else Decoder(given)
    wanted = [tuple(frontier[at]["shape"]) for at in places(frontier)]
    found = [tuple(each.shape) for each in decoder.model.inputs]
    fits = len(found) == len(wanted) and all(map(_fits, found, wanted))
    if not fits:
        raise ValueError(
            f"The decoder starts from {found}, and what the head makes is {wanted}. Its inputs are the "
            "tensors at the cut, in the order of `keras_split.list_cuts`."
        )
    return decoder


def places(frontier: list[dict[str, Any]]) -> list[int]:
    """Of the frontier's tensors that a decoder gets: all but the masks."""
    masks = {each["mask"] for each in frontier}
    return [at for at in range(len(frontier)) if at not in masks]


def _fits(found: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    return len(found) == len(wanted) and all(
        None in pair or pair[0] == pair[1] for pair in zip(found, wanted, strict=True)
    )
