"""Search for a network and a cut that are accurate, and cheap for the client.

KerasTuner tries small networks of different widths, each cut at different layers. By itself a cut
changes no accuracy, since split training equals whole training; it decides what the client computes
and what it sends. The objective puts a price on both. What is chosen is chosen on a fifth of the training
rows, which no trial learns from; the test rows stay unseen.

Run it with `python examples/tune_the_cut.py pareto.png`; without a name it draws no picture. It needs
`pip install '.[tuning]'`.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import NamedTuple

import keras
import keras_tuner
from keras import layers
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter, PercentFormatter

from keras_split import datasets, tuning

CUTS = {"pool1": "#1b9e77", "pool2": "#d95f02", "dense": "#7570b3"}
INK, GRID = "#333333", "#e6e6e6"


class Found(NamedTuple):
    """One trial."""

    accuracy: float
    flops: float
    bytes: float
    cut: str
    filters: int

    def beats(self, other: Found) -> bool:
        """Whether it is at least as good in all three, and better in one."""
        mine = (self.accuracy, -self.flops, -self.bytes)
        theirs = (other.accuracy, -other.flops, -other.bytes)
        return mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))


def main(picture: str, quick: bool) -> None:
    """Searches, and shows what was found."""
    data = datasets.load("digits")
    trials = 2 if quick else 9
    # A hundredth of accuracy for 100,000 operations of the client's, or for 2,000 bytes that it sends.
    objective = tuning.Objective("val_accuracy", flops=1e-7, bytes=5e-6)
    hypermodel = tuning.SplitHyperModel(build, cuts=list(CUTS))

    with tempfile.TemporaryDirectory() as folder:
        # With a folder of its own and without `overwrite`, a search that was stopped would go on.
        tuner = keras_tuner.RandomSearch(hypermodel, objective, max_trials=trials, seed=4, directory=folder)
        tuner.search(
            data.x_train,
            data.y_train,
            validation_split=0.2,
            batch_size=64,
            epochs=1 if quick else 6,
            verbose=0,
        )
        tuner.results_summary(num_trials=1)
        found = [read(trial) for trial in tuner.oracle.get_best_trials(trials)]

    print(f"\n{'cut':8}{'filters':>8}{'accuracy':>10}{'FLOPs':>11}{'bytes':>8}")
    for each in found:
        front = "" if any(other.beats(each) for other in found) else "  on the Pareto front"
        print(
            f"{each.cut:8}{each.filters:8}{each.accuracy:10.1%}{each.flops:11,.0f}{each.bytes:8,.0f}{front}"
        )
    if picture:
        draw(found, picture)


def build(hp: keras_tuner.HyperParameters) -> keras.Model:
    """One network. Layers have names, so that a cut means the same in each trial."""
    keras.utils.set_random_seed(7)
    filters = hp.Choice("filters", [2, 4, 8, 16])
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(filters, 3, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(2 * filters, 3, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(128, activation="relu", name="dense"),
            layers.Dense(10, activation="softmax", name="scores"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def read(trial: keras_tuner.engine.trial.Trial) -> Found:
    """What a finished trial tells."""
    names = ("val_accuracy", "client_flops", "bytes_per_sample")
    values = trial.hyperparameters.values
    return Found(*map(trial.metrics.get_best_value, names), values["cut"], values["filters"])


def draw(found: list[Found], path: str) -> None:
    """Accuracy on the validation rows over both costs; what another trial beats is pale."""
    figure = Figure(figsize=(10, 4.4), dpi=150, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, cost, title in zip(
        panels, ("flops", "bytes"), ("Client FLOPs per sample", "Bytes up per sample"), strict=True
    ):
        for each in found:
            beaten = any(other.beats(each) for other in found)
            style = {"color": CUTS[each.cut], "alpha": 0.35 if beaten else 1.0}
            spot = (getattr(each, cost), each.accuracy)
            axes.plot(*spot, "o", markersize=10, markeredgewidth=0, **style)
            axes.annotate(
                str(each.filters), spot, (0, 8), textcoords="offset points", ha="center", fontsize=9, **style
            )
        finish(axes, title)
    panels[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    panels[0].set_ylabel("Accuracy on validation rows", color=INK)
    for name, color in CUTS.items():
        panels[1].plot([], [], "o", color=color, label=f"cut at {name}")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, labelcolor=INK)
    figure.suptitle(
        "Accuracy of each trial, with its number of filters; pale ones are beaten by another",
        color=INK,
        fontsize=13,
    )
    figure.savefig(path)


def finish(axes: Axes, title: str) -> None:
    """What both panels have in common."""
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.margins(x=0.12, y=0.16)
    axes.tick_params(which="both", colors=INK, length=0)
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("picture", nargs="?", default="", help="file to draw the trials into")
    parser.add_argument("--quick", action="store_true", help="two trials of one epoch")
    main(**vars(parser.parse_args()))
