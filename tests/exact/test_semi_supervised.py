"""With a decoder, split training equals the whole model trained by Eq. 1 of the paper, written by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import keras_split
from support.by_hand import BATCH, GAP, OPTIMIZERS, ROWS, SOME, ByHand, X, Y, decoder, whole
from support.equality import assert_same_arrays
from support.models import CLASSIFIES, Case, classes, convolutional, floats, mlp_case
from support.pairs import SEED, paired_models


def split_of(second_cut=None, **options):
    keras.utils.set_random_seed(SEED)
    return keras_split.SplitModel(whole(), "low_norm", second_cut, decoder=decoder(), **options)


def weights_of(split) -> dict[str, np.ndarray]:
    whole_ = split.whole_model()
    return {each.path: np.array(each) for each in [*whole_.weights, *split.decoder.weights]}


@pytest.mark.parametrize("second_cut", [None, "high"], ids=["labels shared", "label-free"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
@pytest.mark.parametrize("labels", [Y, SOME, GAP], ids=["all", "some", "a batch without"])
def test_the_head_learns_from_both_losses_as_if_nothing_were_split(optimizer, labels, second_cut):
    reference = ByHand(optimizer, alpha=0.3, label_free=second_cut is not None)
    reference.fit(X, labels, epochs=2)
    split = split_of(second_cut)
    split.compile(optimizer=optimizer(), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    split.fit(
        X,
        labels,
        batch_size=BATCH,
        epochs=2,
        shuffle=False,
        verbose=0,
        callbacks=[keras_split.SemiSupervised(0.3)],
    )
    assert_same_arrays(reference.weights(), weights_of(split), "weights")
    split.close()


def fit(split, y, alpha=0.3, **options):
    options = {"batch_size": BATCH, "epochs": 2, "shuffle": False, "verbose": 0, **options}
    return split.fit(X, y, callbacks=[keras_split.SemiSupervised(alpha)], **options)


@pytest.mark.parametrize("second_cut", [None, "flatten"], ids=["labels shared", "label-free"])
def test_alpha_of_zero_is_plain_split_training(second_cut):
    images = floats(6, 6, 2)
    case = Case(convolutional, "pool1", images, classes(), CLASSIFIES)

    def with_decoder():
        layers_ = [layers.Conv2DTranspose(2, 2, 2, name="up"), layers.Dropout(0.5, name="up_drop")]
        return keras.Sequential([keras.Input((3, 3, 4)), *layers_])

    with paired_models(case.build, case.cut, second_cut) as pair:
        keras.utils.set_random_seed(SEED)
        model = case.build()
        split = keras_split.SplitModel(model, case.cut, second_cut, decoder=with_decoder())
        for each in (pair.whole, split):
            each.compile(**case.settings()())
        keras.utils.set_random_seed(SEED)
        expected = case.fit(pair.whole, validation_data=(case.x, case.y)).history
        keras.utils.set_random_seed(SEED)
        callbacks = [keras_split.SemiSupervised(0.0)]
        found = case.fit(split, validation_data=(case.x, case.y), callbacks=callbacks).history
        assert {name: found[name] for name in expected} == expected
        whole_ = split.whole_model()
        for ours, theirs in zip(pair.whole.weights, whole_.weights, strict=True):
            np.testing.assert_array_equal(np.array(ours), np.array(theirs))
        split.close()


def test_rows_without_labels_cost_nothing_and_do_not_leave():
    split = split_of()
    split.compile("adam", "sparse_categorical_crossentropy")
    split.train_on_batch(X[:BATCH], Y[:BATCH])  # Both sides compile.
    session = split._halves.session()
    before, version = session.meter.sent, session.version
    split.train_on_batch(X[:BATCH], np.full(BATCH, -1))
    assert (session.meter.sent, session.version) == (before, version)
    split.train_on_batch(X[:BATCH], np.where(np.arange(BATCH) < 1, Y[:BATCH], -1))
    one = session.meter.sent - before
    assert session.version == version + 1
    split.train_on_batch(X[:BATCH], Y[:BATCH])
    assert session.meter.sent - before - one > one
    split.close()


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (0.25, [0.25, 0.25]),
        (lambda epoch: 0.5**epoch, [1.0, 0.5]),
        # Asked before the last of three steps of each epoch, after two and five updates.
        (keras.optimizers.schedules.PolynomialDecay(1.0, 10, 0.0), [0.8, 0.5]),
    ],
    ids=["number", "function", "schedule"],
)
def test_alpha_and_the_reconstruction_are_in_history(alpha, expected):
    split = split_of()
    split.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = fit(split, SOME, alpha, validation_data=(X, SOME)).history
    np.testing.assert_allclose(history["alpha"], expected, rtol=1e-6)
    assert history["reconstruction_loss"][1] < history["reconstruction_loss"][0]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "val_reconstruction_loss"} <= set(history)
    known = SOME >= 0
    assert history["val_loss"][-1] == pytest.approx(
        split.evaluate(X[known], SOME[known], verbose=0, return_dict=True)["loss"]
    )
    split.close()


@pytest.mark.parametrize("before", [0.0, 0.25])
def test_alpha_is_again_what_it_was_once_fit_has_ended(before):
    split = split_of()
    split.compile("sgd", "sparse_categorical_crossentropy")
    split.alpha = before
    assert fit(split, SOME, 0.5, epochs=1).history["alpha"] == [0.5]
    assert split.alpha == before
    split.close()


def test_each_metric_is_shown_once_and_the_reconstruction_only_with_a_decoder():
    case = mlp_case()
    with paired_models(case.build, case.cut) as pair:
        pair.compile(case.settings())
        expected, found = case.fit(pair.whole).history, case.fit(pair.split).history
        assert list(found) == [*expected, "bytes_sent", "bytes_received"]
        shape = np.shape(pair.whole.evaluate(case.x, case.y, verbose=0))
        assert np.shape(pair.split.evaluate(case.x, case.y, verbose=0)) == shape
    split = split_of()
    split.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert [each.name for each in split.metrics] == ["loss", "compile_metrics", "reconstruction_loss"]
    split.close()


def test_alpha_decides_what_the_head_learns_and_not_what_the_decoder_does():
    heads, decoders = {}, {}
    for alpha in (0.0, 0.5):
        split = split_of()
        split.compile("sgd", "sparse_categorical_crossentropy")
        fit(split, SOME, alpha, epochs=1, batch_size=ROWS)
        heads[alpha] = split.head.get_layer("low").get_weights()[0]
        decoders[alpha] = split.decoder.get_weights()[0]
        split.close()
    np.testing.assert_array_equal(decoders[0.0], decoders[0.5])
    assert not np.array_equal(heads[0.0], heads[0.5])


def test_numbers_are_unlabelled_where_they_are_nan():
    def build():
        inputs = keras.Input((6,))
        return keras.Model(inputs, layers.Dense(2, name="numbers")(layers.Dense(8, name="low")(inputs)))

    found = {}
    labels = np.random.default_rng(3).normal(size=(ROWS, 2)).astype("float32")
    for name, rows in {"marked": slice(0, ROWS), "absent": slice(0, ROWS, 2)}.items():
        keras.utils.set_random_seed(SEED)
        decoder_ = keras.Sequential([keras.Input((8,)), layers.Dense(6)])
        split = keras_split.SplitModel(build(), "low", decoder=decoder_)
        split.compile("sgd", "mse")
        y = labels.copy()
        y[1::2, 0] = np.nan
        callbacks = [keras_split.SemiSupervised(0.0)]
        split.fit(X[rows], y[rows], batch_size=ROWS, verbose=0, callbacks=callbacks)
        found[name] = [np.array(each) for each in split.whole_model().weights]
        split.close()
    # A product of 24 rows is computed in other blocks than one of 12, and rounds in another way.
    for marked, absent in zip(found["marked"], found["absent"], strict=True):
        np.testing.assert_allclose(marked, absent, rtol=1e-5, atol=1e-8)


@keras.saving.register_keras_serializable("tests")
def first_half(x):
    """A function of the inputs that is to be reconstructed."""
    return x[:, :3]


def test_loss_and_target_of_the_reconstruction_are_choices(tmp_path):
    net = keras.Sequential([keras.Input((8,)), layers.Dense(3, name="half")])
    keras.utils.set_random_seed(SEED)
    chosen = keras_split.Decoder(net, loss="mae", target=first_half)
    split = keras_split.SplitModel(whole(), "low_norm", decoder=chosen)
    split.compile("sgd", "sparse_categorical_crossentropy")
    smashed = split.head(X, training=False)
    expected = np.mean(np.abs(net.predict(np.array(smashed), verbose=0) - X[:, :3]))
    assert split.evaluate(X, Y, verbose=0, return_dict=True, batch_size=ROWS)[
        "reconstruction_loss"
    ] == pytest.approx(expected, rel=1e-5)
    fit(split, SOME)
    split.save(tmp_path / "half.keras")
    loaded = keras.models.load_model(tmp_path / "half.keras")
    for ours, theirs in zip(net.weights, loaded.decoder.weights, strict=True):
        np.testing.assert_array_equal(np.array(ours), np.array(theirs))
    assert loaded._decoder.target is first_half
    split.close()


def test_what_cannot_be_done_is_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"The decoder starts from \[\(None, 5\)\].*is \[\(None, 8\)\]"):
        wrong = keras.Sequential([keras.Input((5,)), layers.Dense(6)])
        keras_split.SplitModel(whole(), "low_norm", decoder=wrong)
    with pytest.raises(ValueError, match="at least 0 and finite. Received: alpha=-1"):
        keras_split.SemiSupervised(-1)
    with pytest.raises(ValueError, match="a number, a function of the epoch, or a Keras"):
        keras_split.SemiSupervised("much")
    case = mlp_case()
    with paired_models(case.build, case.cut) as pair:
        pair.compile(case.settings())
        with pytest.raises(ValueError, match="this model has none.*decoder=decoder"):
            case.fit(pair.split, callbacks=[keras_split.SemiSupervised(0.1)])
    split = split_of()
    split.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="`class_weight` needs a class in every row"):
        fit(split, SOME, class_weight={0: 1.0})
    split.close()
