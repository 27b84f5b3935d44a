"""Segmentation: grey and white matter in slices of a brain, by a U-Net whose skip connections cross the cut.

The MNI152 head of Fonov and others (2009), an average of 152 MRI scans with maps of its tissues, which
comes with nilearn. The encoder is the client's, the decoder the server's, so three tensors travel: what
the last level hands down, and what the two others hand across. Printed are intersection over union and
Dice, for slices from parts of the head that were not trained on. There is one head only: the scores
tell whether both trainings agree, and nothing about other patients.

Run it with `python examples/segmentation.py` after `pip install '.[examples]'`.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers
from nilearn import datasets
from side_by_side import Data, EpochBar, run, show

import keras_split

TISSUES = ["other", "grey matter", "white matter"]


def main(quick: bool, seed: int) -> None:
    """Trains the same model whole and split, and compares."""
    data = load(quick)
    epochs = 1 if quick else 8
    whole = train(build(data, seed), data, epochs, seed)
    # Everything before `pool2` stays; its output travels, and the skip connections that go around it.
    split = train(keras_split.SplitModel(build(data, seed), cut="pool2"), data, epochs, seed)
    show(whole, split, score, data)


def load(quick: bool) -> Data:
    """Horizontal slices `(rows, height, width, 1)` in 0..1, and for each pixel its place in TISSUES.

    Every third block of six is held out.
    """
    head, grey, white = (
        np.moveaxis(load_part(resolution=2).get_fdata(dtype="float32"), 2, 0)[10:82, 10:90, 8:112]
        for load_part in (
            datasets.load_mni152_template,
            datasets.load_mni152_gm_template,
            datasets.load_mni152_wm_template,
        )
    )
    # A byte for each pixel, since the labels travel as they are.
    tissue = np.argmax([1 - grey - white, grey, white], axis=0).astype("uint8")
    images, block = head[..., np.newaxis], np.arange(len(head)) // 6
    held_out = block % 3 == 1
    if quick:
        # A little of everything, near the middle.
        images, tissue = images[30:48:2, 16:48, 36:68], tissue[30:48:2, 16:48, 36:68]
        held_out = held_out[30:48:2]
    return Data(images[~held_out], tissue[~held_out], images[held_out], tissue[held_out])


def build(data: Data, seed: int) -> keras.Model:
    """Two levels down on the client, and up again on the server."""
    keras.utils.set_random_seed(seed)
    image = keras.Input(data.x_train.shape[1:], name="image")
    level1 = convolve(image, 8, "down1")
    level2 = convolve(layers.MaxPooling2D(name="pool1")(level1), 16, "down2")
    x = convolve(layers.MaxPooling2D(name="pool2")(level2), 32, "bottom")
    for skip, width, name in ((level2, 16, "up2"), (level1, 8, "up1")):
        x = layers.UpSampling2D(name=f"{name}_grow")(x)
        x = layers.Concatenate(name=f"{name}_join")([x, skip])
        x = convolve(x, width, name)
    return keras.Model(image, layers.Conv2D(len(TISSUES), 1, activation="softmax", name="tissue")(x))


def convolve(x: Any, width: int, name: str) -> Any:
    """Two convolutions at one level."""
    for at in ("a", "b"):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}{at}")(x)
        # Forgets within some ten steps; Keras' own choice takes hundreds.
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}{at}_norm")(x)
        x = layers.ReLU(name=f"{name}{at}_relu")(x)
    return x


def train(model: keras.Model, data: Data, epochs: int, seed: int) -> keras.Model:
    """The same lines for both."""
    keras.utils.set_random_seed(seed)
    model.compile(optimizer=keras.optimizers.Adam(5e-3), loss="sparse_categorical_crossentropy")
    model.fit(data.x_train, data.y_train, batch_size=4, epochs=epochs, verbose=0, callbacks=[EpochBar()])
    return model


def score(model: keras.Model, data: Data) -> dict[str, float]:
    """Overlap of what was found with what is there, for each tissue."""
    found = model.predict(data.x_test, verbose=0).argmax(axis=-1)
    scores = {}
    for at, name in enumerate(TISSUES[1:], start=1):
        ours, theirs = found == at, data.y_test == at
        both, either = np.sum(ours & theirs), np.sum(ours | theirs)
        scores[f"IoU, {name}"] = float(both / either)
        scores[f"Dice, {name}"] = float(2 * both / (both + either))
    return scores


if __name__ == "__main__":
    run(main)
