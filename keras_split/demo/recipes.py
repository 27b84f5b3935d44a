"""Which model goes with which data set, and for how long it is trained."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """What is shown on a data set.

    Args:
        title: The data set's name for people.
        model: Function of `keras_split.zoo`.
        model_title: The model's name for people.
        epochs: Enough for a curve, and little enough for a laptop.
        batch_size: Rows in a batch.
    """

    title: str
    model: str
    model_title: str
    epochs: int
    batch_size: int


RECIPES = {
    "digits": Recipe("digits", "lenet", "LeNet", epochs=8, batch_size=32),
    "mnist": Recipe("MNIST", "lenet", "LeNet", epochs=3, batch_size=64),
    "fashion_mnist": Recipe("Fashion-MNIST", "lenet", "LeNet", epochs=3, batch_size=64),
    "cifar10": Recipe("CIFAR-10", "vgg", "the small VGG", epochs=2, batch_size=64),
}

# More processes than that only show how slow a laptop gets.
MOST_CLIENTS = 10
