"""With a decoder, split training equals the whole model trained by Eq. 1 of the paper, written by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from keras.optimizers import SGD

import keras_split
from support.batches import in_batches
from support.by_hand import BATCH, GAP, OPTIMIZERS, ROWS, SOME, ByHand, X, Y, decoder, whole
from support.equality import assert_same_arrays
from support.models import CLASSIFIES, Case, classes, convolutional, floats, mlp_case
from support.pairs import SEED, TrainedWhole, paired_models


def split_of(second_cut=None, **options):
    keras.utils.set_random_seed(SEED)
    return keras_split.SplitModel(whole(), "low_norm", second_cut, decoder=decoder(), **options)


def weights_of(split) -> dict[str, np.ndarray]:
    whole_ = split.whole_model()
    return {each.path: np.array(each) for each in [*whole_.weights, *split.decoder.weights]}


LABELS = {"all": Y, "some": SOME, "a batch without": GAP}
# One optimizer with slots for each weight shows what labels there are; a second one, that it may be another.
LEARNS = [*[("adam", labels) for labels in LABELS], ("momentum", "a batch without")]


@pytest.mark.parametrize("second_cut", [None, "high"], ids=["labels shared", "label-free"])
@pytest.mark.parametrize(("optimizer", "labels"), LEARNS, ids=map("-".join, LEARNS))
def test_the_head_learns_from_both_losses_as_if_nothing_were_split(optimizer, labels, second_cut, request):
    if optimizer == "momentum":
        # The gradient of a gamma is a product, and so is its share in the momentum. TensorFlow's rewriting of
        # the two rounds otherwise in the hand-written step than in a client's.
        request.getfixturevalue("strictly_exact")
    make, y = OPTIMIZERS[optimizer], LABELS[labels]
    reference = ByHand(make, alpha=0.3, label_free=second_cut is not None)
    expected = reference.fit(X, y, epochs=2)
    split = split_of(second_cut)
    split.compile(optimizer=make(), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    found = fit(split, y).history
    assert_same_arrays(reference.weights(), weights_of(split), "weights")
    assert {name: found[name] for name in expected} == expected
    assert_same_arrays(slots(reference.client), slots(split.optimizer), "client's optimizer")
    assert bits(body_slots(split)) == bits(map(np.array, reference.server.variables))
    split.close()


def slots(optimizer) -> dict[str, np.ndarray]:
    """An optimizer's variables by name."""
    return {each.path.rpartition("/")[2]: np.array(each) for each in optimizer.variables}


def body_slots(split) -> list[np.ndarray]:
    """The variables of the server's optimizer, which it numbers."""
    found = split._halves.session().inspect()
    return [each for name, each in found.items() if name.startswith("optimizer/")]


def bits(arrays) -> list[tuple[tuple[int, ...], bytes]]:
    """Of all arrays, in whatever order: the two sides list an optimizer's variables differently."""
    return sorted((each.shape, each.tobytes()) for each in arrays)


def fit(split, y, alpha=0.3, **options):
    options = {"batch_size": BATCH, "epochs": 2, "shuffle": False, "verbose": 0, **options}
    return split.fit(X, y, callbacks=[keras_split.SemiSupervised(alpha)], **options)


def test_alpha_of_zero_is_plain_split_training():
    case = Case(convolutional, "pool1", floats(6, 6, 2), classes(), CLASSIFIES)
    validation = {"validation_data": case.batches}
    whole_ = TrainedWhole(case.build, case.settings(), lambda model: case.fit(model, **validation))
    for second_cut in (None, "flatten"):
        keras.utils.set_random_seed(SEED)
        model = case.build()
        layers_ = [layers.Conv2DTranspose(2, 2, 2, name="up"), layers.Dropout(0.5, name="up_drop")]
        decoder_ = keras.Sequential([keras.Input((3, 3, 4)), *layers_])
        split = keras_split.SplitModel(model, case.cut, second_cut, decoder=decoder_)
        split.compile(**case.settings()())
        keras.utils.set_random_seed(SEED)
        found = case.fit(split, callbacks=[keras_split.SemiSupervised(0.0)], **validation).history
        expected = whole_.result.history
        assert {name: found[name] for name in expected} == expected, second_cut
        for ours, theirs in zip(whole_.model.weights, split.whole_model().weights, strict=True):
            np.testing.assert_array_equal(np.array(ours), np.array(theirs), err_msg=str(second_cut))
        split.close()


ONE_HOT = np.where(GAP[:, None] < 0, np.nan, GAP[:, None] == np.arange(GAP.max() + 1)).astype("float32")


@pytest.mark.parametrize(
    ("second_cut", "loss", "y"),
    [(None, "sparse_categorical_crossentropy", GAP), ("high", "categorical_crossentropy", ONE_HOT)],
    ids=["classes", "one-hot, label-free"],
)
def test_a_weight_of_a_class_is_that_of_its_rows_and_of_no_other(second_cut, loss, y):
    weights = {0: 0.25, 2: 3.0}
    by_row = np.array([weights.get(each, 1.0) for each in GAP], "float32")
    found = []
    for sample_weight, class_weight in [(by_row, None), (None, weights)]:
        split = split_of(second_cut)
        split.compile("adam", loss)
        options = {"callbacks": [keras_split.SemiSupervised(0.3)], "class_weight": class_weight}
        data = in_batches(BATCH, X, y, sample_weight)
        history = split.fit(data, epochs=2, shuffle=False, verbose=0, **options).history
        found.append((history["loss"], weights_of(split)))
        split.close()
    assert found[0][0] == found[1][0]
    assert_same_arrays(found[0][1], found[1][1], "weights")


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


# The schedule is first, since it goes by what the optimizer has counted: it is asked before the last of three
# steps of each epoch, after two and five updates.
ALPHAS = [
    (keras.optimizers.schedules.PolynomialDecay(1.0, 10, 0.0), [0.8, 0.5]),
    (0.25, [0.25, 0.25]),
    (lambda epoch: 0.5**epoch, [1.0, 0.5]),
]


def test_alpha_and_the_reconstruction_are_in_history():
    split = split_of()
    split.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    known = SOME >= 0
    for alpha, expected in ALPHAS:
        history = fit(split, SOME, alpha, validation_data=(X, SOME)).history
        assert history["alpha"] == [np.float32(each) for each in expected]
        assert history["reconstruction_loss"][1] < history["reconstruction_loss"][0]
        assert {"loss", "accuracy", "val_loss", "val_accuracy", "val_reconstruction_loss"} <= set(history)
        alone = split.evaluate(X[known], SOME[known], batch_size=BATCH, verbose=0, return_dict=True)
        # In batches of other sizes, whose means round in another way.
        assert history["val_loss"][-1] == pytest.approx(alone["loss"])
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
    found = split.evaluate(X, Y, verbose=0, return_dict=True, batch_size=ROWS)
    # NumPy sums in another order than Keras' mean of means.
    assert found["reconstruction_loss"] == pytest.approx(expected, rel=1e-5)
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
    with pytest.raises(ValueError, match="not beside a `sample_weight`"):
        fit(split, SOME, class_weight={0: 1.0}, sample_weight=np.ones(ROWS))
    for optimizer in (keras.optimizers.SGD(global_clipnorm=1.0), keras.optimizers.LossScaleOptimizer(SGD())):
        with pytest.raises(ValueError, match="look at all gradients of the whole model"):
            split.compile(optimizer, "sparse_categorical_crossentropy")
    split.close()
