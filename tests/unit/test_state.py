"""A state on disk is whole or absent, and a damaged one is never used."""

from __future__ import annotations

import errno
import os
import stat

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from keras_split.state import CorruptState, Shelf, Ticket, occupied
from keras_split.state import file as state_file

BUNDLE = {
    "layer/0:kernel": np.arange(6, dtype="f4").reshape(2, 3),
    "layer/seed": np.array([1, 2], "u4"),
    "half": np.array([1.5, np.nan], ml_dtypes.bfloat16),
    "optimizer/0:iteration": np.int64(7),
    "flag": np.array([True]),
}


def assert_same(expected, found):
    assert list(expected) == list(found)
    for name, array in expected.items():
        array = np.asarray(array)
        assert (array.dtype, array.shape) == (found[name].dtype, found[name].shape)
        assert array.tobytes() == found[name].tobytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "one.state"


def test_a_state_comes_back_to_the_last_bit(path):
    state_file.save(path, BUNDLE, {"version": 3, "topology": "abc"})
    bundle, metadata = state_file.load(path)
    assert_same(BUNDLE, bundle)
    assert metadata == {"version": 3, "topology": "abc"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.dictionaries(
        st.text(max_size=8),
        st.sampled_from(["f2", "f4", "f8", "i8", "u1", "?"]).flatmap(
            lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, min_side=0, max_side=4))
        ),
        max_size=5,
    )
)
def test_any_state_comes_back(path, bundle):
    state_file.save(path, bundle, {})
    assert_same(bundle, state_file.load(path)[0])


def test_every_flipped_byte_is_noticed(path):
    state_file.save(path, BUNDLE, {"version": 3})
    content = path.read_bytes()
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        with pytest.raises(CorruptState, match="one.state is damaged"):
            state_file.load(path)


def test_every_missing_or_additional_end_is_noticed(path):
    state_file.save(path, BUNDLE, {"version": 3})
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(CorruptState):
            state_file.load(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(CorruptState):
        state_file.load(path)


def test_another_format_is_refused(path, monkeypatch):
    monkeypatch.setattr(state_file, "_FORMAT", "keras_split.state/2")
    state_file.save(path, BUNDLE, {})
    monkeypatch.undo()
    with pytest.raises(CorruptState, match="not a state of this version"):
        state_file.load(path)


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_state_before_and_nothing_else(path, monkeypatch, call):
    state_file.save(path, BUNDLE, {"version": 1})
    before = path.read_bytes()

    def no_space(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "write":
        monkeypatch.setattr(state_file, "_write", no_space)
    else:
        monkeypatch.setattr(os, call, no_space)
    with pytest.raises(OSError, match="No space"):
        state_file.save(path, BUNDLE, {"version": 2})
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_the_new_state_is_on_the_disk_before_it_takes_the_place_of_the_old(path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        done = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, done=done: (calls.append(name), done(*given)))
    state_file.save(path, BUNDLE, {})
    # The file, its name, and the folder in which the name stands.
    assert calls == ["fsync", "replace", "fsync"]


def test_nobody_else_reads_a_state(tmp_path):
    shelf = Shelf(tmp_path / "shelf")
    shelf.put(BUNDLE, 1, {})
    (file,) = shelf.folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(shelf.folder.stat().st_mode) == 0o700


# Shelves.


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "shelf", keep=3)


def put(shelf, version, mark=0):
    return shelf.put({"mark": np.array([mark])}, version, {"topology": "abc"})


def files(shelf):
    return sorted(shelf.folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)


def test_in_one_line_a_clock_that_is_set_back_changes_nothing(tmp_path):
    shelf = Shelf(tmp_path / "shelf", keep=2, in_one_line=True)
    for number in range(3):
        shelf.put({"mark": np.array([number])}, 7, {}, nonce=number)
        (newest,) = shelf.folder.glob(f"*{number:016x}.state")
        os.utime(newest, (100 - number, 100 - number))
    assert shelf.latest()[1]["mark"] == 2
    assert len(list(shelf.folder.iterdir())) == 2


def spoil(path):
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)


def test_a_ticket_brings_its_state(shelf):
    tickets = [put(shelf, 5, mark) for mark in range(3)]
    assert len(set(tickets)) == 3
    for mark, ticket in enumerate(tickets):
        bundle, metadata = shelf.get(ticket)
        assert bundle["mark"] == [mark]
        assert metadata == {"topology": "abc", "version": 5}
    assert shelf.get(Ticket(5, 1)) is None
    assert shelf.get(Ticket(4, tickets[0].nonce)) is None


def test_a_ticket_is_64_bits_on_the_wire_and_in_arrays(shelf):
    ticket = put(shelf, 5)
    assert shelf.get(Ticket(*map(int, np.array(ticket, np.int64)))) is not None


def test_an_empty_shelf_has_nothing(shelf):
    assert shelf.latest() is None


def test_the_oldest_go_first_by_time(shelf):
    tickets = [put(shelf, version) for version in (7, 8, 1, 2)]
    assert [shelf.get(ticket) is not None for ticket in tickets] == [False, True, True, True]
    # After a return to an earlier version the newest state has a smaller number.
    assert shelf.latest()[0] == tickets[-1]


def test_other_files_are_left_alone(shelf):
    (shelf.folder / "notes.txt").write_text("mine")
    for version in range(5):
        put(shelf, version)
    assert (shelf.folder / "notes.txt").read_text() == "mine"
    assert len(files(shelf)) == 4


def test_a_damaged_state_is_passed_over_with_a_word(shelf, caplog):
    good, bad = put(shelf, 1, mark=1), put(shelf, 2, mark=2)
    spoil(files(shelf)[-1])
    ticket, bundle, _ = shelf.latest()
    assert (ticket, bundle["mark"]) == (good, [1])
    assert "is damaged" in caplog.text
    assert "The snapshot before it is tried" in caplog.text
    # Whoever asks for that very one is not given another.
    with pytest.raises(CorruptState):
        shelf.get(bad)


def test_nothing_but_damaged_states_is_an_error_and_no_new_beginning(shelf):
    for version in (1, 2):
        put(shelf, version)
    for path in files(shelf):
        spoil(path)
    with pytest.raises(CorruptState, match="None of the 2 snapshots.*from a backup.*begin anew"):
        shelf.latest()


def test_half_written_files_are_no_states(shelf):
    (shelf.folder / ".writing-abc").write_bytes(b"half")
    assert shelf.latest() is None


def test_two_servers_do_not_share_a_folder(tmp_path):
    folder = tmp_path / "shelf"
    with occupied(folder):
        with (
            pytest.raises(OSError, match="Another server keeps its snapshots.*of its own"),
            occupied(folder),
        ):
            raise AssertionError("Two have it.")
        put(Shelf(folder), 1)
    with occupied(folder):
        assert Shelf(folder).latest() is not None


def test_what_a_killed_server_left_half_written_is_cleared_away(shelf):
    ticket = put(shelf, 1)
    (shelf.folder / ".writing-abc").write_bytes(b"half")
    with occupied(shelf.folder):
        assert [path.suffix for path in files(shelf)] == [".state", ""]
        assert shelf.latest()[0] == ticket
