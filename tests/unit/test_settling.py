"""A client's settings take effect between two steps, and keep nobody else waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.errors import ProtocolError, Refused
from keras_split.numerics import Numerics
from keras_split.segment import Input
from keras_split.server.served import Served
from keras_split.session import Exchange
from support.served import prepared, serve, settings

SECONDS = 100


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = serve(tmp_path, owned=True)
    yield served
    served.engine.stop()


def test_other_bodies_are_compiled_while_settings_wait_for_a_step(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, waits = threading.Event(), threading.Event()
    change = served.engine.change

    def tell(work):
        waits.set()
        return change(work)

    def use() -> bool:
        with Numerics.current().applied():
            return True

    with ThreadPoolExecutor() as threads:
        threads.submit(change, lambda: may_end.wait(2 * SECONDS))
        monkeypatch.setattr(served.engine, "change", tell)
        settled = threads.submit(served.settle, settings("adam"))
        try:
            assert waits.wait(SECONDS)
            assert threads.submit(use).result(SECONDS)
        finally:
            may_end.set()
        settled.result(SECONDS)


def test_no_step_of_the_optimizer_before_follows_new_settings(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = prepared(served)
    served.traces.step(name)
    change = served.engine.change

    def look_behind(work):
        change(work)
        # What another connection has asked for meanwhile would be computed now.
        with pytest.raises(ProtocolError, match="not prepared"):
            served.traces.step(name)

    monkeypatch.setattr(served.engine, "change", look_behind)
    served.settle(settings("adam"))


def test_a_snapshot_under_another_optimizer_is_refused_with_the_reason(served: Served) -> None:
    ticket = served.engine.change(served.snapshot)
    served.settle(settings("adam"))
    with pytest.raises(Refused, match="differs in optimizer/.*compile with that optimizer"):
        served.engine.change(lambda: served.restore(ticket, weights_only=False))
    served.engine.change(lambda: served.restore(ticket, weights_only=True))


def test_the_exchange_that_was_used_longest_ago_makes_room_for_another(tmp_path: Path) -> None:
    served = serve(tmp_path, owned=True, max_signatures=2)

    def prepare(rows: int) -> pb.PrepareReply:
        smashed, label = (
            Input(role, (rows, size), "float32") for role, size in (("smashed", 3), ("label", 1))
        )
        return served.prepare(Exchange("train", (smashed,), label).request("", served.digest))

    first, second = prepare(1), prepare(2)
    served.traces.step(first.signature)
    third = prepare(3)
    assert sorted(third.kept) == sorted([first.signature, third.signature])
    with pytest.raises(ProtocolError, match="not prepared"):
        served.traces.step(second.signature)
    assert prepare(2).signature == second.signature
    served.engine.stop()


def test_several_clients_do_not_have_each_others_exchanges_forgotten(tmp_path: Path) -> None:
    served = serve(tmp_path, max_signatures=1)
    prepared(served)
    with pytest.raises(Refused, match="its limit"):
        prepared(served, label_free=True)
    served.engine.stop()


def test_an_exchange_is_compiled_once_by_whatever_name_its_model_is_asked_for(served: Served) -> None:
    first = prepared(served)
    smashed, label = (Input(role, (None, size), "float32") for role, size in (("smashed", 3), ("label", 1)))
    exchange = Exchange("train", (smashed,), label, None, True)
    assert served.prepare(exchange.request("by its name", served.digest)).signature == first


def test_only_the_owner_of_a_body_sets_what_its_optimizer_has_counted(tmp_path: Path) -> None:
    served, owned = serve(tmp_path / "served"), serve(tmp_path / "owned", owned=True)
    for each in (served, owned):
        each.follow_count(0)
    owned.follow_count(7)
    assert owned.segment.optimizer.iterations == 7
    with pytest.raises(Refused, match="not the client's to set.*iterations=7"):
        served.follow_count(7)
    assert served.segment.optimizer.iterations == 0
