"""What the examples of tasks share: their options, one bar per training, and both trainings in one table.

Nothing here is needed to train a split model.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import keras_split


@dataclass(frozen=True)
class Data:
    """Rows to learn from, and rows that are never trained on.

    Args:
        x_train: What the model takes: an array, or tensors by the name of an input.
        y_train: What it shall tell, row by row.
        x_test: As `x_train`.
        y_test: As `y_train`.
    """

    x_train: Any
    y_train: np.ndarray
    x_test: Any
    y_test: np.ndarray


def run(main: Callable[..., None]) -> None:
    """Runs an example as the command line asks for.

    Args:
        main: Takes `quick` and `seed`.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="few rows and few epochs")
    parser.add_argument("--seed", type=int, default=7, help="for weights and the order of rows")
    options = parser.parse_args()
    _use_one_thread()
    main(options.quick, options.seed)


def _use_one_thread() -> None:
    """Makes bits comparable: with more, sums are added in any order, and even two whole models differ.

    It has to come before TensorFlow computes anything; a private server takes the number from here.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    # Predicting with several models in one program is no mistake.
    tf.get_logger().setLevel("ERROR")


class EpochBar(keras.callbacks.Callback):
    """One bar for a whole training, since one per epoch would fill pages."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Says which of the two trains, and starts the clock."""
        split = isinstance(self.model, keras_split.SplitModel)
        print("Split, over two processes" if split else "Whole, in this process")
        # A bar that cannot go back in its line would fill a log file.
        verbose = 1 if sys.stdout.isatty() else 2
        self._bar = keras.utils.Progbar(
            self.params["epochs"], verbose=verbose, stateful_metrics=["loss"], unit_name="epoch"
        )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """One step of the bar."""
        self._bar.update(epoch + 1, [("loss", logs["loss"])])


def show(
    whole: keras.Model,
    split: keras_split.SplitModel,
    score: Callable[[keras.Model, Any], dict[str, float]],
    data: Data,
) -> None:
    """Prints both trainings' scores, the traffic, and the largest difference of any weight.

    Args:
        whole: Trained in one piece.
        split: Trained in two.
        score: What a model is worth on data, by name.
        data: Which both have learned from.

    Raises:
        SystemExit: A weight differs.
    """
    ours, theirs = score(whole, data), score(split, data)
    lines = [(name, _number(ours[name]), _number(theirs[name])) for name in ours]
    traffic, rows = split.history.history, len(data.y_train)
    for direction, name in (("up", "bytes_sent"), ("down", "bytes_received")):
        # Of the last epoch: the first one also prepares the exchange.
        lines.append((f"Bytes {direction} per sample", "-", f"{traffic[name][-1] / rows:,.0f}"))
    _print_table(lines)
    _check_weights(whole.get_weights(), split.whole_model().get_weights())


def _print_table(lines: list[tuple[str, str, str]]) -> None:
    width = max(len(name) for name, _, _ in lines) + 2
    print(f"\n{'':{width}}{'whole':>12}{'split':>12}")
    print("─" * (width + 24))
    for name, ours, theirs in lines:
        print(f"{name:{width}}{ours:>12}{theirs:>12}")


def _check_weights(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    pairs = zip(ours, theirs, strict=True)
    difference = max(float(np.max(np.abs(one - other))) for one, other in pairs)
    count = sum(each.size for each in ours)
    print(f"\nLargest difference of the {count:,} weights: {difference:.3g}\n")
    if difference != 0:
        raise SystemExit("Split does NOT equal whole; docs/exactness.md lists the known reasons.")


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
