"""A model, a cut, data and losses for every shape of graph that can be cut."""

from __future__ import annotations

from support.models import (
    CLASSIFIES,
    Case,
    attention,
    augmented,
    classes,
    convolutional,
    floats,
    masked,
    masked_to_the_end,
    nested,
    penalised,
    residual,
    several_inputs_and_outputs,
    standardised,
    tokens,
)

IMAGES, NUMBERS = floats(6, 6, 2), floats(6)
SENTENCES = tokens(7, 12)


def images(build, cut, second_cut=None):
    return Case(build, cut, IMAGES, classes(), CLASSIFIES, second_cut)


def sentences(build, cut, second_cut):
    return Case(build, cut, SENTENCES, classes(), CLASSIFIES, second_cut)


def numbers(build, cut, second_cut=None):
    return Case(build, cut, NUMBERS, classes(), CLASSIFIES, second_cut)


def both_ways(cut, second_cut):
    return Case(
        several_inputs_and_outputs,
        cut,
        {"image": IMAGES, "facts": floats(5)},
        {"kind": classes(), "size": floats(1)},
        {
            "loss": {"kind": "sparse_categorical_crossentropy", "size": "mse"},
            "loss_weights": {"kind": 0.7, "size": 1.3},
            "metrics": {"kind": ["accuracy"], "size": ["mae"]},
        },
        second_cut,
    )


# Without a second cut are those whose body would end where another's does.
CASES = {
    "sequential": images(convolutional, "pool1", "flatten"),
    "batch_norm_last_on_the_client": images(convolutional, "norm1"),
    "batch_norm_and_dropout_first_on_the_server": images(convolutional, "conv1", "flatten"),
    "augmentation_on_the_client": images(augmented, "conv", "flatten"),
    "statistics_of_data_on_both_sides": numbers(standardised, "low", "inner"),
    "skip_connection_across_the_cut": images(residual, "block1_relu", "average"),
    "skip_connection_beside_the_cut": images(residual, "block1_add"),
    "several_inputs_and_outputs": both_ways("join", "think"),
    "several_names": both_ways(["look", "learn"], "think"),
    "nested_behind_the_cut": numbers(nested, "outer"),
    "path_into_a_nested_model": numbers(nested, "outer/drop"),
    "path_into_a_model_in_a_nested_model": numbers(nested, "outer/inner/first", "outer/after"),
    "mask_after_embedding": sentences(masked, "embed", "upper"),
    "attention": sentences(attention, "first_norm", "average"),
    "attention_behind_the_cut": sentences(attention, "embed", "average"),
    "mask_up_to_the_loss": Case(masked_to_the_end, "embed", SENTENCES, SENTENCES, CLASSIFIES, "read"),
    "additional_losses_on_both_sides": numbers(penalised, "low2", "high_energy"),
    "additional_losses_at_the_cut": numbers(penalised, "low_energy", "high_energy"),
}
