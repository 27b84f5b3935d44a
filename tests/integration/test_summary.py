"""What `summary` tells of both halves."""

from __future__ import annotations

from keras_split.partition import partition
from support import bodies
from support.halves import whole_model


def test_the_summary_names_the_servers_layers_and_counts_their_parameters(client, shared_server):
    lines = []
    client.summary(print_fn=lambda line, **_: lines.append(line))
    *own, theirs = lines
    body = partition(whole_model(), bodies.CUT).body.model
    assert theirs == (
        f" Server {shared_server.address} holds {body.count_params():,} parameters in: "
        "gate, high, high_norm, high_drop, classes"
    )
    assert all(name in "".join(own) for name in ("low", "low_norm", "low_drop"))
