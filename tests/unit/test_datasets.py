"""Data sets are what their name says, and one that cannot be had says so at once."""

from __future__ import annotations

import importlib
import io
import socket
import tarfile
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

from keras_split.datasets import DatasetUnavailable, load
from keras_split.datasets.image_folder import decode_exactly, find_images, open_images
from keras_split.datasets.reachability import is_reachable

# The package exports the function of the same name, which hides the module from `import`.
load_module = importlib.import_module("keras_split.datasets.load")

MNIST_FILES = [
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture(scope="module")
def digits(data_dir):
    return load("digits", data_dir=data_dir)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.fixture
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def is_test_row(labels):
    """Every fifth row of its class, counted one row at a time."""
    seen = dict.fromkeys(range(10), 0)
    marks = []
    for label in labels:
        seen[label] += 1
        marks.append(seen[label] % 5 == 0)
    return np.array(marks)


def test_digits_are_scikit_learns_arrays(digits):
    bunch = load_digits()
    test = is_test_row(bunch.target)
    for ours, images in (
        (digits.x_train, bunch.images[~test]),
        (digits.x_test, bunch.images[test]),
    ):
        np.testing.assert_array_equal(ours[..., 0], np.rint(images * 255 / 16).astype("f4") / 255)
        np.testing.assert_array_equal(np.rint(ours[..., 0] * 16), images)
    np.testing.assert_array_equal(digits.y_train, bunch.target[~test])
    np.testing.assert_array_equal(digits.y_test, bunch.target[test])


def test_arrays_have_the_documented_types(digits):
    assert digits.x_train.shape == (1442, 8, 8, 1) and digits.x_test.shape == (355, 8, 8, 1)
    assert digits.x_train.dtype == digits.x_test.dtype == np.float32
    assert digits.y_train.dtype == digits.y_test.dtype == np.int64
    assert (digits.x_train.min(), digits.x_train.max()) == (0, 1)
    assert (digits.name, digits.class_count, digits.note) == ("digits", 10, "digits")


def test_each_class_gives_a_fifth_to_the_test_split(digits):
    train, test = np.bincount(digits.y_train), np.bincount(digits.y_test)
    np.testing.assert_array_equal(test, (train + test) // 5)


def test_preparing_twice_gives_the_same_split(digits, tmp_path):
    again = load("digits", data_dir=tmp_path)
    for field in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(digits, field), getattr(again, field))


def test_importing_the_package_registers_the_builder(tmp_path):
    assert "keras_split_digits" in tfds.list_builders(with_community_datasets=False)
    assert tfds.builder("keras_split_digits", data_dir=tmp_path).version == "1.0.0"


def test_prepared_data_needs_no_network(digits, data_dir, no_network):
    assert len(load("digits", data_dir=data_dir).y_train) == len(digits.y_train)


def test_an_unknown_name_is_a_wrong_argument():
    with pytest.raises(ValueError, match="Expected one of .*Received: name='imagenet'"):
        load("imagenet")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_without_network_a_data_set_fails_at_once(name, tmp_path, no_network):
    with pytest.raises(DatasetUnavailable, match="does not answer.*manual_dir") as failure:
        load(name, data_dir=tmp_path)
    expected = ["cifar-10-binary.tar.gz"] if name == "cifar10" else MNIST_FILES
    assert all(file in str(failure.value) for file in expected)


def test_files_that_are_missing_from_manual_dir_are_named(tmp_path, no_network):
    (tmp_path / MNIST_FILES[0]).touch()
    with pytest.raises(DatasetUnavailable) as failure:
        load("mnist", data_dir=tmp_path / "data", manual_dir=tmp_path)
    assert f"manual_dir lacks {', '.join(MNIST_FILES[1:])} of" in str(failure.value)


def test_files_with_another_content_are_refused(tmp_path, no_network):
    for file in MNIST_FILES:
        (tmp_path / file).write_bytes(b"not MNIST")
    with pytest.raises(DatasetUnavailable, match="damaged, or another data set's"):
        load("mnist", data_dir=tmp_path / "data", manual_dir=tmp_path)


def test_images_of_another_data_set_are_refused(digits, data_dir, monkeypatch):
    monkeypatch.setitem(load_module._TRAIN_MEANS, "digits", (33.318, 0.001))
    with pytest.raises(DatasetUnavailable, match="does not hold 'digits'.*33.318"):
        load("digits", data_dir=data_dir)


def test_data_sets_with_the_same_file_names_are_unpacked_apart(tmp_path, monkeypatch, no_network):
    folders = set()

    def record(builder, *, download_config):
        folders.add(download_config.extract_dir)
        raise OSError("far enough")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", record)
    for file in MNIST_FILES:
        (tmp_path / file).touch()
    for name in ("mnist", "fashion_mnist"):
        with pytest.raises(OSError, match="far enough"):
            load(name, data_dir=tmp_path / "data", manual_dir=tmp_path)
    assert len(folders) == 2


# CIFAR-10 as JPEG


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def write_images(folder):
    """One image of two classes in each split; returns the train images' JPEG bytes by class."""
    written = {}
    for number, (split, kind) in enumerate((s, k) for s in ("test", "train") for k in "yx"):
        path = folder / split / kind / "0000.jpg"
        path.parent.mkdir(parents=True)
        written[kind] = tf.io.encode_jpeg(noise(number)).numpy()
        path.write_bytes(written[kind])
    return written


def pack(folder, archive):
    with tarfile.open(archive, "w:gz") as tar:
        for split in ("train", "test"):
            tar.add(folder / split, split)


@pytest.mark.parametrize("packed", [False, True])
def test_jpeg_images_are_loaded_exactly_and_say_so(packed, tmp_path, monkeypatch, no_network):
    # Noise has another mean than CIFAR-10.
    monkeypatch.delitem(load_module._TRAIN_MEANS, "cifar10")
    manual = tmp_path / "images"
    written = write_images(manual)
    if packed:
        pack(manual, tmp_path / "cifar10_jpeg.tar.gz")
        manual = tmp_path
    data = load("cifar10", data_dir=tmp_path / "data", manual_dir=manual)
    assert data.note == "CIFAR-10 (JPEG)"
    assert data.class_count == 2 and data.x_test.shape == (2, 32, 32, 3)
    for label, kind in enumerate("xy"):
        pixels = tf.io.decode_jpeg(written[kind], dct_method="INTEGER_ACCURATE").numpy()
        ours = data.x_train[data.y_train == label][0]
        np.testing.assert_array_equal(ours, pixels.astype(np.float32) / 255)


def test_jpeg_images_that_are_not_cifar10_are_refused(tmp_path, no_network):
    write_images(tmp_path / "images")
    with pytest.raises(DatasetUnavailable, match="does not hold 'cifar10'"):
        load("cifar10", data_dir=tmp_path / "data", manual_dir=tmp_path / "images")


def test_an_archive_is_unpacked_once(tmp_path, monkeypatch):
    write_images(tmp_path / "images")
    pack(tmp_path / "images", tmp_path / "cifar10_jpeg.tar.gz")
    found = find_images(tmp_path)
    open_images(found, tmp_path / "cache")
    monkeypatch.setattr(tarfile, "open", None)
    assert set(open_images(found, tmp_path / "cache").info.splits) == {"train", "test"}


def test_a_member_outside_the_archive_is_refused(tmp_path):
    with tarfile.open(tmp_path / "cifar10_jpeg.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("../../escaped.jpg")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(tarfile.OutsideDestinationError):
        open_images(find_images(tmp_path), tmp_path / "deep" / "cache")
    assert not list(tmp_path.rglob("escaped.jpg"))
    assert not list((tmp_path / "deep" / "cache").iterdir())


def test_a_folder_without_images_is_no_image_folder(tmp_path):
    assert find_images(tmp_path) is None


def test_images_of_another_size_are_an_error(tmp_path):
    write_images(tmp_path)
    wide = tf.io.encode_jpeg(np.zeros((32, 64, 3), np.uint8)).numpy()
    (tmp_path / "train" / "x" / "0000.jpg").write_bytes(wide)
    images = open_images(tmp_path, tmp_path).as_dataset("train", decoders={"image": decode_exactly()})
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(images)


# Reachability


class Answering(BaseHTTPRequestHandler):
    """Answers HEAD with the status that the path names."""

    def do_HEAD(self):  # noqa: N802
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, *args):
        """Keep the test's output quiet."""


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Answering) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def silent_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("status, expected", [(200, True), (404, False), (503, False)])
def test_a_host_is_reachable_when_it_has_the_file(status, expected, server, no_proxy):
    assert is_reachable(f"{server}/{status}") is expected


def test_a_closed_port_is_not_reachable(no_proxy):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert not is_reachable(f"http://127.0.0.1:{port}/")


def test_a_silent_host_is_not_waited_for(silent_port, no_proxy):
    # It returns at all: the host stays silent for as long as this test runs.
    assert not is_reachable(f"http://127.0.0.1:{silent_port}/", seconds=0.2)


def test_a_slow_name_look_up_is_not_waited_for(monkeypatch, no_proxy):
    released, over = threading.Event(), threading.Event()

    def look_up(*args, **kwargs):
        released.wait(100)
        over.set()
        raise socket.gaierror("too late")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert not is_reachable("http://data.example/", seconds=0.2)
    assert not over.is_set()
    released.set()
