"""Who speaks another protocol is refused, and who computes in another way is told of."""

from __future__ import annotations

import logging

import pytest

from keras_split.errors import VersionMismatch
from keras_split.peer import PROTOCOL, check_peer, this_peer


def test_a_peer_like_this_one_is_let_in_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    check_peer(this_peer(), "server")
    assert not caplog.records


@pytest.mark.parametrize("protocol", [0, PROTOCOL + 1])
def test_another_protocol_is_refused_with_both_numbers_and_both_versions(protocol: int) -> None:
    other = this_peer()
    other.protocol, other.package_version = protocol, "99.1"
    with pytest.raises(
        VersionMismatch, match=rf"client speaks protocol {protocol} \(keras_split 99\.1\).*side {PROTOCOL}"
    ):
        check_peer(other, "client")


@pytest.mark.parametrize("name", ["package_version", "keras_version", "tensorflow_version", "fingerprint"])
def test_a_peer_that_may_compute_in_another_way_is_told_of_once(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = this_peer()
    setattr(other, name, "another")
    with caplog.at_level(logging.WARNING):
        check_peer(other, "server")
    [warning] = caplog.messages
    assert f"The server has {name.replace('_', ' ')} 'another' and this side" in warning
    assert getattr(this_peer(), name) in warning and "need not equal" in warning
