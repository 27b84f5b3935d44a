"""Tables: whether an insured person sees a doctor within a year, told from the plan and the person's health.

20,190 person-years of the RAND Health Insurance Experiment (1974 to 1982), which come with statsmodels.
The model takes a dict of numbers and of categories, given as text. Printed are the area under the ROC
curve and the average precision.

Run it with `python examples/tabular.py` after `pip install '.[examples]'`.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from side_by_side import Data, EpochBar, run, show
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split
from statsmodels.datasets import randhie

import keras_split

NUMBERS = ["lncoins", "lpi", "fmde", "disea"]
HEALTH = ["excellent", "good", "fair", "poor"]
YES_OR_NO = {"deductible": "idp", "limited": "physlm"}


def main(quick: bool, seed: int) -> None:
    """Trains the same model whole and split, and compares."""
    data = load(quick)
    epochs = 1 if quick else 8
    whole = train(build(data, seed), data, epochs, seed)
    # Behind the layer that has mixed all inputs. The embedding of one category, sent by itself,
    # would be that category under another name.
    split = train(keras_split.SplitModel(build(data, seed), cut="person"), data, epochs, seed)
    show(whole, split, score, data)


def load(quick: bool) -> Data:
    """Columns by name, `(rows, 4)` numbers and `(rows, 1)` texts, and labels `(rows, 1)` of 0 and 1.

    One row in five is held out.
    """
    table = randhie.load_pandas().data
    # Whole columns say which grade of health it is; none of them says excellent.
    grades = table[["hlthg", "hlthf", "hlthp"]].to_numpy() @ [1, 2, 3]
    x = {
        "numbers": table[NUMBERS].to_numpy("float32"),
        "health": np.array(HEALTH)[grades.astype(int), np.newaxis],
    }
    for name, column in YES_OR_NO.items():
        x[name] = np.where(table[[column]].to_numpy() > 0.5, "yes", "no")
    y = (table[["mdvis"]].to_numpy() > 0).astype("float32")
    rows = np.arange(len(y))[:: 40 if quick else 1]
    train_rows, test_rows = train_test_split(rows, test_size=0.2, random_state=0)
    # As tensors, since Keras takes no columns of text as NumPy arrays.
    parts = [
        ({name: tf.constant(each[at]) for name, each in x.items()}, y[at]) for at in (train_rows, test_rows)
    ]
    return Data(*parts[0], *parts[1])


def build(data: Data, seed: int) -> keras.Model:
    """A dict of inputs that meet on the client."""
    keras.utils.set_random_seed(seed)
    standardise = layers.Normalization(name="standardise")
    standardise.adapt(data.x_train["numbers"])
    inputs = {"numbers": keras.Input((len(NUMBERS),), name="numbers")}
    parts = [standardise(inputs["numbers"])]
    for name in ("health", *YES_OR_NO):
        words = HEALTH if name == "health" else ["no", "yes"]
        inputs[name] = keras.Input((1,), dtype="string", name=name)
        codes = layers.StringLookup(vocabulary=words, name=f"{name}_code")(inputs[name])
        vector = layers.Embedding(len(words) + 1, 4, name=f"{name}_vector")(codes)
        parts.append(layers.Flatten(name=f"{name}_flat")(vector))
    x = layers.Concatenate(name="everything")(parts)
    x = layers.Dense(24, activation="relu", name="person")(x)
    x = layers.Dropout(0.2, name="forget")(x)
    x = layers.Dense(24, activation="relu", name="need")(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid", name="visit")(x))


def train(model: keras.Model, data: Data, epochs: int, seed: int) -> keras.Model:
    """The same lines for both."""
    keras.utils.set_random_seed(seed)
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="binary_crossentropy")
    model.fit(data.x_train, data.y_train, batch_size=128, epochs=epochs, verbose=0, callbacks=[EpochBar()])
    return model


def score(model: keras.Model, data: Data) -> dict[str, float]:
    """On rows that were never trained on."""
    found = model.predict(data.x_test, batch_size=512, verbose=0)
    return {
        "Area under the ROC curve": float(roc_auc_score(data.y_test, found)),
        "Average precision": float(average_precision_score(data.y_test, found)),
    }


if __name__ == "__main__":
    run(main)
