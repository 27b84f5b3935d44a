"""The program's commands, as far as they need no process of their own."""

from __future__ import annotations

import json
import types

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from cryptography import x509
from keras import layers

from keras_split import certs
from keras_split.cli import main
from keras_split.cli.random_data import random_data
from keras_split.cli.runs import run_from
from keras_split.cli.text import duration, table
from keras_split.columns import short
from support.sealed import ALICE, roster_file

COMMANDS = ("certs", "cuts", "demo", "keygen", "log", "plan", "roster", "serve", "status", "store", "verify")
USAGE, FAILED = 2, 1
OPEN_TO_ALL = ("--insecure", "--host", "0.0.0.0")


def run(*arguments: str):
    return CliRunner().invoke(main, arguments, prog_name="keras-split")


@pytest.fixture
def model_file(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="low"), layers.Dense(2, name="high")])
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.keras")
    return str(tmp_path / "model.keras")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: keras-split {command} ")


def test_the_group_lists_every_command():
    assert set(main.commands) == set(COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["serve", "a.module:build", "--cut", "low"], "keras-split certs --out certificates"),
        (["serve", "a.module:build"], "--cut"),
        (
            ["serve", "a.module:build", "--cut", "low", "--insecure", "--host", "0.0.0.0"],
            "bind-any",
        ),
        (["serve", "gone.keras", "--cut", "low", "--insecure"], "There is no file 'gone.keras'"),
        (["serve", "build", "--cut", "low", "--insecure"], "package.module:function"),
        (["cuts", "a.module:"], "package.module:function"),
        (["verify", "model.keras", "--cut", "low"], "Expected package.module:function."),
        (["status", "localhost:50051"], "--certificates DIR"),
        (["serve", "a.module:build", "--cut", "low", "--insecure", "--metrics", "nine"], "HOST:PORT or PORT"),
        (["store", "--listen", "localhost:0", "--folder", "blobs"], "keras-split certs --out certificates"),
        (["store", "--listen", "0.0.0.0:0", "--folder", "blobs", "--insecure"], "listen on 127.0.0.1"),
        (["demo", "--dataset", "imagenet"], "fashion_mnist"),
        (["demo", "--clients", "2", "--handover", "post"], "server, store, peer, or a URL"),
        (["demo", "--handover", "peer"], "--clients"),
    ],
)
def test_a_wrong_call_is_a_usage_error_that_says_what_to_write(arguments, advice):
    result = run(*arguments)
    assert result.exit_code == USAGE
    assert advice in " ".join(result.output.split())


def test_the_ceilings_on_envelopes_are_the_servers_to_set(tmp_path):
    roster = tmp_path / "roster.json"
    roster.write_text(roster_file(ALICE))
    options = ["--roster", str(roster), "--checkpoint-dir", str(tmp_path), "--max-total-mib", "7"]
    given = main.commands["serve"].make_context("serve", ["a.module:build", "--cut", "low", *options]).params
    assert run_from(given).envelope_bytes == (1024 << 20, 7 << 20)


def test_certificates_and_insecure_exclude_each_other(tmp_path):
    tls = ["--certificates", str(tmp_path), "--insecure"]
    assert run("status", "localhost:50051", *tls).exit_code == USAGE
    assert run("serve", "a.module:build", "--cut", "low", *tls).exit_code == USAGE


def test_an_error_is_one_line_and_no_traceback():
    result = run("cuts", "no_such_module:build")
    assert result.exit_code == FAILED
    assert len(result.output.splitlines()) == 1
    assert result.output.startswith("Error: Cannot import 'build' from 'no_such_module'")


def test_an_error_of_no_kind_of_ours_names_itself_and_the_way_to_see_more(monkeypatch):
    def fails(source):
        raise KeyError(source)

    monkeypatch.setattr("keras_split.server.source.load_model", fails)
    result = run("cuts", "a.module:build")
    assert result.exit_code == FAILED
    assert result.output.startswith("Error: KeyError: 'a.module:build' (`keras-split --debug")


def test_debug_shows_where_an_error_comes_from():
    assert isinstance(run("--debug", "status", "nowhere", "--insecure").exception, ValueError)


def test_certs_makes_a_set_and_overwrites_none(tmp_path):
    out = tmp_path / "certificates"
    options = ["--out", str(out), "--server", "compute.example", "--client", "hospital"]
    result = run("certs", *options)
    assert result.exit_code == 0
    for party in ("server", "hospital"):
        found = {path.name for path in (out / party).iterdir()}
        assert found == {"ca.crt", "tls.crt", "tls.key"}
    assert f"keras-split status compute.example:50051 --certificates {out / 'hospital'}" in result.output
    key = (out / "server" / "tls.key").read_bytes()
    assert run("certs", *options).exit_code == FAILED
    assert (out / "server" / "tls.key").read_bytes() == key


def test_certs_makes_every_role_that_is_asked_for(tmp_path):
    out = tmp_path / "certificates"
    given = [
        "--client",
        "a=a.example,10.0.0.1",
        "--client",
        "b",
        "--inference",
        "clinic",
        "--store",
        "s.example",
    ]
    result = run("certs", "--out", str(out), *given)
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == {"ca", "server", "store", "a", "b", "clinic"}
    assert [line.split()[0] for line in result.output.splitlines()[:6]] == [
        str(out / name) for name in ("ca", "server", "store", "a", "b", "clinic")
    ]
    assert f"keras-split status localhost:50051 --certificates {out / 'a'}" in result.output
    names = _names(out / "a" / "tls.crt")
    assert {"a.example", "10.0.0.1", "keras-split://trainer/a"} < names and "localhost" not in names
    assert {"localhost", "keras-split://inference/clinic"} < _names(out / "clinic" / "tls.crt")
    assert {"s.example", "keras-split://store/store"} < _names(out / "store" / "tls.crt")


def _names(path):
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_certs_takes_each_client_once(tmp_path):
    result = run("certs", "--out", str(tmp_path / "out"), "--client", "a=one", "--client", "a=two")
    assert result.exit_code != 0 and "commas between them" in result.output
    assert not (tmp_path / "out").exists()


def test_cuts_prints_what_list_cuts_finds(model_file):
    found = json.loads(run("cuts", model_file, "--json").output)
    assert [cut["name"] for cut in found] == ["low"]
    assert found[0]["bytes_per_sample"] == 3 * 4
    assert found[0]["client_parameters"] == 4 * 3 + 3
    heading, _, line = run("cuts", model_file).output.splitlines()
    assert heading.startswith("Cut") and line.startswith("low")


def test_where_there_is_no_cut_cuts_says_what_to_do(tmp_path, model_file):
    result = run("cuts", model_file, "--after", "low")
    assert result.exit_code == FAILED
    assert "no legal second cut behind low" in result.output and "Give an earlier cut" in result.output
    keras.Sequential([keras.Input((4,)), layers.Dense(3)]).save(tmp_path / "one.keras")
    result = run("cuts", str(tmp_path / "one.keras"))
    assert result.exit_code == FAILED
    assert "no legal cut by a single name" in result.output and "put a layer with weights" in result.output


def test_cuts_finds_functions_of_the_current_folder(tmp_path, monkeypatch, model_file):
    text = f"import keras\ndef build():\n    return keras.models.load_model({model_file!r})\n"
    (tmp_path / "model_of_this_folder.py").write_text(text)
    monkeypatch.setattr("sys.path", ["/nowhere"])
    monkeypatch.chdir(tmp_path)
    assert "low" in run("cuts", "model_of_this_folder:build").output


def test_store_hands_every_option_to_the_store(tmp_path, monkeypatch):
    calls = []

    def serve_store(options, ready):
        calls.append(options)
        ready("localhost:1234")

    monkeypatch.setattr("keras_split.store.serve_store", serve_store)
    certs.create(tmp_path / "pki")
    result = run(
        *["store", "--listen", "compute.example:7", "--folder", str(tmp_path / "blobs")],
        *["--certificates", str(tmp_path / "pki" / "server")],
        *["--max-blob-mib", "3", "--max-total-mib", "5", "--keep-days", "1.5"],
    )
    assert (result.exit_code, result.output) == (0, "Listening on localhost:1234\n")
    [options] = calls
    assert (options.folder, options.address) == (tmp_path / "blobs", "compute.example:7")
    assert options.credentials.certificate == (tmp_path / "pki" / "server" / "tls.crt").read_bytes()
    assert (options.max_blob_bytes, options.max_total_bytes, options.keep_days) == (3 << 20, 5 << 20, 1.5)


def test_serve_hands_every_option_to_the_server(tmp_path, monkeypatch, model_file):
    calls = []

    def serve_model(source, cut, second_cut, options, ready, compared):
        calls.append((source, cut, options))
        ready("localhost:1234")

    monkeypatch.setattr("keras_split.server.serve_model", serve_model)
    checkpoints = tmp_path / "checkpoints"
    result = run(
        *["serve", model_file, "--cut", "low", "--cut", "other", "--host", "::1", "--port", "7"],
        *["--insecure", "--bind-any", "--checkpoint-dir", str(checkpoints), "--keep", "3"],
        *["--seed", "11", "--deterministic", "--strategy", "mirrored", "--nan", "refuse"],
        *["--reflection", "--max-message-mib", "5", "--max-calls", "6", "--max-signatures", "8"],
        *["--max-calls-per-client", "2"],
        *["--lease-seconds", "9.5", "--combine-below", "0", "--log-format", "json"],
        *["--audit-log", str(tmp_path / "audit"), "--metrics", "9100", "--tensorboard", str(tmp_path)],
    )
    assert (result.exit_code, result.output) == (0, "Listening on localhost:1234\n")
    [(source, cut, options)] = calls
    assert (source, cut) == (model_file, ("low", "other"))
    assert (options.address, options.credentials) == ("[::1]:7", None)
    assert options.insecure and options.bind_any and options.reflection and options.deterministic
    assert (options.checkpoint_directory, options.keep) == (checkpoints, 3)
    assert (options.seed, options.max_calls, options.max_calls_per_client) == (11, 6, 2)
    serving = options.serving
    assert (serving.strategy, serving.nan, serving.lease_seconds) == ("mirrored", "refuse", 9.5)
    assert (serving.combine_below, serving.max_signatures) == (0, 8)
    assert serving.limits.max_message_bytes == 5 * 2**20
    observers = options.observers
    assert (observers.audit_log, observers.tensorboard) == (tmp_path / "audit", tmp_path)
    assert observers.metrics == "127.0.0.1:9100"


@pytest.mark.parametrize("equal", [True, False])
def test_verify_tells_by_its_exit_code(monkeypatch, equal, model_file):
    class Report:
        def __init__(self):
            self.equal = equal

        def __str__(self):
            return "what was found"

    monkeypatch.setattr("keras_split.verification.verify", lambda *_, **__: Report())
    monkeypatch.setattr("keras_split.server.source.load_model", lambda _: keras.models.load_model(model_file))
    result = run("verify", "a.module:build", "--cut", "low")
    assert (result.exit_code, result.output) == (0 if equal else FAILED, "what was found\n")


def test_verify_takes_several_clients(monkeypatch, model_file):
    given = {}

    def verify(build, *_, **options):
        given.update(options)
        return types.SimpleNamespace(equal=True)

    monkeypatch.setattr("keras_split.verification.verify", verify)
    monkeypatch.setattr("keras_split.server.source.load_model", lambda _: keras.models.load_model(model_file))
    result = run("verify", "a.module:build", "--cut", "low", "--clients", "3", "--handover", "peer")
    assert (result.exit_code, given["clients"], given["handover"]) == (0, 3, "peer")
    assert run("verify", "a.module:build", "--cut", "low", "--clients", "0").exit_code == 2


LOSSES = {
    "sparse_categorical_crossentropy": "int64",
    "categorical_crossentropy": "float32",
    "binary_crossentropy": "float32",
    "kl_divergence": "float32",
    "hinge": "float32",
    "poisson": "float32",
    "mse": "float32",
}


@pytest.mark.parametrize("loss", LOSSES)
def test_random_labels_fit_the_loss(loss):
    outputs = layers.Dense(3, activation="softmax")(inputs := keras.Input((5,)))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss)
    x, y = random_data(model, 6, seed=0)
    assert x.shape == (6, 5) and y.dtype == LOSSES[loss]
    assert np.isfinite(model.test_on_batch(x, y))


def test_random_data_fits_several_inputs_and_outputs():
    words, numbers = keras.Input((None,), name="words"), keras.Input((2,), name="numbers")
    mean = layers.GlobalAveragePooling1D()(layers.Embedding(7, 4)(words))
    joined = layers.Concatenate()([mean, numbers])
    kind, size = layers.Dense(3, activation="softmax")(joined), layers.Dense(1)(joined)
    model = keras.Model({"numbers": numbers, "words": words}, {"kind": kind, "size": size})
    kind_loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile("sgd", {"kind": kind_loss, "size": keras.losses.mean_squared_error})
    x, y = random_data(model, 6, seed=0)
    assert set(x) == {"numbers", "words"} and set(y) == {"kind", "size"}
    assert x["words"].min() >= 0 and x["words"].max() < 7
    assert np.isfinite(model.test_on_batch(x, y)).all()


def test_random_labels_are_not_guessed_for_ctc():
    model = keras.Sequential([keras.Input((5, 2)), layers.Dense(3)])
    model.compile("sgd", "ctc")
    with pytest.raises(ValueError, match="--data"):
        random_data(model, 6, seed=0)


def test_numbers_are_short():
    assert [short(number) for number in (0, 999, 1000, 1234567)] == ["0", "999", "1 k", "1.23 M"]
    assert short(800, "B") == "800 B" and short(4.066, "ms") == "4.07 ms"
    assert [duration(s) for s in (0.4, 75, 3600, 200_000)] == [
        "0 s",
        "1 min 15 s",
        "1 h 0 min",
        "2 d 7 h",
    ]


def test_a_table_lines_its_columns_up():
    lines = table(("name", "size"), [("a", "1"), ("longer", "23456")]).splitlines()
    assert [len(line) for line in lines[2:]] == [14, 14]


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["model.keras"], "MODEL is for a model that this server serves"),
        (["--cut", "low"], "--cut is for a model"),
        (["--checkpoint-dir", "kept"], "--checkpoint-dir is for a model"),
        (["--strategy", "mirrored"], "--strategy is for a model"),
        (["--insecure"], "needs --certificates"),
        ([], "Give --certificates DIR"),
    ],
)
def test_what_does_not_go_with_accepted_bodies_is_a_usage_error(arguments, advice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.keras").touch()
    result = run("serve", "--accept-bodies", *arguments)
    assert result.exit_code == USAGE
    assert advice in " ".join(result.output.split())


def test_accept_bodies_serves_clients_with_every_option(tmp_path, monkeypatch):
    certs.create(tmp_path / "pki")
    calls = []
    monkeypatch.setattr("keras_split.server.serve_clients", lambda options, ready: calls.append(options))
    tls = ["--certificates", str(tmp_path / "pki" / "server")]
    result = run("serve", "--accept-bodies", *tls, "--nan", "refuse", "--max-calls", "6", "--deterministic")
    assert (result.exit_code, result.output) == (0, "")
    [options] = calls
    assert options.credentials is not None and options.deterministic
    assert (options.max_calls, options.serving.nan) == (6, "refuse")
