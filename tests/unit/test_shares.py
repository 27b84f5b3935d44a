"""How many calls one client may have, and all of them together."""

from __future__ import annotations

import pytest

from keras_split.errors import ServerBusy
from keras_split.transport.shares import Shares


def test_one_client_has_its_share_and_others_have_theirs() -> None:
    shares = Shares(total=4, each=2)
    shares.take("a")
    shares.take("a")
    with pytest.raises(ServerBusy, match="a has 2 calls.*--max-calls-per-client"):
        shares.take("a")
    shares.take("b")


def test_all_together_have_no_more_than_the_total() -> None:
    shares = Shares(total=2, each=2)
    shares.take("a")
    shares.take("b")
    with pytest.raises(ServerBusy, match="at its limit: 2 calls.*--max-calls`"):
        shares.take("c")


def test_what_is_given_back_can_be_taken_again() -> None:
    shares = Shares(total=1, each=1)
    for _ in range(3):
        with shares.one("a"), pytest.raises(ServerBusy):
            shares.take("b")


def test_what_was_refused_takes_nothing() -> None:
    shares = Shares(total=3, each=1)
    shares.take("a")
    for _ in range(10):
        with pytest.raises(ServerBusy):
            shares.take("a")
    shares.take("b")
    shares.take("c")


def test_clients_that_cannot_be_told_apart_share_the_total() -> None:
    shares = Shares(total=3, each=1)
    for _ in range(3):
        shares.take(None)
    with pytest.raises(ServerBusy, match="at its limit"):
        shares.take(None)
