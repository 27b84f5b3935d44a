"""Topologies from a server are hostile until they have been walked here; Keras is not imported."""

from keras_split.topology.limits import TopologyLimits
from keras_split.topology.offer import Offer, read_offer
from keras_split.topology.settings import validate_settings
from keras_split.topology.topology import Topology, validate

__all__ = ["Offer", "Topology", "TopologyLimits", "read_offer", "validate", "validate_settings"]
