"""Reads one serialised layer: its class from a closed list, its options from a closed table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_split.errors import TopologyError
from keras_split.topology import (
    layers_attention,
    layers_convolution,
    layers_dense,
    layers_elementwise,
    layers_preprocessing,
    layers_recurrent,
    layers_reshaping,
    layers_spatial,
)
from keras_split.topology.checks import (
    MAX_RANK,
    Check,
    Options,
    Refusal,
    choice,
    integer,
    list_of,
    optional,
    printable_name,
    read_options,
    refused,
)
from keras_split.topology.custom import custom_rule
from keras_split.topology.limits import TopologyLimits
from keras_split.topology.objects import COMMON, TENSOR_DTYPES, serialised
from keras_split.topology.operations import OPERATIONS
from keras_split.topology.parts import Part, refuse
from keras_split.topology.rules import STRUCTURE_OF_INPUTS, Rule, nothing

LAYERS: dict[str, Rule] = {
    **layers_attention.RULES,
    **layers_convolution.RULES,
    **layers_dense.RULES,
    **layers_elementwise.RULES,
    **layers_preprocessing.RULES,
    **layers_recurrent.RULES,
    **layers_reshaping.RULES,
    **layers_spatial.RULES,
}
RECURRENT = frozenset(layers_recurrent.RULES)

MODEL_RULE = Rule(nothing, {}, call=STRUCTURE_OF_INPUTS)
INPUT_RULE = Rule(
    nothing,
    {
        "batch_shape": list_of(optional(integer(1)), 1, MAX_RANK),
        "dtype": choice(*TENSOR_DTYPES),
        "sparse": choice(False, None),
        "ragged": choice(False, None),
        "optional": choice(False),
        "name": printable_name,
    },
    frozenset({"batch_shape", "dtype", "name"}),
)
_OBJECT_KEYS = ("module", "class_name", "registered_name", "config")
# How the layer was built and how the model was compiled are the client's business: both are
# dropped, since Keras would build and compile from them before it calls anything.
_DROPPED_KEYS = frozenset({"build_config", "compile_config"})


class Reader:
    """Reads single layers of one topology, and counts them.

    Args:
        limits: Ceilings.
        custom: The client's own layer classes by registered name.
    """

    def __init__(self, limits: TopologyLimits, custom: Mapping[str, type]) -> None:
        self.limits = limits
        self._custom = custom
        self._layers_left = limits.max_layers
        self._nodes_left = limits.max_nodes

    def count_node(self) -> None:
        """Counts one call of a layer.

        Raises:
            Refusal: There are too many.
        """
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise Refusal(f"more than {self.limits.max_nodes} calls of layers")

    def header(self, entry: Any, path: str) -> tuple[str, str, str | None, Options]:
        """Module, class name, registered name and config of a serialised object.

        Raises:
            TopologyError: It is none, or there are too many.
        """
        self._layers_left -= 1
        if self._layers_left < 0:
            raise TopologyError(f"The topology has more than {self.limits.max_layers} layers.")
        if type(entry) is not dict or entry.keys() - _DROPPED_KEYS != set(_OBJECT_KEYS):
            keys = ", ".join(_OBJECT_KEYS)
            raise refuse(path, "?", refused(entry, f"a serialised layer with the keys {keys}"))
        module, kind, registered, config = (entry[key] for key in _OBJECT_KEYS)
        if type(kind) is not str or type(config) is not dict:
            raise refuse(path, "?", refused(kind, "the name of a class, and a dict as its config"))
        return module, kind, registered, config

    def layer(self, entry: Any, path: str, trainable: bool) -> Part:
        """One layer or operation that holds no other.

        Raises:
            TopologyError: Its class or one of its options is not accepted.
        """
        module, kind, registered, config = self.header(entry, path)
        try:
            return self._layer(module, kind, registered, config, path, trainable)
        except Refusal as refusal:
            raise refuse(path, kind, refusal) from None

    def _layer(
        self,
        module: Any,
        kind: str,
        registered: Any,
        config: Options,
        path: str,
        trainable: bool,
    ) -> Part:
        if registered is not None and registered in (self._custom if _is_text(registered) else ()):
            return self._custom_layer(kind, registered, config, path, trainable)
        rule, is_operation = self._rule(module, kind, registered)
        checks = self._checks(rule, is_operation)
        options = read_options(checks, config, rule.required)
        return Part(
            path,
            kind,
            rule,
            options,
            trainable and options.get("trainable", True),
            # Without a registered name, no class of the client's can step in for Keras' own.
            serialised(module, kind, options),
            is_operation=is_operation,
        )

    @staticmethod
    def _checks(rule: Rule, is_operation: bool) -> dict[str, Check]:
        if rule is INPUT_RULE:
            return dict(rule.options)
        common = {"name": printable_name} if is_operation else COMMON
        return {**common, **rule.options}

    def _rule(self, module: Any, kind: str, registered: Any) -> tuple[Rule, bool]:
        operations = OPERATIONS.get(module, {}) if _is_text(module) else {}
        if kind in operations and registered in (None, kind):
            return operations[kind], True
        if module == "keras.layers" and registered is None:
            if kind == "InputLayer":
                return INPUT_RULE, False
            if kind in LAYERS:
                return LAYERS[kind], False
        raise self._unknown(module, registered)

    def _unknown(self, module: Any, registered: Any) -> Refusal:
        return Refusal(
            f"not accepted from module {ascii(module)[:80]} under the name "
            f"{ascii(registered)[:80]}. Allowed: of keras.layers {', '.join(sorted(LAYERS))}; of "
            f"Keras' operations {', '.join(sorted(set().union(*OPERATIONS.values())))}; wrappers "
            "and models Bidirectional, TimeDistributed, Sequential, Functional; registered by "
            f"this client and named to it {', '.join(sorted(self._custom)) or 'none'}"
        )

    def _custom_layer(self, kind: str, registered: str, config: Options, path: str, trainable: bool) -> Part:
        expected = self._custom[registered].__name__
        if kind != expected:
            # Keras reads names such as `__tensor__` or `function` before it looks for a class.
            raise refused(kind, f"{expected!r}, which is the class that is named {registered!r} here")
        rule, options = custom_rule(self._custom[registered], config)
        own = trainable and options.get("trainable", True) is True
        entry = {**serialised(None, kind, options), "registered_name": registered}
        return Part(path, kind, rule, options, own, entry, is_custom=True)


def _is_text(value: Any) -> bool:
    return type(value) is str
