"""What the demonstration of several data owners shows, from what they tell."""

from __future__ import annotations

from keras_split.demo.several.board import Board
from keras_split.demo.several.place import shares
from keras_split.demo.several.view import drawn, told

SCORES = {"test_loss": 1.0, "test_accuracy": 0.5}


def board_of_two(epochs: int = 2) -> Board:
    board = Board(("a", "b"), epochs, batch_size=4)
    hear(board, "a", 0, "ready", rows=9)
    hear(board, "b", 0, "ready", rows=4)
    board.begin(10.0)
    return board


def hear(board: Board, name: str, at: float, event: str, **facts: object) -> None:
    board.hear(name, {"event": event, "at": at, **facts})


def trains(board: Board, name: str, turn: int, begins: float) -> None:
    hear(board, name, begins, "begins", turn=turn)
    hear(board, name, begins + 1, "trained", epoch=0, loss=2.0, accuracy=0.25)
    hear(board, name, begins + 2, "tested", **SCORES)


def test_all_are_there_only_when_each_has_its_rows():
    board = Board(("a", "b"), 1, 4)
    assert not board.is_ready
    hear(board, "a", 0, "ready", rows=9)
    assert not board.is_ready
    hear(board, "b", 0, "ready", rows=4)
    assert board.is_ready and board.seats["a"].batches == 3


def test_waits_are_from_the_end_of_a_turn_to_the_beginning_of_the_next():
    board = board_of_two()
    trains(board, "a", 1, begins=11.0)
    hear(board, "a", 14.0, "ends", turn=1)
    trains(board, "b", 2, begins=15.0)
    hear(board, "b", 18.0, "ends", turn=2)
    trains(board, "a", 3, begins=19.5)
    assert (board.seats["a"].waited_seconds, board.seats["b"].waited_seconds) == (1.0 + 5.5, 5.0)


def test_what_comes_late_over_one_pipe_belongs_to_its_own_turn():
    board = board_of_two()
    trains(board, "a", 1, begins=11.0)
    hear(board, "b", 14.5, "begins", turn=2)
    hear(board, "a", 14.0, "ends", turn=1)
    assert [(turn.member, turn.ends) for turn in board.turns] == [("a", 4.0), ("b", None)]
    assert board.seats["b"].state == "trains" and board.seats["a"].epoch == 1


def test_the_view_says_who_trains_and_who_waits_for_whom():
    board = board_of_two()
    hear(board, "b", 11.0, "waits", member="a", trains=True, ahead=1)
    hear(board, "a", 11.0, "begins", turn=1)
    hear(board, "a", 11.5, "steps", epoch=0, steps=2, loss=2.0, accuracy=0.25)
    lines = "\n".join(drawn(board))
    assert "2/3  loss 2.0000  accuracy  25.0 %" in lines
    assert "next, after a" in lines and "turn 1 of 4" in lines
    hear(board, "a", 12.0, "trained", epoch=0, loss=2.0, accuracy=0.25)
    hear(board, "a", 12.5, "tested", **SCORES)
    assert told(board, board.turns[0]).endswith("test accuracy  50.0 %")


def test_shares_are_uneven_and_hold_each_row_once():
    for count in (2, 3, 10):
        parts = shares(1442, count, seed=1)
        assert sorted(row for part in parts for row in part) == list(range(1442))
        assert len({len(part) for part in parts}) == count
