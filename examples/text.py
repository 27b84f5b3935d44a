"""Text: the chapter of the ICD, the catalogue of diseases, that a diagnosis belongs to.

Names and synonyms of the diseases in 14 chapters of ICD-10-CM, which come with simple-icd-10-cm: real
terms, though not a hospital's notes. Every fifth category is held out with all its terms, so that no
close relative of a held-out term was trained on. The text itself, the vocabulary and one vector per word
stay on the client. Printed are accuracy and the mean F1 of the chapters.

Run it with `python examples/text.py` after `pip install '.[examples]'`.
"""

from __future__ import annotations

import keras
import numpy as np
import simple_icd_10_cm as icd
from keras import layers
from side_by_side import Data, EpochBar, run, show
from sklearn.metrics import f1_score

import keras_split

CHAPTERS = [str(number) for number in range(1, 15)]
WORDS = 6000


def main(quick: bool, seed: int) -> None:
    """Trains the same model whole and split, and compares."""
    data = load(quick)
    epochs = 1 if quick else 6
    whole = train(build(data, seed), data, epochs, seed)
    # One vector per diagnosis travels. One per word would be a cipher that counting can break.
    split = train(keras_split.SplitModel(build(data, seed), cut="meaning"), data, epochs, seed)
    show(whole, split, score, data)


def load(quick: bool) -> Data:
    """Texts `(rows,)`, and for each its place in CHAPTERS; every fifth category is held out."""
    categories = [code for code in icd.get_all_codes(True) if icd.is_category(code)]
    categories = [code for code in categories if icd.get_ancestors(code)[-1] in CHAPTERS]
    found = [
        (text, CHAPTERS.index(icd.get_ancestors(category)[-1]), at % 5 == 4)
        for at, category in enumerate(categories[:: 20 if quick else 1])
        for text in terms(category)
    ]
    texts, labels, held_out = map(np.array, zip(*found, strict=True))
    texts = texts.astype(object)
    return Data(texts[~held_out], labels[~held_out], texts[held_out], labels[held_out])


def terms(category: str) -> list[str]:
    """The names of a category and of what is below it, and their synonyms."""
    # Longer codes repeat the same words with every side of the body.
    codes = [code for code in (category, *icd.get_descendants(category)) if len(code) <= len("A00.00")]
    texts = [text for code in codes for text in (icd.get_description(code), *icd.get_inclusion_term(code))]
    return list(dict.fromkeys(texts))


def build(data: Data, seed: int) -> keras.Model:
    """From raw text to one vector on the client, and from there on the server."""
    keras.utils.set_random_seed(seed)
    words = layers.TextVectorization(WORDS, output_sequence_length=16, name="words")
    words.adapt(data.x_train)
    return keras.Sequential(
        [
            keras.Input((), dtype="string"),
            words,
            layers.Embedding(WORDS, 48, mask_zero=True, name="vectors"),
            # Looks at the mask, so that padding does not count.
            layers.GlobalAveragePooling1D(name="average"),
            layers.Dense(48, activation="relu", name="meaning"),
            layers.Dropout(0.3, name="forget"),
            layers.Dense(64, activation="relu", name="organs"),
            layers.Dense(len(CHAPTERS), activation="softmax", name="chapter"),
        ]
    )


def train(model: keras.Model, data: Data, epochs: int, seed: int) -> keras.Model:
    """The same lines for both."""
    keras.utils.set_random_seed(seed)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data.x_train, data.y_train, batch_size=64, epochs=epochs, verbose=0, callbacks=[EpochBar()])
    return model


def score(model: keras.Model, data: Data) -> dict[str, float]:
    """On categories that were never trained on."""
    found = model.predict(data.x_test, batch_size=512, verbose=0).argmax(axis=-1)
    accuracy = float(np.mean(found == data.y_test))
    return {"Accuracy": accuracy, "F1, macro": float(f1_score(data.y_test, found, average="macro"))}


if __name__ == "__main__":
    run(main)
