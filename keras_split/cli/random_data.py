"""Random data that a compiled model can be trained on."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import tree

# Stands in for a dimension that may vary, such as the length of a sequence.
_OPEN_DIMENSION = 8
# What the loss asks of its labels, by words in its name; the first that fits counts.
_LABELS = (
    ("ctc", "none"),
    ("sparsecategorical", "class"),
    ("categorical", "one_hot"),
    ("kldivergence", "one_hot"),
    ("kld", "one_hot"),
    ("binary", "bit"),
    ("bce", "bit"),
    ("dice", "bit"),
    ("tversky", "bit"),
    ("hinge", "sign"),
    ("poisson", "positive"),
    ("logarithmic", "positive"),
    ("msle", "positive"),
)


def random_data(model: keras.Model, samples: int, seed: int) -> tuple[Any, Any]:
    """Inputs by the model's shapes and dtypes, labels by its losses.

    Args:
        model: Compiled model.
        samples: Rows.
        seed: The same seed gives the same data.

    Returns:
        `(x, y)` as `fit` takes them; y is None for a model without a loss of its own.

    Raises:
        ValueError: Inputs or a loss for which numbers cannot be guessed.
    """
    rng = np.random.default_rng(seed)
    # A Sequential model has its graph inside.
    graph = getattr(model, "_functional", None) or model
    sizes = _vocabularies(model)

    def draw(tensor: Any) -> np.ndarray:
        return _input(tensor, samples, rng, sizes.get(id(tensor)))

    return tree.map_structure(draw, graph.input), _labels(model, graph, samples, rng)


def _input(tensor: Any, samples: int, rng: np.random.Generator, size: int | None) -> np.ndarray:
    if tensor.dtype == "string":
        raise ValueError(f"Texts for the input {tensor.name!r} cannot be guessed. Give `--data`.")
    shape = _shape(samples, tensor.shape[1:])
    if size is None and "int" not in tensor.dtype and tensor.dtype != "bool":
        return rng.normal(size=shape).astype(tensor.dtype)
    return rng.integers(0, size or 2, shape).astype(tensor.dtype)


def _vocabularies(model: keras.Model) -> dict[int, int]:
    """Sizes of the embeddings that read an input, by the input's id."""
    layers = [each for each in model.layers if isinstance(each, keras.layers.Embedding)]
    calls = [(layer, node) for layer in layers for node in layer._inbound_nodes]
    return {id(each): layer.input_dim for layer, node in calls for each in node.input_tensors}


def _labels(model: keras.Model, graph: Any, samples: int, rng: np.random.Generator) -> Any:
    losses = (model.get_compile_config() or {}).get("loss")
    outputs = dict(zip(graph.output_names, graph.outputs, strict=True))
    if isinstance(graph.output, dict):
        outputs.update(graph.output)
    if losses is None:
        return None
    if isinstance(losses, dict) and "class_name" not in losses:
        return {name: _label(loss, outputs[name], samples, rng) for name, loss in losses.items()}
    if isinstance(losses, list):
        pairs = zip(losses, graph.outputs, strict=True)
        return [_label(loss, output, samples, rng) for loss, output in pairs]
    return tree.map_structure(lambda each: _label(losses, each, samples, rng), graph.output)


def _label(loss: Any, output: Any, samples: int, rng: np.random.Generator) -> np.ndarray:
    shape, kind = _shape(samples, output.shape[1:]), _kind(loss)
    if kind == "class":
        return rng.integers(0, shape[-1], shape[:-1])
    if kind == "one_hot":
        return np.eye(shape[-1], dtype="float32")[rng.integers(0, shape[-1], shape[:-1])]
    if kind == "bit":
        return rng.integers(0, 2, shape).astype("float32")
    if kind == "sign":
        return rng.choice(np.array([-1, 1], "float32"), shape)
    if kind == "positive":
        return rng.uniform(0.1, 1, shape).astype("float32")
    return rng.normal(size=shape).astype("float32")


def _kind(loss: Any) -> str:
    name = _name(loss).lower().replace("_", "")
    kind = next((kind for word, kind in _LABELS if word in name), "number")
    if kind == "none":
        raise ValueError(f"Labels for the loss {_name(loss)!r} cannot be guessed. Give `--data`.")
    return kind


def _name(loss: Any) -> str:
    """Of a loss as `get_compile_config` writes it."""
    if isinstance(loss, dict):
        return str(loss["config"] if loss["class_name"] == "function" else loss["class_name"])
    return str(loss)


def _shape(samples: int, rest: Any) -> tuple[int, ...]:
    return (samples, *(size or _OPEN_DIMENSION for size in rest))
