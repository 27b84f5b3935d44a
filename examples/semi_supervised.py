"""Learn from images of which only a few have labels, with and without the others.

The client's first layers learn from all images by reconstructing them; the server sees labelled rows alone.
The same network is trained three times for each number of labels and each seed: without a decoder; with one
that reconstructs the labelled rows; and with one that also reconstructs rows without labels. Initial weights,
labelled rows, their order and the number of updates are the same in all three.

Run it with `python examples/semi_supervised.py semi_supervised.png`; without a name it draws no picture.
With `--choose` it compares values of alpha on training rows, and no test row is used.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
from keras import layers
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

import keras_split
from keras_split import datasets

# Chosen with `--choose`.
ALPHA = 1.0
UNKNOWN = -1
LABELLED, OTHERS = 20, 60  # Rows of one batch.
ALONE, SAME, ALL = "labels alone", "decoder, labelled rows", "decoder, all rows"
WAYS = {ALONE: "#8c8c8c", SAME: "#d95f02", ALL: "#1b9e77"}
INK, GRID = "#333333", "#e6e6e6"


class Result(NamedTuple):
    """One training."""

    accuracy: float
    bytes_sent: float


def main(picture: str, quick: bool) -> None:
    """Trains, prints the table and draws it."""
    counts, seeds, updates = ((10, 50), (1,), 40) if quick else ((10, 50, 100, 500), range(1, 6), 400)
    data = datasets.load("digits")
    train = partial(trained, data, alpha=ALPHA, updates=updates)
    print(f"Accuracy on {len(data.y_test)} test images, mean of {len(seeds)} seeds; alpha={ALPHA}\n")
    print(f"{'labels':>6}" + "".join(f"{way:>26}" for way in WAYS) + f"{'gain':>10}{'better':>9}")
    found: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    sent = {}
    for count in counts:
        for way, rows in found.items():
            results = [train(way, count, seed) for seed in seeds]
            rows.append(np.array([each.accuracy for each in results]))
            sent[way] = results[0].bytes_sent / updates
        print(line(count, [rows[-1] for rows in found.values()]), flush=True)
    for way, size in sent.items():
        print(f"Bytes to the server per update, {way}: {size:,.0f}")
    if picture:
        draw(found, counts, picture)


def line(count: int, rows: Sequence[np.ndarray]) -> str:
    """A row of the table: mean and standard deviation of each way, and the last less the first."""
    cells = "".join(f"{f'{100 * each.mean():.1f} ± {100 * each.std():.1f}':>26}" for each in rows)
    gains = rows[-1] - rows[0]
    return f"{count:6}{cells}{100 * gains.mean():+10.1f}{f'{(gains > 0).sum()} of {len(gains)}':>9}"


def choose() -> None:
    """Compares values of alpha on 300 training rows, which are then nobody's to learn from."""
    data = datasets.load("digits")
    rows = np.random.default_rng(0).permutation(len(data.y_train))
    kept, held_out = rows[300:], rows[:300]
    data = replace(
        data,
        x_train=data.x_train[kept],
        y_train=data.y_train[kept],
        x_test=data.x_train[held_out],
        y_test=data.y_train[held_out],
    )
    print(f"{'alpha':>6}{'10 labels':>12}{'100 labels':>12}")
    for alpha in (0.0, 0.1, 1.0, 10.0):
        way = ALL if alpha else ALONE
        means = [
            np.mean([trained(data, way, count, seed, alpha, 400).accuracy for seed in (101, 102, 103)])
            for count in (10, 100)
        ]
        print(f"{alpha:6}" + "".join(f"{each:12.1%}" for each in means))


def trained(data: datasets.Dataset, way: str, count: int, seed: int, alpha: float, updates: int) -> Result:
    """Trains one network, and looks at the test rows once, at the end."""
    keras.utils.set_random_seed(seed)
    model = classifier()  # Before the decoder, so that all three ways begin with the same weights.
    decodes, others = way != ALONE, OTHERS if way == ALL else 0
    x, y = batches(data, count, others, updates, seed)

    split = keras_split.SplitModel(model, cut="code", decoder=decoder() if decodes else None)
    split.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], steps_per_execution=10)
    callbacks = [keras_split.SemiSupervised(alpha)] if decodes else []
    options = {"batch_size": LABELLED + others, "shuffle": False, "verbose": 0}
    history = split.fit(x, y, callbacks=callbacks, **options).history

    test = split.evaluate(data.x_test, data.y_test, verbose=0, return_dict=True)
    split.close()
    return Result(test["accuracy"], history["bytes_sent"][-1])


def batches(
    data: datasets.Dataset, count: int, others: int, updates: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """All updates' rows in their order, each batch with the labelled ones first.

    Labelled rows are drawn evenly over the classes, and are the same however many others there are.
    """
    rng = np.random.default_rng(seed)
    of_class = [np.flatnonzero(data.y_train == each) for each in range(data.class_count)]
    known = np.concatenate([rng.choice(rows, count // data.class_count, replace=False) for rows in of_class])
    labelled = endless(rng, known, updates * LABELLED).reshape(updates, LABELLED)
    rest = np.setdiff1d(np.arange(len(data.y_train)), known)
    rows = np.hstack([labelled, endless(rng, rest, updates * others).reshape(updates, others)])
    y = data.y_train[rows]
    y[:, LABELLED:] = UNKNOWN
    return data.x_train[rows.ravel()], y.ravel()


def endless(rng: np.random.Generator, rows: np.ndarray, length: int) -> np.ndarray:
    """The rows in one random order after another, up to a length."""
    return np.concatenate([rng.permutation(rows) for _ in range(length // len(rows) + 1)])[:length]


def classifier() -> keras.Model:
    """Up to `code`, 32 numbers for 64 pixels, it is the client's."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(32, activation="relu", name="code"),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def decoder() -> keras.Model:
    """From the 32 numbers back to an image; it never leaves the client."""
    return keras.Sequential(
        [
            keras.Input((32,)),
            layers.Dense(128, activation="relu"),
            layers.Dense(64),
            layers.Reshape((8, 8, 1)),
        ]
    )


def draw(found: dict[str, list[np.ndarray]], counts: Sequence[int], path: str) -> None:
    """Each training as a point, the means as lines; and the gain over labels alone, seed by seed."""
    figure = Figure(figsize=(10, 4.4), dpi=150, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for (way, rows), shift in zip(found.items(), (0.93, 1.0, 1.075), strict=True):
        points(left, np.array(counts) * shift, rows, WAYS[way])
        left.plot([], [], "o-", color=WAYS[way], label=way)
    finish(left, counts, "Accuracy on test images")
    gains = [most - least for most, least in zip(found[ALL], found[ALONE], strict=True)]
    points(right, np.array(counts), gains, WAYS[ALL])
    right.axhline(0, color=INK, linewidth=1)
    finish(right, counts, "Gain by all rows, percentage points")
    left.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    right.yaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f}" if value else "0")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, labelcolor=INK)
    figure.savefig(path)


def points(axes: Axes, x: np.ndarray, rows: Sequence[np.ndarray], color: str) -> None:
    """One column of pale points for each place, and a line through their means."""
    for place, row in zip(x, rows, strict=True):
        axes.plot(np.full(len(row), place), row, "o", color=color, alpha=0.4, markersize=5, markeredgewidth=0)
    axes.plot(x, [row.mean() for row in rows], "o-", color=color, markersize=7, markeredgewidth=0)


def finish(axes: Axes, counts: Sequence[int], title: str) -> None:
    """What both panels have in common."""
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(each) for each in counts])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("Labelled training images", color=INK)
    axes.tick_params(colors=INK, length=0)
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("picture", nargs="?", default="", help="file to draw the accuracies into")
    parser.add_argument("--quick", action="store_true", help="one seed, 10 and 50 labels, few updates")
    parser.add_argument("--choose", action="store_true", help="compare values of alpha instead")
    options = parser.parse_args()
    if options.choose:
        choose()
    else:
        main(options.picture, options.quick)
