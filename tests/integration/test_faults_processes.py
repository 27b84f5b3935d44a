"""A party that dies or hangs in the middle of a step leaves nothing half done."""

from __future__ import annotations

import keras
import pytest

from keras_split.errors import ConnectionLost, DeadlineExceeded, VersionMismatch
from keras_split.session import Timeouts
from support import bodies
from support.client import EPOCHS, Client
from support.equality import assert_same_arrays, states_of_whole
from support.gate import Meanwhile, until
from support.halves import (
    Start,
    Witness,
    assert_equal_halves,
    connect,
    hurry,
    kept_state,
    train,
    trained_whole,
)
from support.processes import Server

STEPS = EPOCHS * bodies.BATCHES
IN_SECOND_EPOCH = bodies.BATCHES + 3


def test_a_client_killed_in_a_step_leaves_whole_steps_and_can_come_back(
    connected, shared_server, observer, start, pki, tmp_path
):
    connected()
    number = shared_server.gate.close(after=IN_SECOND_EPOCH - 1)
    credentials = str(pki / "owner")
    with Client(tmp_path, "served", shared_server.address, credentials, str(start.path)) as client:
        shared_server.gate.until_reached(number, lambda: client.runs)
        client.kill()
        client.wait()
        shared_server.gate.open()

    other = connected(at_start=False)
    until(lambda: not observer.status().trainer)
    # The step that was being computed was finished, and no other begun.
    body = states_of_whole(trained_whole(IN_SECOND_EPOCH), bodies.CUT)[1]
    assert_same_arrays(body, kept_state(other, shared_server), "server")
    with pytest.raises(VersionMismatch, match="seen 0 updates and the server 8"):
        train(other)

    # The same program again, here.
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    train(other, epochs=EPOCHS, callbacks=[backup])
    assert_equal_halves(trained_whole(STEPS), other, shared_server)


@pytest.mark.parametrize("mode", [(), ("--second-cut", "high_norm")], ids=["labels shared", "label-free"])
def test_a_server_killed_in_a_step_can_be_started_again(pki, tmp_path, mode):
    def serve(port=0):
        options = ["--seed", str(bodies.SEED), *mode]
        return Server(pki, tmp_path, "support.bodies:small", bodies.CUT, *options, port=port)

    def train_until_killed(server, split, batch):
        def kill(number):
            server.gate.until_reached(number)
            server.kill()

        with Meanwhile() as meanwhile:
            witness = Witness(batch, lambda: server.gate.while_held(meanwhile, kill))
            with pytest.raises(ConnectionLost, match="No connection to .* `keras-split serve` runs"):
                train_with_backup(split, [witness])
        witness.assert_unchanged(split)

    def train_with_backup(split, callbacks=()):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        train(split, epochs=EPOCHS, callbacks=[backup, *callbacks])

    with serve() as server:
        start = Start(server, tmp_path / "start.weights.h5")
        split = start.load(connect(server))
        train_until_killed(server, split, IN_SECOND_EPOCH)
        port = server.port
    with serve(port) as server:
        assert server.address
        assert f"update {bodies.BATCHES}, " in server.log
        # The server went back to its last snapshot; this half did not.
        with pytest.raises(VersionMismatch, match="restarted.*Restore both"):
            train(split)
        train_until_killed(server, split, 3)
    with serve() as server:
        assert server.port != port
        split.connect(server.address, server.credentials())
        with pytest.raises(VersionMismatch, match="restarted.*Restore both"):
            # Keras begins at the epoch where BackupAndRestore left off.
            train(split, epochs=EPOCHS)
        train_with_backup(split)
        assert_equal_halves(trained_whole(STEPS), split, server)
        split.close()


def test_a_server_that_hangs_is_given_up_at_the_deadline(connected, shared_server):
    split = connected()
    witness = Witness(2, lambda: (hurry(split, step_seconds=1), shared_server.pause()))
    with pytest.raises(DeadlineExceeded, match="did not answer within 1 s.*Timeouts"):
        train(split, callbacks=[witness])
    witness.assert_unchanged(split)
    with pytest.raises(DeadlineExceeded, match="did not answer"):
        connect(shared_server, timeouts=Timeouts(join_seconds=0.5))
    shared_server.go_on()
    again = connected()
    train(again)
    assert_equal_halves(trained_whole(), again, shared_server)
