"""Whether a part that is rebuilt from its config is the part that it was made from.

A Keras config holds what layers were made with. What was changed afterwards, and what their `get_config`
leaves out, is lost on the way to another process, silently. So whoever sends a config rebuilds it first, as
the other process will, and compares layer by layer: what is written down, what the layers remember, and what
they compute. The weights' values do not matter, since they travel by themselves.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import random
import tempfile
import types
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from keras_split.errors import TopologyError
from keras_split.naming import lasting_names, stem
from keras_split.partition.graph import Graph, is_nested, mask_of
from keras_split.partition.inventory import named_layers, named_variables, starts_trainable
from keras_split.partition.part import Part

# Attributes of every layer that decide what it computes; the others are Keras' bookkeeping.
_TELLING = (
    *("autocast", "supports_masking", "activity_regularizer", "compute_dtype", "variable_dtype"),
    "_remat_mode",
)
# What is compared by itself, and metrics, which train nothing.
_ELSEWHERE = (
    *(keras.Variable, keras.KerasTensor, keras.layers.Layer),
    *(keras.random.SeedGenerator, keras.metrics.Metric),
)
_FEW, _MANY = 2, 16
_SMALL_ITEMS = 1 << 12
_SIDE = 8
_MANY_WEIGHTS = 1 << 20


def rebuild(config: dict[str, Any]) -> Part:
    """A part from its config, for a process that has not made it.

    Raises:
        TopologyError: Keras cannot build it; the text has Keras' reason.
    """
    try:
        return Part.from_config(config)
    except (ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
        raise TopologyError(
            "A part of the model cannot be rebuilt from its config, which is all that another process gets. "
            "Own layers must live in a module that the server can import (not in __main__) and be registered "
            "with `keras.saving.register_keras_serializable`. Keras says: "
            f"{' '.join(str(error).split()).rpartition('Exception encountered: ')[2][:300]}."
        ) from error


def settle_statistics(part: Part) -> None:
    """Has adapted Normalization layers take in their variables, which Keras' `load` does by itself."""
    for layer in named_layers(part.model).values():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def checked(config: dict[str, Any], part: Part, *, in_file: bool = False) -> dict[str, Any]:
    """A part's config, if another process will build the same part from it.

    Args:
        config: Of the part.
        part: As it is by now.
        in_file: Whether it goes into a file of Keras', which holds tables of words as well.

    Raises:
        ValueError: It would build another one; the text names the layer.
        TopologyError: It would build none.
    """
    policy = keras.config.dtype_policy()

    def check() -> None:
        keras.config.set_dtype_policy(policy)
        try:
            rebuilt = rebuild(config)
        except TopologyError as error:
            raise TopologyError(f"{error} {_not_rebuilt(part)}") from error
        if in_file:
            _hand_over_assets(part, rebuilt)
        check_rebuilt(part, rebuilt)

    # In a thread of its own, which has its own counters of names, and no graph that is being traced.
    with _unnoticed(), ThreadPoolExecutor(1) as thread:
        thread.submit(check).result()
    return config


@contextlib.contextmanager
def _unnoticed() -> Iterator[None]:
    """Nobody is warned twice, and what draws from Python and NumPy afterwards gets what it would have got."""
    before = random.getstate(), np.random.get_state()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


def check_rebuilt(part: Part, rebuilt: Part) -> None:
    """Passes if a rebuilt part is as the original, whatever the values of its weights.

    Args:
        part: The original; it is not changed.
        rebuilt: From its config, in this process. Its statistics are settled.

    Raises:
        ValueError: They differ; the text names the layer.
    """
    layers, others = named_layers(part.model), named_layers(rebuilt.model)
    for path in [*layers, *others]:
        if path not in layers or path not in others:
            raise _refused(path, layers.get(path, others.get(path)), "its name")
    values = _Values(_pairs(part, rebuilt, layers))
    with values.of_the_original():
        settle_statistics(rebuilt)
    for path, layer in layers.items():
        _check(path, layer, _memory(layer, others[path]))
    _check_graph(part.model, rebuilt.model, values, "")


def _hand_over_assets(part: Part, rebuilt: Part) -> None:
    others = named_layers(rebuilt.model)
    for path, layer in named_layers(part.model).items():
        if hasattr(layer, "save_assets") and path in others:
            with tempfile.TemporaryDirectory() as folder:
                layer.save_assets(folder)
                others[path].load_assets(folder)


def _not_rebuilt(part: Part) -> str:
    for path, layer in named_layers(part.model).items():
        try:
            keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        except Exception:
            return f"Received: layer={path!r} of class {type(layer).__name__}."
    return f"Received: {part.model.name!r}."


def _check(path: str, layer: Any, difference: str) -> None:
    if difference:
        raise _refused(path, layer, difference)


def _refused(path: str, layer: Any, difference: str) -> ValueError:
    return ValueError(
        f"Keras rebuilds the layer {path!r} of class {type(layer).__name__} as another one: {difference} is "
        "not what it was. Another process gets a layer's config and the weights; what else was changed after "
        "the layer was made, or is missing in its `get_config`, is lost. Make it an argument of the layer, "
        "return it from `get_config`, and take functions of `keras.activations` or registered ones. "
        f"Received: layer={path!r}."
    )


def _memory(layer: Any, other: Any) -> str:
    """What two layers have in different states, or nothing."""
    if type(layer) is not type(other):
        return "its class"
    if not isinstance(layer, keras.Model) and not _alike(_config(layer), _config(other), {}):
        return "its config"
    if hasattr(layer, "get_vocabulary") and layer.get_vocabulary() != other.get_vocabulary():
        return "its vocabulary"
    for name in _TELLING:
        if not _alike(getattr(layer, name, None), getattr(other, name, None), {}):
            return f"`{name}`"
    own, others = (
        {
            name: each
            for name, each in vars(one).items()
            if name not in _bookkeeping() and not _decides_a_start(name)
            # What a split model puts in the place of methods of layers that were given to it.
            if not getattr(type(each), "stands_for_a_method", False)
        }
        for one in (layer, other)
    )
    for name in {**own, **others}:
        # Keras sets some only while it loads weights, to nothing.
        is_nothing = all(side.get(name) is None or side[name] is False for side in (own, others))
        if not is_nothing and not _alike(own.get(name), others.get(name), {}):
            return f"`{name}`"
    return ""


def _config(layer: Any) -> Any:
    # Without the name, by which the layers have been found: Keras may have counted on.
    with contextlib.suppress(NotImplementedError):
        return {key: each for key, each in layer.get_config().items() if key != "name"}
    return None


def _decides_a_start(name: Any) -> bool:
    """Whether an option is for values that travel by themselves: of weights, and of generators of draws."""
    return isinstance(name, str) and (name == "seed" or name.endswith("initializer"))


@functools.cache
def _bookkeeping() -> frozenset[str]:
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Identity()(inputs))
    return frozenset({*vars(keras.layers.Layer()), *vars(model), *vars(keras.Sequential([inputs]))})


def _alike(one: Any, other: Any, seen: dict[int, Any]) -> bool:
    """Whether two things mean the same, as far as can be seen; what cannot be looked into is alike."""
    if one is other or id(one) in seen:
        return True
    seen[id(one)] = one
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(_alike(a, b, seen) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [key for key in one if not _decides_a_start(key)]
        return one.keys() == other.keys() and all(_alike(one[key], other[key], seen) for key in keys)
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return one == other or one != one and other != other
    if type(one) is not type(other):
        return False
    if isinstance(one, (str, bytes, complex, type, types.BuiltinFunctionType)):
        return bool(one == other)
    if isinstance(one, (np.ndarray, np.generic, tf.Tensor)):
        return _bytes(one) == _bytes(other)
    if isinstance(one, types.MethodType):
        return _alike(one.__func__, other.__func__, seen)
    if isinstance(one, types.FunctionType):
        return one.__code__ is other.__code__ and _alike(_captured(one), _captured(other), seen)
    if isinstance(one, functools.partial):
        return _alike([one.func, one.args, one.keywords], [other.func, other.args, other.keywords], seen)
    return _alike_objects(one, other, seen)


def _alike_objects(one: Any, other: Any, seen: dict[int, Any]) -> bool:
    if isinstance(one, _ELSEWHERE):
        return True
    if hasattr(one, "get_config"):
        return _alike(one.get_config(), other.get_config(), seen)
    if type(one).__module__.startswith("tensorflow."):
        return True  # A table of words, or the like, which cannot be looked into.
    if type(one).__eq__ is not object.__eq__:
        with contextlib.suppress(Exception):
            return bool(one == other)
        return True
    return _alike(getattr(one, "__dict__", None), getattr(other, "__dict__", None), seen)


def _captured(function: types.FunctionType) -> list[Any]:
    """What a function has from around it, apart from the layer whose function it is."""
    return [function.__defaults__, function.__kwdefaults__, inspect.getclosurevars(function).nonlocals]


def _pairs(part: Part, rebuilt: Part, layers: Mapping[str, Any]) -> list[tuple[Any, Any, bool]]:
    """Pairs of variables, each with whether it is a weight that any value suits."""
    own, others = named_variables(part.model), named_variables(rebuilt.model)
    weights = set(starts_trainable(part.model))
    for name in [*own, *others]:
        path = name.rpartition("/")[0]
        if name not in own or name not in others or _described(own[name]) != _described(others[name]):
            raise _refused(path, layers[path], f"its variable {name.rpartition(':')[2]!r}")
        for kind in ("regularizer", "constraint"):
            if not _alike(getattr(own[name], kind), getattr(others[name], kind), {}):
                raise _refused(path, layers[path], f"the {kind} of {name.rpartition(':')[2]!r}")
    return [(own[name], others[name], name in weights) for name in own]


def _described(variable: Any) -> tuple[Any, ...]:
    return tuple(variable.shape), variable.dtype, variable.trainable, variable.overwrite_with_gradient


class _Values:
    """Values for the variables of both parts, drawn for weights, the original's for statistics and seeds."""

    def __init__(self, variables: Sequence[tuple[Any, Any, bool]]):
        self._pairs = {id(one): (one, other, is_weight) for one, other, is_weight in variables}
        self._twins = {id(other): one for one, other, _ in variables}
        self._computed: set[str] = set()

    def is_due(self, node: Any) -> bool:
        """Whether a layer is to be computed with.

        One of Keras' own remembers nothing but what was compared. So one stands for all of its kind, and
        those with many weights need not prove it.
        """
        operation = node.operation
        if not type(operation).__module__.startswith("keras."):
            return True
        weights = [(each.shape, each.dtype, each.trainable) for each in getattr(operation, "variables", [])]
        if sum(math.prod(shape) for shape, *_ in weights) > _MANY_WEIGHTS:
            return False
        kind = repr(
            [
                type(operation),
                _config(operation),
                [(each.shape, each.dtype) for each in node.input_tensors],
                weights,
            ]
        )
        is_new = kind not in self._computed
        self._computed.add(kind)
        return is_new

    def of_the_original(self) -> keras.StatelessScope:
        """The rebuilt part's statistics and seeds are the original's within."""
        return keras.StatelessScope(
            [(other, one) for one, other, is_weight in self._pairs.values() if not is_weight]
        )

    def drawn(self, layer: Any) -> list[tuple[Any, Any]]:
        """All variables of a layer of either part with their values, which are the same for both."""
        own = getattr(layer, "variables", [])
        return [(each, self._value(*self._pairs[id(self._twins.get(id(each), each))])) for each in own]

    def _value(self, variable: Any, _: Any, is_weight: bool) -> Any:
        if not is_weight or "float" not in variable.dtype:
            return tf.convert_to_tensor(variable.value)
        spread = max(1, math.prod(variable.shape[:-1])) ** -0.5
        return tf.cast(_noise(variable.shape, spread), variable.dtype)


def _check_graph(model: Any, other: Any, values: _Values, prefix: str) -> None:
    """Compares what the layers of a model compute, one by one, and how they are called."""
    names, other_names = _names(model), _names(other)
    own, others = _calls(model, names), _calls(other, other_names)
    for name, nodes in own.items():
        operation = nodes[0].operation
        path, rebuilt = f"{prefix}{operation.name}", others.get(name, [])
        if [_call_of(names, each) for each in nodes] != [_call_of(other_names, each) for each in rebuilt]:
            raise _refused(path, operation, "how it is called")
        twin = rebuilt[0].operation
        if is_nested(operation):
            _check_graph(operation, twin, values, f"{path}/")
        if type(operation) not in _PLAIN_MODELS and values.is_due(nodes[0]):
            _check(path, operation, _computing(nodes[0], operation, twin, values))


_PLAIN = (str, int, float, slice, types.NoneType, types.EllipsisType)
_PLAIN_MODELS = (keras.Sequential, type(keras.Model(*[keras.Input((1,))] * 2)))


def _calls(model: Any, names: Mapping[int, str]) -> dict[str, list[Any]]:
    """The calls of each operation, under a name that it has by its place."""
    found: dict[str, list[Any]] = {}
    for node in Graph(model).nodes:
        found.setdefault(names[id(node.operation)], []).append(node)
    for nodes in found.values():
        nodes.sort(key=lambda node: node.operation._inbound_nodes.index(node))
    return found


def _names(model: Any) -> dict[int, str]:
    """Several operations may have one name, and Keras counts on where it makes names."""
    operations = list({id(node.operation): node.operation for node in Graph(model).nodes}.values())
    lasting = lasting_names(each.name for each in operations)
    return {id(each): name for each, name in zip(operations, lasting, strict=True)}


def _call_of(names: Mapping[int, str], node: Any) -> Any:
    """The arguments of a call and what it returns, tensors by where they come from."""

    def described(each: Any) -> Any:
        if isinstance(each, (list, tuple)):
            return [described(item) for item in each]
        if isinstance(each, dict):
            return {key: described(item) for key, item in each.items()}
        if isinstance(each, keras.KerasTensor):
            history = each._keras_history
            # Inputs are no operations of the graph.
            name = names.get(id(history.operation)) or stem(history.operation.name)
            return name, history.tensor_index, each.shape, each.dtype
        if isinstance(each, (np.ndarray, tf.Tensor)):
            return _bytes(each)
        return each if isinstance(each, _PLAIN) else type(each)

    return described([node.arguments.args, node.arguments.kwargs, node.outputs])


def _computing(node: Any, operation: Any, twin: Any, values: _Values) -> str:
    for side in (_SIDE, None):
        with contextlib.suppress(Exception):
            expected = _results(node, operation, values, side)
            break
    else:
        return ""  # It takes no drawn values, so that what is written down has to do.
    try:
        found = _results(node, twin, values, side)
    except Exception:
        return "what it computes"
    if found == expected:
        return ""
    # With several threads, or draws of no seed, a layer may not even repeat itself.
    repeats = all(_results(node, operation, values, side) == expected for _ in range(2))
    return "what it computes" if repeats else ""


def _results(node: Any, operation: Any, values: _Values, side: int | None) -> list[bytes]:
    """The bytes of all that a call gives, in training and in inference."""
    mapping = values.drawn(operation)
    found = [
        each
        for training in (True, False)
        for each in _forward(node, operation, mapping, side, training=training)
    ]
    return [b"" if each is None else _bytes(each) for each in found]


def _forward(
    node: Any, operation: Any, mapping: list[tuple[Any, Any]], side: int | None, *, training: bool
) -> list[Any]:
    args, kwargs, inputs = _arguments(node, side)
    if isinstance(operation, keras.layers.Layer):
        kwargs["training"] = training
    scope = keras.StatelessScope(mapping, collect_losses=True)
    sources = [each for each in [*inputs, *(value for _, value in mapping)] if each.dtype.is_floating]
    # Gradients of a layer's own may read its variables again, and so are taken within the scope.
    with scope:
        with tf.GradientTape() as tape:
            tape.watch(sources)
            outputs = [each for each in tree.flatten(operation(*args, **kwargs)) if tf.is_tensor(each)]
        pulled = [each for each in [*outputs, *scope.losses] if training and each.dtype.is_floating]
        pulls = [tf.cast(_noise(each.shape, 1.0), each.dtype) for each in pulled]
        gradients = tape.gradient(pulled, sources, output_gradients=pulls) if pulled and sources else []
    updates = [scope.get_current_value(variable) for variable, _ in mapping]
    masks = [getattr(each, "_keras_mask", None) for each in outputs]
    return [*outputs, *masks, *scope.losses, *updates, *map(_dense, gradients)]


def _dense(gradient: Any) -> Any:
    return gradient if gradient is None else tf.convert_to_tensor(gradient)


def _arguments(node: Any, side: int | None) -> tuple[Any, dict[str, Any], list[Any]]:
    """Arguments of a call with drawn tensors in place of symbolic ones, and these tensors."""
    symbols = {id(each): each for each in node.input_tensors}
    symbols |= {id(mask_of(each)): mask_of(each) for each in node.input_tensors if mask_of(each) is not None}
    items = max((math.prod(size or _SIDE for size in each.shape[1:]) for each in symbols.values()), default=1)
    rows = _MANY if items <= _SMALL_ITEMS else _FEW
    tensors = {key: _drawn(each, rows, side, items > _SMALL_ITEMS) for key, each in symbols.items()}
    for key, symbol in symbols.items():
        if mask_of(symbol) is not None:
            tensors[key]._keras_mask = tensors[id(mask_of(symbol))]
    args, kwargs = tree.map_structure(
        lambda each: tensors.get(id(each), each), (node.arguments.args, dict(node.arguments.kwargs))
    )
    return args, kwargs, list(tensors.values())


def _drawn(symbol: Any, rows: int, side: int | None, is_large: bool) -> Any:
    batch, *sizes = (*symbol.shape, None)[: max(1, len(symbol.shape))]
    shape = [batch or rows, *(size or side or 4 * _SIDE for size in sizes)]
    if is_large and side is not None:
        # What is far apart in an image is not computed in another way than what is near.
        shape[1:-1] = [min(size, side) for size in shape[1:-1]]
    if symbol.dtype == "string":
        return tf.fill(shape, "a")
    noise = _noise(shape, 3.0)
    if symbol.dtype == "bool" or "int" in symbol.dtype:
        return tf.cast(noise > 0, symbol.dtype)
    return tf.cast(noise, symbol.dtype)


def _noise(shape: Sequence[int], spread: float) -> np.ndarray:
    """The same for the same shape."""
    return np.resize(_pool() * np.float32(spread), tuple(shape))


@functools.cache
def _pool() -> np.ndarray:
    # A prime number of them, so that no two rows are equal.
    return np.random.default_rng(0).standard_normal(65521).astype(np.float32)


def _bytes(tensor: Any) -> bytes:
    array = np.asarray(tensor)
    return f"{array.dtype}{array.shape}".encode() + array.tobytes()
