"""Load an image data set by name, through tensorflow-datasets (TFDS), as arrays for `fit`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

from keras_split.datasets.image_folder import (
    ARCHIVE,
    SPLITS,
    decode_exactly,
    find_images,
    open_images,
)
from keras_split.datasets.reachability import is_reachable

_BUILDERS = {
    "digits": "keras_split_digits",
    "mnist": "mnist",
    "fashion_mnist": "fashion_mnist",
    "cifar10": "cifar10",
}
# Mean of the uint8 train pixels, with its tolerance. MNIST and Fashion-MNIST share their file
# names, so that one can stand in the other's place unseen. JPEG moves CIFAR-10's mean by 0.02.
_TRAIN_MEANS = {
    "mnist": (33.318, 0.001),
    "fashion_mnist": (72.940, 0.001),
    "cifar10": (120.708, 0.05),
}


class DatasetUnavailable(OSError):
    """A data set is neither on this machine nor to be had, or its files are not what they say."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """One data set in memory.

    Args:
        name: The name that `load` was given.
        x_train: Images `(rows, height, width, channels)`, float32 in [0, 1].
        y_train: Classes `(rows,)`, int64.
        x_test: As `x_train`.
        y_test: As `y_train`.
        class_count: Number of classes.
        note: What to print beside a result, such as "CIFAR-10 (JPEG)".
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_count: int
    note: str


def load(
    name: str = "digits",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Load a data set; what TFDS prepared before in `data_dir` is read from there.

    Args:
        name: "digits" (needs no download), "mnist", "fashion_mnist" or "cifar10".
        data_dir: Where TFDS keeps prepared data. `None` is TFDS' own folder.
        manual_dir: Folder with files that you fetched yourself; then nothing is downloaded.
            "cifar10" also takes JPEG images in class folders, plain or in `cifar10_jpeg.tar.gz`.

    Raises:
        ValueError: Unknown name.
        DatasetUnavailable: Not prepared and not to be had, or not the images of that name.

    Example:

    >>> data = load("digits")
    >>> data.x_train.shape
    (1442, 8, 8, 1)
    """
    builder = _builder(name, data_dir)
    if builder.data_path.exists():
        return _read(name, builder)
    manual = _folder(manual_dir)
    if images := _jpeg_images(name, builder, manual):
        folder = open_images(images, _extract_dir(builder).with_name("cifar10_jpeg"))
        return _read(name, folder, "CIFAR-10 (JPEG)", decoders={"image": decode_exactly()})
    _prepare(name, builder, manual)
    return _read(name, builder)


def check_available(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    manual_dir: str | os.PathLike[str] | None = None,
) -> None:
    """Finds out within a second whether `load` can begin, without TensorFlow.

    Args:
        name: As in `load`.
        data_dir: As in `load`.
        manual_dir: As in `load`.

    Raises:
        ValueError: Unknown name.
        DatasetUnavailable: Not prepared and not to be had.
    """
    builder, manual = _builder(name, data_dir), _folder(manual_dir)
    if not builder.data_path.exists() and not _jpeg_images(name, builder, manual):
        _check_source(name, builder, manual)


def _builder(name: str, data_dir: str | os.PathLike[str] | None) -> tfds.core.DatasetBuilder:
    if name not in _BUILDERS:
        raise ValueError(f"Unknown data set. Expected one of {sorted(_BUILDERS)}. Received: name={name!r}.")
    return tfds.builder(_BUILDERS[name], data_dir=data_dir, try_gcs=False)


def _folder(path: str | os.PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path).expanduser()


def _jpeg_images(name: str, builder: tfds.core.DatasetBuilder, manual: Path | None) -> Path | None:
    """JPEG images to read in place of CIFAR-10's own files, which go first where both are."""
    if name != "cifar10" or manual is None or not _missing_files(builder, manual):
        return None
    return find_images(manual)


def _prepare(name: str, builder: tfds.core.DatasetBuilder, manual: Path | None) -> None:
    _check_source(name, builder, manual)
    config = tfds.download.DownloadConfig(
        manual_dir=manual, extract_dir=_extract_dir(builder), try_download_gcs=False
    )
    try:
        builder.download_and_prepare(download_config=config)
    except NonMatchingChecksumError as error:
        raise DatasetUnavailable(
            f"A file of {name!r} is damaged, or another data set's. {_advice(name, builder)}"
        ) from error
    except OSError:
        # Another process may have prepared the same data meanwhile.
        if not builder.data_path.exists():
            raise


def _check_source(name: str, builder: tfds.core.DatasetBuilder, manual: Path | None) -> None:
    """Fail now where TFDS would try its download again and again for minutes."""
    urls = list(builder.url_infos or ())
    if manual is not None and (missing := _missing_files(builder, manual)):
        raise DatasetUnavailable(
            f"manual_dir lacks {', '.join(missing)} of {name!r}. {_advice(name, builder)} "
            f"Received: manual_dir={os.fspath(manual)!r}."
        )
    if manual is None and urls and not is_reachable(urls[0]):
        raise DatasetUnavailable(
            f"{name!r} is not prepared in {os.fspath(builder.data_dir_root)!r}, and {urls[0]} does "
            f"not answer. {_advice(name, builder)}"
        )


def _advice(name: str, builder: tfds.core.DatasetBuilder) -> str:
    advice = f"Put {', '.join(_expected_files(builder))} into a folder of their own"
    if name == "cifar10":
        advice += f" (or {ARCHIVE}, or JPEG images as train/<class>/*.jpg and test/<class>/*.jpg)"
    return f"{advice} and pass it as manual_dir."


def _expected_files(builder: tfds.core.DatasetBuilder) -> list[str]:
    return sorted(info.filename for info in (builder.url_infos or {}).values())


def _missing_files(builder: tfds.core.DatasetBuilder, manual: Path) -> list[str]:
    return [file for file in _expected_files(builder) if not (manual / file).is_file()]


def _extract_dir(builder: tfds.core.DatasetBuilder) -> Path:
    # A folder for each data set: TFDS names what it unpacks by file name, and takes what is there.
    return Path(builder.data_dir_root) / "downloads" / "extracted" / builder.name


def _read(name: str, builder: tfds.core.DatasetBuilder, note: str | None = None, **options: Any) -> Dataset:
    if absent := set(SPLITS) - set(builder.info.splits):
        raise DatasetUnavailable(f"{builder.data_path} has no {sorted(absent)} images of {name!r}.")
    x_train, y_train = _arrays(builder, "train", **options)
    x_test, y_test = _arrays(builder, "test", **options)
    _check_mean(name, builder, float(x_train.mean()))
    return Dataset(
        name=name,
        x_train=_unit_scale(x_train),
        y_train=y_train,
        x_test=_unit_scale(x_test),
        y_test=y_test,
        class_count=builder.info.features["label"].num_classes,
        note=note or name,
    )


def _arrays(builder: tfds.core.DatasetBuilder, split: str, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    rows = builder.as_dataset(split=split, batch_size=-1, as_supervised=True, **options)
    images, labels = tfds.as_numpy(rows)
    return images, labels


def _check_mean(name: str, builder: tfds.core.DatasetBuilder, mean: float) -> None:
    expected, tolerance = _TRAIN_MEANS.get(name, (mean, 0.0))
    if abs(mean - expected) > tolerance:
        raise DatasetUnavailable(
            f"{builder.data_path} does not hold {name!r}: the mean train pixel is {mean:.3f}, "
            f"not {expected:.3f}. Move that folder away and load again."
        )


def _unit_scale(images: np.ndarray) -> np.ndarray:
    return np.divide(images, 255, dtype=np.float32)
