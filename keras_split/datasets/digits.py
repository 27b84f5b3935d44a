"""The 8x8 digits of scikit-learn as a tensorflow-datasets builder: no download, 1,797 images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

_CLASSES = 10
# One image in five of each class, so that the split needs no random numbers.
_TEST_EVERY = 5


class KerasSplitDigits(tfds.core.GeneratorBasedBuilder):
    """Handwritten digits of 8x8 pixels, `keras_split_digits` in the registry of TFDS.

    Pixels are `(8, 8, 1)` uint8. scikit-learn counts them 0..16; here they are 0..255,
    `round(value * 255 / 16)`, which loses nothing: `round(pixel * 16 / 255)` gives them back.
    Within each class every fifth image is a test image; both splits keep scikit-learn's order.

    Source:
        Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI, 1998
        (`sklearn.datasets.load_digits` holds its test part).
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(shape=(8, 8, 1)),
            "label": tfds.features.ClassLabel(num_classes=_CLASSES),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description="scikit-learn's 8x8 digits, 80% train and 20% test in each class.",
            homepage="https://archive.ics.uci.edu/dataset/80",
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        # Here, so that reading prepared data does not need scikit-learn.
        from sklearn.datasets import load_digits

        bunch = load_digits()
        images = np.rint(bunch.images * 255 / 16).astype(np.uint8)[..., np.newaxis]
        is_test = held_out_rows(bunch.target)
        return {
            "train": self._generate_examples(images[~is_test], bunch.target[~is_test]),
            "test": self._generate_examples(images[is_test], bunch.target[is_test]),
        }

    def _generate_examples(
        self, images: np.ndarray, labels: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for key, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield key, {"image": image, "label": int(label)}


def held_out_rows(labels: np.ndarray) -> np.ndarray:
    """Mark every fifth row of each class.

    Args:
        labels: Class of each row, `(rows,)` integers.

    Returns:
        `(rows,)` booleans, true for a row of the test split.
    """
    is_test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        is_test[np.flatnonzero(labels == label)[_TEST_EVERY - 1 :: _TEST_EVERY]] = True
    return is_test
