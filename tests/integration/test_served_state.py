"""What a served body has learned survives its server, or is refused; it never begins anew in silence."""

from __future__ import annotations

import pytest

from keras_split.errors import ConnectionLost
from keras_split.state import Shelf
from support import bodies
from support.equality import assert_same_arrays, states_of_whole
from support.gate import Meanwhile
from support.halves import Witness, connect, label_slots, train, trained_whole
from support.processes import Server

STEP = 3


@pytest.fixture(scope="module")
def serve(pki, tmp_path_factory):
    """Starts a server on the same snapshots each time."""
    folder = tmp_path_factory.mktemp("served")
    options = ["--seed", str(bodies.SEED)]
    return lambda: Server(pki, folder, "support.bodies:small", bodies.CUT, *options)


@pytest.fixture(scope="module")
def stopped(serve):
    """A server that got SIGTERM while it computed a step, and what its client heard."""
    with serve() as server:
        split = connect(server)
        split.get_weights()  # Has the server keep its beginning.

        def terminate(number):
            server.gate.until_reached(number)
            server.terminate()

        with Meanwhile() as meanwhile:
            witness = Witness(STEP - 1, lambda: server.gate.while_held(meanwhile, terminate))
            with pytest.raises(ConnectionLost) as caught:
                train(split, callbacks=[witness])
        split.close()
        assert server.wait() == 0
        yield server, str(caught.value)


def spoil(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_server_that_is_told_to_stop_finishes_its_step_and_keeps_it(stopped):
    server, heard = stopped
    assert "Check the address, that `keras-split serve` runs" in heard or "is stopping" in heard
    assert f"Kept update {STEP} in" in server.log
    ticket, bundle, _ = Shelf(server.checkpoints).latest()
    assert ticket.version == STEP
    body = states_of_whole(trained_whole(STEP), bodies.CUT)[1]
    assert_same_arrays(body, label_slots(bundle), "server")


def test_a_damaged_snapshot_is_passed_over_in_favour_of_the_one_before(stopped, serve):
    shelf = stopped[0].checkpoints
    (newest,) = shelf.glob(f"{STEP:012d}-*.state")
    whole = newest.read_bytes()
    spoil(newest)
    with serve() as server:
        assert server.status().version == 0
        assert "is damaged" in server.log
        assert "The snapshot before it is tried" in server.log
        assert "Resumed from the newest snapshot" in server.log
    newest.write_bytes(whole)


def test_nothing_but_damaged_snapshots_is_no_reason_to_begin_anew(stopped, serve):
    for path in stopped[0].checkpoints.glob("*.state"):
        spoil(path)
    with serve() as server:
        assert server.wait(60) != 0
        assert "None of the 2 snapshots" in server.log
        assert "Restore the folder from a backup, or give an empty one" in server.log
