"""Trains a model whole, then split, from the same seeds."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow_datasets as tfds

from keras_split import zoo
from keras_split.datasets import Dataset, load
from keras_split.demo.callbacks import StepClock, TestScores
from keras_split.demo.recipes import RECIPES, Recipe
from keras_split.local import local_server
from keras_split.model import SplitModel
from keras_split.partition import Cut, describe_cut, partition

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to show.

    Args:
        dataset: A name in `RECIPES`.
        data_dir: As in `datasets.load`.
        manual_dir: As in `datasets.load`.
        cut: Layer behind which the server's part begins.
        second_cut: Layer behind which it ends, for training without sharing labels; None to share them.
        epochs: None for the recipe's.
        batch_size: None for the recipe's.
        seed: For weights and shuffling, the same for both.
    """

    dataset: str = "digits"
    data_dir: Path | None = None
    manual_dir: Path | None = None
    cut: str = "pool2"
    second_cut: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    seed: int = 1

    @property
    def recipe(self) -> Recipe:
        """The data set's, with this plan's own numbers."""
        recipe = RECIPES[self.dataset]
        epochs, batch_size = self.epochs or recipe.epochs, self.batch_size or recipe.batch_size
        return Recipe(recipe.title, recipe.model, recipe.model_title, epochs, batch_size)

    @property
    def cuts(self) -> str:
        """Where the model is cut, and in which mode, for people."""
        return f"{self.cut} and {self.second_cut}, label-free" if self.second_cut else self.cut

    @property
    def split_title(self) -> str:
        """What the split training is called beside the whole one."""
        return "split, label-free" if self.second_cut else "split"


@dataclass(frozen=True)
class Training:
    """One of the two.

    Args:
        history: Keras' History, with `test_accuracy`; of the split one also the bytes.
        seconds_per_step: Median.
        weights: All of them, in the whole model's order.
    """

    history: dict[str, list[float]]
    seconds_per_step: float
    weights: list[np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Args:
        plan: What was to be shown.
        data: On which images.
        cut: What the cut, or both cuts, cost the client.
        whole: The training in one process.
        split: The training in two.
    """

    plan: Plan
    data: Dataset
    cut: Cut
    whole: Training
    split: Training

    @property
    def title(self) -> str:
        """Model and images, for people."""
        return f"{self.plan.recipe.model_title} on {data_title(self.plan, self.data)}"

    @property
    def weight_difference(self) -> float:
        """Largest absolute difference of any weight; NaN if a weight is NaN."""
        pairs = zip(self.whole.weights, self.split.weights, strict=True)
        return float(np.max([np.max(np.abs(one - other)) for one, other in pairs]))


def run(plan: Plan, say: Say) -> Outcome:
    """Trains both.

    Args:
        plan: What to show.
        say: Prints a heading.

    Raises:
        DatasetUnavailable: The images are neither here nor to be had.
        ValueError: The cut is not legal.
    """
    data = load_data(plan)
    cut = cost_of(plan, data)
    say(describe_data(plan, data))
    say(f"Whole model, in this process ({os.getpid()})")
    whole = _train(compiled(new_model(plan, data)), plan, data)
    say(_describe_split(plan))
    split = _train(compiled(SplitModel(new_model(plan, data), plan.cut, plan.second_cut)), plan, data)
    return Outcome(plan, data, cut, whole, split)


def load_data(plan: Plan) -> Dataset:
    """Without TFDS' report; its bars stay for a download that someone watches."""
    if plan.dataset == "digits" or not sys.stderr.isatty():
        tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):
        return load(plan.dataset, data_dir=plan.data_dir, manual_dir=plan.manual_dir)


def new_model(plan: Plan, data: Dataset) -> keras.Model:
    """The recipe's, from the plan's seed."""
    build = getattr(zoo, plan.recipe.model)
    model: keras.Model = build(data.x_train.shape[1:], data.class_count, seed=plan.seed)
    return model


def cost_of(plan: Plan, data: Dataset) -> Cut:
    """Also the place where an illegal cut comes to light before anything is trained."""
    model = new_model(plan, data)
    partition(model, plan.cut, plan.second_cut)
    return describe_cut(model, plan.cut, plan.second_cut)


def compiled(model: Any) -> Any:
    """With the settings of all demonstrations."""
    model.compile(
        optimizer="adam",
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        # XLA, Keras' own choice on a GPU, rounds in another order and can't run a split step.
        jit_compile=False,
    )
    return model


def _train(model: Any, plan: Plan, data: Dataset) -> Training:
    keras.utils.set_random_seed(plan.seed)
    clock, batch_size = StepClock(), plan.recipe.batch_size
    history = model.fit(
        data.x_train,
        data.y_train,
        epochs=plan.recipe.epochs,
        batch_size=batch_size,
        # A bar that cannot go back in its line would fill a log file.
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=[clock, TestScores(data.x_test, data.y_test, batch_size)],
    ).history
    trained = model.whole_model() if isinstance(model, SplitModel) else model
    return Training(history, clock.median_seconds(), trained.get_weights())


def describe_data(plan: Plan, data: Dataset) -> str:
    """In a line, for people."""
    shape = "x".join(map(str, data.x_train.shape[1:]))
    counts = f"{len(data.x_train):,} training and {len(data.x_test):,} test images of {shape}"
    return f"{data_title(plan, data)}: {counts}"


def data_title(plan: Plan, data: Dataset) -> str:
    """A lossy copy of a data set must be called one beside any number."""
    return plan.recipe.title if data.note == data.name else data.note


def _describe_split(plan: Plan) -> str:
    server = local_server()
    return (
        f"Split at {plan.cuts}, with a server process ({server.process.pid}) behind gRPC and TLS at "
        f"{server.session().target}"
    )
