"""One party's part of a model, with what the whole model knew about it and the part forgets."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import keras

from keras_split.partition.between import call_in_order, calls_of, distinctly_named
from keras_split.partition.inventory import named_layers, named_variables, starts_trainable


@dataclass(frozen=True)
class Part:
    """A head, a body or a tail.

    Args:
        model: Functional model of the part, which makes its calls in the whole model's order; shares its
            layers with the whole model where both live in one process.
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

    def frozen(self) -> list[str]:
        """Names of layers and weights that are not trained; a model's config has some of them only."""
        layers, weights = named_layers(self.model), named_variables(self.model)
        still = [path for path, layer in layers.items() if not layer.trainable]
        return still + [name for name in starts_trainable(self.model) if not weights[name].trainable]

    def freeze(self, names: Collection[str]) -> None:
        """Has these layers and weights not trained, and all others."""
        # From the outside in, since a layer hands its flag on to all that it holds.
        for path, layer in named_layers(self.model).items():
            layer.trainable = path not in names
        weights = named_variables(self.model)
        for name in starts_trainable(self.model):
            weights[name].trainable = name not in names

    def by_place(self) -> dict[int, Any]:
        """Weights by their places in the whole model, in whose order an optimizer would see them."""
        variables = named_variables(self.model)
        return {place: variables[name] for name, place in self.weight_ranks.items()}

    def to_config(self) -> dict[str, Any]:
        """JSON-ready; holds no values of variables."""
        with distinctly_named(self.model.operations):
            config = keras.saving.serialize_keras_object(self.model)
        return {
            "model": _with_names(config, self.model),
            "calls": [list(each) for each in calls_of(self.model)],
            "layer_ranks": self.layer_ranks,
            "weight_ranks": self.weight_ranks,
            "frozen": self.frozen(),
            "lora_alphas": {
                path: layer.lora_alpha for path, layer in named_layers(self.model).items() if _has_lora(layer)
            },
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Part:
        """Rebuilds a part, with fresh weights, from a config of our own or a validated one.

        Raises:
            ValueError: It tells of layers or weights that the rebuilt part does not have.
        """
        # A copy, since Keras takes configs apart while it reads them.
        model = keras.saving.deserialize_keras_object(copy.deepcopy(config["model"]))
        # Files of earlier versions do not have it.
        if "calls" in config:
            call_in_order(model, config["calls"])
        part = cls(model, dict(config["layer_ranks"]), dict(config["weight_ranks"]))
        frozen, alphas = config.get("frozen"), config.get("lora_alphas", {})
        layers = named_layers(model)
        unknown = set(frozen or ()) - {*layers, *named_variables(model)}
        unknown |= {path for path in alphas if not _has_lora(layers.get(path))}
        if unknown:
            raise ValueError(f"A rebuilt part has no {sorted(unknown)[0]!r}, of which its config tells.")
        if frozen is not None:
            part.freeze(frozenset(frozen))
        for path, alpha in alphas.items():
            # Keras reads it from the config and forgets it when it builds the layer.
            layers[path].lora_alpha = alpha
        return part


@keras.saving.register_keras_serializable(package="keras_split")
class Named:
    """Stands in a model's config for a layer whose own config leaves out its name, as Keras lets it."""

    def __init__(self, layer: Any):
        self._layer = layer

    def get_config(self) -> dict[str, Any]:
        """The name, and the layer's own config."""
        return {"name": self._layer.name, "layer": keras.saving.serialize_keras_object(self._layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The layer, which has its name before it makes its weights."""
        bare = dict(config["layer"])
        shapes = bare.pop("build_config", None)
        layer = keras.saving.deserialize_keras_object(bare)
        layer.name = config["name"]
        if shapes:
            layer.build_from_config(shapes)
        return layer


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


def without_flags(config: Any) -> Any:
    """A copy of parts' configs without what is trained, which may change with nothing built anew."""
    if isinstance(config, dict):
        flags = ("trainable", "frozen") if "weight_ranks" in config else ("trainable",)
        return {key: without_flags(each) for key, each in config.items() if key not in flags}
    if isinstance(config, (list, tuple)):
        return [without_flags(each) for each in config]
    return config


def _has_lora(layer: Any) -> bool:
    return bool(getattr(layer, "lora_rank", None))


def _with_names(entry: dict[str, Any], model: Any) -> dict[str, Any]:
    """The config of a model in which every layer has its name."""
    layers = getattr(model, "operations", None) or list(model._flatten_layers(False, False))
    entries = entry["config"].get("layers")
    if not isinstance(entries, list) or len(entries) != len(layers):
        return entry  # An own class of model, with a config of its own.
    named = [_named(each, layer) for each, layer in zip(entries, layers, strict=True)]
    return {**entry, "config": {**entry["config"], "layers": named}}


def _named(entry: dict[str, Any], layer: Any) -> dict[str, Any]:
    if isinstance(layer, keras.Model):
        return _with_names(entry, layer)
    if "name" in entry["config"]:
        return entry
    around = {key: entry[key] for key in ("name", "inbound_nodes") if key in entry}
    return {**keras.saving.serialize_keras_object(Named(layer)), **around}
