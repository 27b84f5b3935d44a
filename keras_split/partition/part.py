"""One party's part of a model, with what the whole model knew about it and the part forgets."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import keras

from keras_split.partition.inventory import named_layers, named_variables


@dataclass(frozen=True)
class Part:
    """A head, a body or a tail.

    Args:
        model: Functional model of the part; shares its layers with the whole model where both live
            in one process.
        layer_ranks: Path of each layer to its place in the whole model. Losses are added up in this
            order, and floating-point sums depend on it.
        weight_ranks: Likewise for the weights, whose regularisers come after the layers' losses.
    """

    model: Any
    layer_ranks: dict[str, int]
    weight_ranks: dict[str, int]

    def losses(self) -> list[tuple[tuple[int, ...], Any]]:
        """Values of add_loss() and regularisers since the last call, each with its rank."""
        ranked: list[tuple[tuple[int, ...], Any]] = []
        for path, layer in named_layers(self.model).items():
            own = layer._get_own_losses()
            ranked += [((0, self.layer_ranks[path], at), loss) for at, loss in enumerate(own)]
        for name, variable in named_variables(self.model).items():
            if variable.regularizer is not None and variable.trainable:
                ranked.append(((1, self.weight_ranks[name]), variable.regularizer(variable)))
        return sorted(ranked, key=lambda each: each[0])

    def settle_statistics(self) -> None:
        """Has adapted Normalization layers take in their variables, which Keras' `load` does by itself."""
        for layer in self.model._flatten_layers():
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()

    def by_place(self) -> dict[int, Any]:
        """Weights by their places in the whole model, in whose order an optimizer would see them."""
        variables = named_variables(self.model)
        return {place: variables[name] for name, place in self.weight_ranks.items()}

    def to_config(self) -> dict[str, Any]:
        """JSON-ready; holds no values of variables."""
        return {
            "model": keras.saving.serialize_keras_object(self.model),
            "layer_ranks": self.layer_ranks,
            "weight_ranks": self.weight_ranks,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Part:
        """Rebuilds a part, with fresh weights, from a config of our own or a validated one."""
        # A copy, since Keras takes configs apart while it reads them.
        model = keras.saving.deserialize_keras_object(copy.deepcopy(config["model"]))
        return cls(model, dict(config["layer_ranks"]), dict(config["weight_ranks"]))


def ranked_part(model: keras.Model, whole: keras.Model) -> Part:
    """A part whose layers still live in the whole model, ranked by their places there."""
    layer_places = {id(each): at for at, each in enumerate(whole._flatten_layers())}
    weight_places = {id(each): at for at, each in enumerate(whole.weights)}
    return Part(
        model,
        {path: layer_places.get(id(each), 0) for path, each in named_layers(model).items()},
        {
            name: weight_places[id(each)]
            for name, each in named_variables(model).items()
            if id(each) in weight_places
        },
    )
