"""Ceilings on what a received topology may ask of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MIB = 1 << 20


@dataclass(frozen=True)
class TopologyLimits:
    """How much a topology may cost, and what must stand between raw data and an output.

    Args:
        max_config_bytes: The whole config, as text.
        max_config_values: Lists, dicts and what they hold; each is an object in memory.
        max_config_depth: Nesting of lists and dicts in it.
        max_nesting: Models and wrappers inside one another.
        max_layers: Layers and operations, those of nested models included.
        max_nodes: Calls of layers, as written in the config.
        max_calls: Calls of layers when nested models are unfolded, which is what a step executes. A call
            of many tensors counts several times.
        max_inputs: Inputs of one model.
        max_dim: Size of one dimension of any tensor.
        max_parameters: Weights of all layers together, counted before anything is built.
        max_activation_bytes: Outputs of all layers together, for one sample.
        max_multiplications: An upper bound of the work for one sample.
        assumed_dim: Stands in for a dimension that the config leaves open.
        mixing: `"trainable"` asks for a trainable layer that mixes its inputs on every path from
            an input to an output, `"any"` also takes a frozen one, and `"none"` asks for nothing:
            right for a tail, whose inputs come from the server and whose outputs stay here.
    """

    max_config_bytes: int = 4 * MIB
    max_config_values: int = 1 << 18
    max_config_depth: int = 96
    max_nesting: int = 8
    max_layers: int = 2048
    max_nodes: int = 4096
    max_calls: int = 16384
    max_inputs: int = 256
    max_dim: int = 1 << 24
    max_parameters: int = 1 << 27
    max_activation_bytes: int = 2048 * MIB
    max_multiplications: int = 1 << 44
    assumed_dim: int = 256
    mixing: Literal["trainable", "any", "none"] = "trainable"
