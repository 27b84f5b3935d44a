"""What a `keras-split serve` process lets in, keeps out and goes on with."""

from __future__ import annotations

import shutil

import grpc
import pytest

from keras_split import SplitModel, certs
from keras_split.errors import Refused
from keras_split.transport import SPLIT
from support import bodies
from support.guarded import channel_to, is_healthy, of
from support.halves import QUICK, train
from support.processes import Server
from support.silence import Silence, first_codes

MOST_CALLS = 8
SHARE = MOST_CALLS // 2
REFUSED = grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture(scope="module")
def parties(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates") / "pki"
    certs.create(folder, clients=["owner", "hostile"], inference=["clinic"])
    return folder


@pytest.fixture(scope="module")
def guarded(parties, tmp_path_factory):
    options = ["--seed", str(bodies.SEED), "--max-calls", str(MOST_CALLS)]
    with Server(
        parties, tmp_path_factory.mktemp("server"), "support.bodies:small", bodies.CUT, *options
    ) as server:
        assert server.address
        yield server


@pytest.fixture
def connected(guarded):
    clients = []

    def connect(name):
        clients.append(SplitModel.connect(guarded.address, guarded.credentials(name), timeouts=QUICK))
        return clients[-1]

    yield connect
    for split in clients:
        split.close()


def test_silent_calls_of_one_client_leave_another_able_to_train(guarded, connected):
    with channel_to(guarded.port, guarded.credentials("hostile")) as channel:
        hostile = Silence(channel)
        calls = [hostile.open(call) for call in [*SPLIT.calls] * MOST_CALLS]
        # If the machine stands still for longer than the server is patient, some are ended for that.
        assert first_codes(calls, len(calls) - SHARE) - {grpc.StatusCode.CANCELLED} == {REFUSED}
        split = connected("owner")
        steps = guarded.status().steps
        train(split)
        assert guarded.status().steps == steps + bodies.BATCHES
        with channel_to(guarded.port, guarded.credentials("owner")) as other:
            assert is_healthy(other)
        hostile.end()


@pytest.mark.filterwarnings("ignore:The server's half has seen")
def test_who_may_only_predict_predicts_and_cannot_train(guarded, connected):
    split = connected("clinic")
    x, y = _rows()
    assert split.predict(x, verbose=0).shape == (len(x), bodies.CLASSES)
    assert len(split.evaluate(x, y, verbose=0)) == 2
    steps = guarded.status().steps
    with pytest.raises(Refused, match="keras-split://inference/clinic may"):
        train(split)
    assert guarded.status().steps == steps


def _rows():
    x, y = bodies.data()
    return x[: bodies.BATCH], y[: bodies.BATCH]


def test_a_replaced_authority_holds_without_a_restart(guarded, parties, tmp_path):
    certs.create(tmp_path / "new", clients=["owner"])
    old = of(parties, "owner")
    kept = shutil.copytree(parties / "server", tmp_path / "kept")
    try:
        _replace(tmp_path / "new" / "server", parties / "server")
        assert not _is_let_in(guarded, old)
        assert _is_let_in(guarded, of(tmp_path / "new", "owner"))
        (parties / "server" / "tls.crt").write_text("neither old nor new")
        assert _is_let_in(guarded, of(tmp_path / "new", "owner"))
        assert "stay in use: " in guarded.log
    finally:
        _replace(kept, parties / "server")
    assert _is_let_in(guarded, old)


def _replace(source, target):
    for name in ("ca.crt", "tls.crt", "tls.key"):
        shutil.copy(source / name, target / name)


def _is_let_in(server, credentials):
    with channel_to(server.port, credentials) as channel:
        try:
            return is_healthy(channel)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            return False
