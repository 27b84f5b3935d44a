"""Split training equals whole training for sequences, segmentation, texts and tables."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import keras_split
from support.pairs import assert_case_trains_as_whole, assert_trains_as_whole, paired_models
from support.tasks import (
    measured_case,
    reading,
    reading_case,
    recurrent_case,
    segmenting_case,
    sentences,
    tabular_case,
    translating_case,
)


def two_ways(layer: layers.Layer, name: str) -> layers.Layer:
    return layers.Bidirectional(layer, name=name)


CASES = {
    "lstm_before_gru_with_a_label_for_each_step": recurrent_case(
        layers.LSTM(6, return_sequences=True, name="low"),
        layers.GRU(5, return_sequences=True, reset_after=False, name="high"),
        to_the_end=True,
    ),
    "both_directions": recurrent_case(
        two_ways(layers.LSTM(4, return_sequences=True), "low"), two_ways(layers.GRU(3), "high")
    ),
    "backwards": recurrent_case(
        layers.LSTM(6, return_sequences=True, go_backwards=True, zero_output_for_mask=True, name="low"),
        layers.SimpleRNN(5, name="high"),
    ),
    "measurements_that_were_not_taken": measured_case(),
    "states_across_the_cut": translating_case(),
    "segmentation": segmenting_case(),
    "raw_text": reading_case(),
    "raw_text_with_a_vector_for_each_word": reading_case("vectors"),
    "dict_of_numbers_codes_and_texts": tabular_case(),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_training_split_equals_training_whole(case):
    assert_case_trains_as_whole(case)


def test_metrics_with_a_state_are_the_whole_model_s():
    case = tabular_case()

    def settings():
        # A metric with a state belongs to one model.
        metrics = [keras.metrics.AUC(name="auc"), keras.metrics.F1Score(threshold=0.5, name="f1")]
        return {"optimizer": "adam", "metrics": metrics, **case.compiled}

    history = assert_trains_as_whole(case.build, case.cut, settings, case.fit)
    assert {"auc", "f1"} <= set(history.history)


def test_word_numbers_are_no_cut():
    with pytest.raises(ValueError, match="no layer with weights on the client"):
        keras_split.SplitModel(reading(), "words")


def test_a_vocabulary_survives_saving_and_joining(tmp_path):
    case = reading_case()
    with paired_models(case.build, case.cut) as pair:
        pair.compile(case.settings()).both(case.fit)
        found = pair.split.predict(sentences(), verbose=0)
        joined = pair.split.whole_model()
        joined.save(tmp_path / "whole.keras")
        pair.split.save(tmp_path / "half.keras")
        smashed = [np.array(each) for each in keras.tree.flatten(pair.split.head(sentences()))]
    loaded = keras.models.load_model(tmp_path / "whole.keras")
    half = keras.models.load_model(tmp_path / "half.keras")
    for model in (joined, loaded):
        np.testing.assert_array_equal(model.predict(sentences(), verbose=0), found)
    for ours, theirs in zip(smashed, keras.tree.flatten(half.head(sentences())), strict=True):
        np.testing.assert_array_equal(ours, theirs)
