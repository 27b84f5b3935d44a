"""CIFAR-10 from JPEG files in class folders, plain or as one tar archive."""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

IMAGE_SHAPE = (32, 32, 3)
ARCHIVE = "cifar10_jpeg.tar.gz"
SPLITS = ("train", "test")


def find_images(manual_dir: Path) -> Path | None:
    """Find the folder or archive of JPEG images in `manual_dir`, or `None`.

    A folder holds `train/<class>/*.jpg` and `test/<class>/*.jpg`; so does the archive.
    """
    if all((manual_dir / split).is_dir() for split in SPLITS):
        return manual_dir
    archive = manual_dir / ARCHIVE
    return archive if archive.is_file() else None


def open_images(source: Path, cache_dir: Path) -> tfds.ImageFolder:
    """Open what `find_images` found, with labels in alphabetical order of the classes.

    Args:
        source: Folder or tar archive.
        cache_dir: Where an archive is unpacked, once for each content.

    Raises:
        tarfile.TarError: The archive is broken, or a member points outside it.
    """
    root = source if source.is_dir() else _unpacked(source, cache_dir)
    return tfds.ImageFolder(os.fspath(root), shape=IMAGE_SHAPE)


@tfds.decode.make_decoder()
def decode_exactly(image: Any, feature: Any) -> Any:
    """Decode JPEG bytes to `(32, 32, 3)` uint8, with the same pixels as Pillow's.

    TFDS' own decoder takes TensorFlow's fast transform, which darkens CIFAR-10 by 0.8 in 255.
    """
    # Here, so that the package imports without TensorFlow.
    import tensorflow as tf

    pixels = tf.io.decode_jpeg(image, channels=IMAGE_SHAPE[-1], dct_method="INTEGER_ACCURATE")
    return tf.ensure_shape(pixels, feature.shape)


def _unpacked(archive: Path, cache_dir: Path) -> Path:
    root = cache_dir / hashlib.sha256(archive.read_bytes()).hexdigest()[:16]
    if root.is_dir():
        return root
    cache_dir.mkdir(parents=True, exist_ok=True)
    # The rename comes last: a run that was killed leaves no half data set behind.
    with tempfile.TemporaryDirectory(dir=cache_dir) as scratch:
        images = Path(scratch, "images")
        with tarfile.open(archive) as tar:
            tar.extractall(images, filter="data")
        _move(images, root)
    return root


def _move(images: Path, root: Path) -> None:
    try:
        images.rename(root)
    except OSError:
        # Another process was first, with the same content.
        if not root.is_dir():
            raise
