"""What a client learns when it joins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import read_document
from keras_split.errors import TopologyError
from keras_split.naming import topology_digest


@dataclass(frozen=True)
class Joined:
    """What the server told at the join.

    Args:
        topology: The client's part and the frontier; to be validated before it is built.
        digest: Of the topology.
        settings: Keras-serialised compile settings, or None.
        accepts_settings: Whether the client may send its own.
        body: Layers and parameters of the body, for display.
        version: Updates that the server has applied.
    """

    topology: dict[str, Any]
    digest: str
    settings: dict[str, Any] | None
    accepts_settings: bool
    body: dict[str, Any]
    version: int

    @classmethod
    def of(cls, reply: pb.JoinReply, target: str) -> Joined:
        """From the wire.

        Raises:
            ProtocolError: A description that is not JSON.
            TopologyError: The topology is not what its digest says.
        """
        topology = read_document(reply.topology_json, f"The topology from {target}")
        digest = topology_digest(topology)
        if digest != reply.topology_digest:
            raise TopologyError(f"{target} sent a topology that does not match its digest.")
        settings, whose = reply.settings_json, f"The compile settings from {target}"
        return cls(
            topology=topology,
            digest=digest,
            settings=read_document(settings, whose, finite=False) if settings else None,
            accepts_settings=reply.accepts_settings,
            body=read_document(reply.body_json, f"The description of the body from {target}"),
            version=reply.version,
        )
