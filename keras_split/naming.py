"""Names without what Keras has counted.

Keras calls the third `Dense` that a process makes `dense_2`, and the same model, built again, has other
numbers. So whatever is kept or compared goes by names that follow from the model alone: a number at the end
of a name is taken for a count and left out, and where several are then called the same, their places tell
them apart. What people read has the names as they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras_split.digest import digest_of

# Not all of a name: something must be left of it.
_COUNTS = re.compile(r"(?<=.)(?:_\d+)+$", re.DOTALL)
# What was done with a layer before. It has no effect on what a client builds and computes.
_BESIDE = frozenset({"build_config", "compile_config"})


def stem(name: str) -> str:
    """A name without the count at its end: `dense` for `dense_2`."""
    return _COUNTS.sub("", name)


def lasting_names(names: Iterable[str]) -> list[str]:
    """Names that neighbours have in every process, each of them once.

    Args:
        names: Of the layers inside one model or layer, in its order.

    Example:

    >>> lasting_names(["conv", "dense_7", "dense_8"])
    ['conv', 'dense_1', 'dense_2']
    """
    stems = [stem(name) for name in names]
    total, so_far = Counter(stems), Counter[str]()
    lasting = []
    for each in stems:
        so_far[each] += 1
        lasting.append(each if total[each] == 1 else f"{each}_{so_far[each]}")
    return lasting


def distinct_names(names: Sequence[str]) -> list[str]:
    """The names, with a count behind each that has occurred before; `lasting_names` do not change by it."""
    taken, distinct = set(names), dict[str, None]()
    for name in names:
        chosen, count = name, 0
        while chosen in distinct or (count and chosen in taken):
            count += 1
            chosen = f"{name}_{count}"
        distinct[chosen] = None
    return list(distinct)


def topology_digest(topology: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of a topology with lasting names: what two sides compare.

    Topologies of one digest differ at most in numbers at the end of names. Whoever wrote them may be
    hostile: what cannot be read is left as it is, and so is another digest.

    Args:
        topology: As `Partition.topology` describes it, or read back from JSON.
    """
    lasting = {
        "name": _map_text(stem, topology.get("name")),
        "cut": _map_texts(_stems, topology.get("cut")),
        "second_cut": _map_texts(_stems, topology.get("second_cut")),
        "output_names": _map_texts(lasting_names, topology.get("output_names")),
        "head": _part(topology.get("head")),
        "tail": _part(topology.get("tail")),
    }
    return digest_of({**topology, **lasting})


def _stems(paths: list[str]) -> list[str]:
    return ["/".join(map(stem, path.split("/"))) for path in paths]


def _map_text(change: Any, value: Any) -> Any:
    return change(value) if isinstance(value, str) else value


def _map_texts(change: Any, value: Any) -> Any:
    texts = isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value)
    return change(list(value)) if texts else value


def _part(part: Any) -> Any:
    """A head or a tail; the name of its model is the whole one's with a word behind it."""
    return {**part, "model": _lasting(part.get("model"), "")} if isinstance(part, dict) else part


def _lasting(value: Any, name: str | None = None) -> Any:
    """A JSON value with lasting names for all layers in it.

    Args:
        value: Perhaps a layer as Keras writes it.
        name: What it is called from now on; None where no neighbours are known.
    """
    if isinstance(value, (list, tuple)):
        return [_lasting(each) for each in value]
    if not isinstance(value, dict):
        return value
    config = value.get("config")
    if "class_name" not in value or not isinstance(config, dict):
        return {key: _lasting(each) for key, each in value.items()}
    inside = _model(config) if isinstance(config.get("layers"), list) else _lasting(config)
    if name is None and "trainable" in config:  # A layer that another one holds.
        name = _map_text(stem, config.get("name"))
    if name is not None:
        inside["name"] = name
    return {**{key: each for key, each in value.items() if key not in _BESIDE}, "config": inside}


def _model(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a model, with lasting names for its layers wherever they are named."""
    layers = config["layers"]
    names = [_name_of(each) for each in layers]
    lasting = lasting_names(names)
    renamed = dict(zip(names, lasting, strict=True))
    found = {key: _lasting(each) for key, each in config.items() if key != "layers"}
    found["layers"] = [_entry(each, name, renamed) for each, name in zip(layers, lasting, strict=True)]
    for key in ("input_layers", "output_layers"):
        if key in config:
            found[key] = _ends(config[key], renamed)
    return found


def _entry(layer: Any, name: str, renamed: Mapping[str, str]) -> Any:
    entry = _lasting(layer, name)
    if isinstance(layer, dict) and "name" in layer:
        entry["name"] = name
        entry["inbound_nodes"] = _references(layer.get("inbound_nodes"), renamed)
    return entry


def _name_of(layer: Any) -> str:
    config = layer.get("config") if isinstance(layer, dict) else None
    name = config.get("name") if isinstance(config, dict) else None
    return name if isinstance(name, str) else ""


def _references(value: Any, renamed: Mapping[str, str]) -> Any:
    """Arguments of calls, whose tensors say which layer made them."""
    if isinstance(value, (list, tuple)):
        return [_references(each, renamed) for each in value]
    if not isinstance(value, dict):
        return value
    found = {key: _references(each, renamed) for key, each in value.items()}
    if "keras_history" in value:
        found["keras_history"] = _ends(value["keras_history"], renamed)
    return found


def _ends(value: Any, renamed: Mapping[str, str]) -> Any:
    """A nest of tensors, each as the layer, its call and the output's place."""
    if isinstance(value, dict):
        return {key: _ends(each, renamed) for key, each in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    if value and isinstance(value[0], str):
        return [renamed.get(value[0], value[0]), *value[1:]]
    return [_ends(each, renamed) for each in value]
