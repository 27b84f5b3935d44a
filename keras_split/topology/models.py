"""Reads what holds other layers: Functional and Sequential models, and the two wrappers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from keras_split.topology.calls import Call, Reference, read_call
from keras_split.topology.checks import (
    Check,
    Options,
    Refusal,
    boolean,
    printable_name,
    read_options,
    refused,
)
from keras_split.topology.ends import functional_graph
from keras_split.topology.limits import TopologyLimits
from keras_split.topology.objects import COMMON, dtype_policy, serialised
from keras_split.topology.parts import Graph, Part, refuse
from keras_split.topology.reader import INPUT_RULE, MODEL_RULE, RECURRENT, Reader
from keras_split.topology.rules import Rule
from keras_split.topology.wrappers import BIDIRECTIONAL, TIME_DISTRIBUTED

_FUNCTIONAL = "keras.src.models.functional"
_MODELS = {("Functional", _FUNCTIONAL), ("Sequential", "keras"), ("Sequential", "keras.models")}
_WRAPPERS: dict[str, Rule] = {"Bidirectional": BIDIRECTIONAL, "TimeDistributed": TIME_DISTRIBUTED}


def _anything(value: Any) -> Any:
    """For options that the model's own reader checks."""
    return value


_FUNCTIONAL_OPTIONS: dict[str, Check] = {
    "name": printable_name,
    "trainable": boolean,
    "layers": _anything,
    "input_layers": _anything,
    "output_layers": _anything,
}
_SEQUENTIAL_OPTIONS: dict[str, Check] = {
    "name": printable_name,
    "trainable": boolean,
    "dtype": dtype_policy,
    "layers": _anything,
    "build_input_shape": _anything,
}


def is_model(module: Any, kind: str, registered: Any) -> bool:
    """Whether a serialised object names one of Keras' own model classes."""
    return isinstance(module, str) and (kind, module) in _MODELS and registered in (None, "Functional")


class ModelReader:
    """Reads one topology, models inside models included.

    Args:
        limits: Ceilings.
        custom: The client's own layer classes by registered name.
        frozen: Names of layers and weights that are not trained, whatever their layer's config says.
    """

    def __init__(
        self, limits: TopologyLimits, custom: Mapping[str, type], frozen: Collection[str] = ()
    ) -> None:
        self._limits = limits
        # A layer counts as frozen with any of its weights.
        parents = (name.split("/") for name in frozen)
        self._frozen = {"/".join(steps[:count]) for steps in parents for count in range(1, len(steps) + 1)}
        self._reader = Reader(limits, custom)

    def model(self, entry: Any) -> Part:
        """The outermost model.

        Raises:
            TopologyError: It is no Functional or Sequential model, or something in it is refused.
        """
        part = self._part(entry, "", "", trainable=True, depth=0)
        if part.graph is None:
            raise part.refuse(Refusal("not a model. Allowed: Functional or Sequential"))
        return part

    def _part(self, entry: Any, outer: str, name: str, *, trainable: bool, depth: int) -> Part:
        path = f"{outer}/{name}".strip("/") or "model"
        named = entry if type(entry) is dict else {}
        module, kind, registered = (named.get(key) for key in ("module", "class_name", "registered_name"))
        if type(kind) is not str or not self._holds_others(module, kind, registered):
            return self._reader.layer(entry, path, trainable and path not in self._frozen)
        config = self._reader.header(entry, path)[3]
        try:
            if depth > self._limits.max_nesting:
                raise Refusal(f"nested more than {self._limits.max_nesting} deep")
            read = {"Functional": self._functional, "Sequential": self._sequential}.get(kind)
            if read is not None:
                return read(config, path, trainable, depth)
            return self._wrapper(kind, config, path, trainable, depth)
        except Refusal as refusal:
            raise refuse(path, kind, refusal) from None

    @staticmethod
    def _holds_others(module: Any, kind: str, registered: Any) -> bool:
        is_wrapper = module == "keras.layers" and kind in _WRAPPERS and registered is None
        return is_wrapper or is_model(module, kind, registered)

    def _wrapper(self, kind: str, config: Options, path: str, trainable: bool, depth: int) -> Part:
        rule = _WRAPPERS[kind]
        own = {"layer": _anything, "backward_layer": _anything}
        held = [name for name in own if name == "layer" or kind == "Bidirectional"]
        checks = {**COMMON, **rule.options, **{name: own[name] for name in held}}
        options = read_options(checks, config, frozenset(held))
        trainable = trainable and options.get("trainable", True) and path not in self._frozen
        inner = tuple(
            self._part(options[name], path, _name_of(options[name]), trainable=trainable, depth=depth + 1)
            for name in held
        )
        if any(part.is_operation or part.kind == "InputLayer" for part in inner):
            raise Refusal("it holds no layer. Allowed: layers and models")
        if kind == "Bidirectional" and any(part.kind not in RECURRENT for part in inner):
            raise Refusal(f"its layers are not recurrent. Allowed: {', '.join(sorted(RECURRENT))}")
        options |= {name: part.serialised for name, part in zip(held, inner, strict=True)}
        entry = serialised("keras.layers", kind, options)
        return Part(path, kind, rule, options, trainable, entry, inner)

    def _sequential(self, config: Options, path: str, trainable: bool, depth: int) -> Part:
        options = read_options(
            _SEQUENTIAL_OPTIONS, config, frozenset({"name", "layers", "build_input_shape"})
        )
        trainable = trainable and options.get("trainable", True)
        inside = path if depth else ""
        parts = self._parts(options["layers"], inside, trainable, depth)
        first = next(iter(parts.values()))
        if first.kind != "InputLayer":
            raise Refusal("its first layer is no InputLayer. Allowed: a Sequential model with one")
        if options["build_input_shape"] != first.options["batch_shape"]:
            raise Refusal("its build_input_shape is not the shape of its input")
        options["layers"] = [part.serialised for part in parts.values()]
        return Part(
            path,
            "Sequential",
            MODEL_RULE,
            options,
            trainable,
            serialised("keras", "Sequential", options),
            graph=self._chain(parts),
        )

    def _chain(self, parts: dict[str, Part]) -> Graph:
        names = list(parts)
        calls: dict[str, tuple[Call, ...]] = {names[0]: ()}
        for before, name in zip(names, names[1:], strict=False):
            if parts[name].is_custom:
                raise Refusal(f"{name!r} is a custom layer. Put it into a Functional model")
            value = {"args": [Reference(before, 0, 0).to_json()], "kwargs": {}}
            calls[name] = (self._call(value, parts[name]),)
        order = tuple((name, 0) for name in names[1:])
        first, last = Reference(names[0], 0, 0), Reference(names[-1], 0, 0)
        return Graph(parts, calls, order, first, last, is_chain=True)

    def _functional(self, config: Options, path: str, trainable: bool, depth: int) -> Part:
        required = frozenset({"name", "layers", "input_layers", "output_layers"})
        options = read_options(_FUNCTIONAL_OPTIONS, config, required)
        trainable = trainable and options.get("trainable", True)
        inside = path if depth else ""
        entries = _list_of_entries(options["layers"])
        bare = [{key: each[key] for key in each if key not in ("name", "inbound_nodes")} for each in entries]
        parts = self._parts(bare, inside, trainable, depth)
        calls = self._calls(entries, parts)
        graph = functional_graph(options, parts, calls, self._limits)
        options["layers"] = [
            {**part.serialised, "name": name, "inbound_nodes": _to_json(calls[name])}
            for name, part in parts.items()
        ]
        entry = serialised(_FUNCTIONAL, "Functional", options)
        return Part(path, "Functional", MODEL_RULE, options, trainable, entry, graph=graph)

    def _parts(self, entries: Any, inside: str, trainable: bool, depth: int) -> dict[str, Part]:
        """Parts by name, in order; a name is taken once."""
        if type(entries) is not list or not entries:
            raise refused(entries, "a list of layers").under("layers")
        parts: dict[str, Part] = {}
        for entry in entries:
            name = _name_of(entry)
            if name in parts:
                raise Refusal(f"two layers are called {name!r}. Allowed: each name once")
            parts[name] = self._part(entry, inside, name, trainable=trainable, depth=depth + 1)
        return parts

    def _calls(self, entries: list[Options], parts: dict[str, Part]) -> dict[str, tuple[Call, ...]]:
        calls = {}
        for entry, (name, part) in zip(entries, parts.items(), strict=True):
            if entry["name"] != name:
                raise part.refuse(refused(entry["name"], f"{name!r}, as in its config"))
            nodes = entry["inbound_nodes"]
            is_input = part.rule is INPUT_RULE
            if type(nodes) is not list or bool(nodes) == is_input:
                raise part.refuse(refused(nodes, "a list of calls; an InputLayer alone has none"))
            calls[name] = tuple(self._call(node, part) for node in nodes)
        return calls

    def _call(self, value: Any, part: Part) -> Call:
        self._reader.count_node()
        try:
            return read_call(value, part.rule.call)
        except Refusal as refusal:
            raise part.refuse(refusal) from None


def _name_of(entry: Any) -> str:
    config = entry.get("config") if type(entry) is dict else None
    if type(config) is not dict or "name" not in config:
        raise refused(entry, "a serialised layer whose config has a name").under("layers")
    return printable_name(config["name"])


def _list_of_entries(layers: Any) -> list[Options]:
    if type(layers) is not list or not layers:
        raise refused(layers, "a list of layers").under("layers")
    for entry in layers:
        if type(entry) is not dict or not {"name", "inbound_nodes"} <= entry.keys():
            raise refused(entry, "a layer with a name and inbound_nodes").under("layers")
    return layers


def _to_json(calls: tuple[Call, ...]) -> list[Options]:
    return [call.to_json() for call in calls]
