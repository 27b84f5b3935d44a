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


def images(build, cut):
    return Case(build, cut, IMAGES, classes(), CLASSIFIES)


def sentences(cut, build=masked):
    return Case(build, cut, SENTENCES, classes(), CLASSIFIES)


def numbers(build, cut):
    return Case(build, cut, NUMBERS, classes(), CLASSIFIES)


def both_ways(cut):
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
    )


CASES = {
    "sequential": images(convolutional, "pool1"),
    "batch_norm_last_on_the_client": images(convolutional, "norm1"),
    "batch_norm_and_dropout_first_on_the_server": images(convolutional, "conv1"),
    "augmentation_on_the_client": images(augmented, "conv"),
    "statistics_of_data_on_both_sides": numbers(standardised, "low"),
    "skip_connection_across_the_cut": images(residual, "block1_relu"),
    "skip_connection_beside_the_cut": images(residual, "block1_add"),
    "several_inputs_and_outputs": both_ways("join"),
    "several_names": both_ways(["look", "learn"]),
    "nested_behind_the_cut": numbers(nested, "outer"),
    "path_into_a_nested_model": numbers(nested, "outer/drop"),
    "path_into_a_model_in_a_nested_model": numbers(nested, "outer/inner/first"),
    "mask_after_embedding": sentences("embed"),
    "mask_between_recurrent_layers": sentences("lower"),
    "attention": sentences("first_norm", attention),
    "attention_behind_the_cut": sentences("embed", attention),
    "mask_up_to_the_loss": Case(masked_to_the_end, "embed", SENTENCES, SENTENCES, CLASSIFIES),
    "additional_losses_on_both_sides": numbers(penalised, "low2"),
    "additional_losses_at_the_cut": numbers(penalised, "low_energy"),
}
