"""Compile settings from a peer: optimizer, losses and metrics of Keras' own, with plain options.

They take effect in this process too, where a function or a class of the peer's choice would be code of
the peer's choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_split.errors import TopologyError
from keras_split.topology.checks import (
    Check,
    Options,
    Refusal,
    boolean,
    either,
    list_of,
    null,
    number,
    printable_name,
    refused,
    words,
)

_MAX_OPTIONS = 64
_MAX_OUTPUTS = 64
_PLAIN: Check = either(null, boolean, number(), printable_name)
_PLAIN_OR_LIST: Check = either(_PLAIN, list_of(_PLAIN, 0, 1024))

_OPTIMIZERS = words(
    "Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion Muon Nadam RMSprop SGD ScheduleFreeAdamW"
)
_SCHEDULES = words(
    "CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay PolynomialDecay"
)
_LOSSES = words(
    "BinaryCrossentropy BinaryFocalCrossentropy CTC CategoricalCrossentropy "
    "CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy CategoricalHinge Circle "
    "CosineSimilarity Dice Hinge Huber KLDivergence LogCosh MeanAbsoluteError "
    "MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson "
    "SparseCategoricalCrossentropy SquaredHinge Tversky"
)
_METRICS = words(
    "AUC Accuracy BinaryAccuracy BinaryCrossentropy BinaryIoU CategoricalAccuracy "
    "CategoricalCrossentropy CategoricalHinge ConcordanceCorrelation CosineSimilarity F1Score "
    "FBetaScore FalseNegatives FalsePositives Hinge IoU KLDivergence LogCoshError MeanAbsoluteError "
    "MeanAbsolutePercentageError MeanIoU MeanSquaredError MeanSquaredLogarithmicError OneHotIoU "
    "OneHotMeanIoU PearsonCorrelation Poisson Precision PrecisionAtRecall R2Score Recall "
    "RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity SparseCategoricalAccuracy "
    "SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy SpecificityAtSensitivity "
    "SquaredHinge TopKCategoricalAccuracy TrueNegatives TruePositives"
)


def validate_settings(settings: Any, *, whose: str = "server") -> dict[str, Any]:
    """Checks a peer's compile settings before Keras reads them.

    Args:
        settings: Parsed JSON: `optimizer`, `loss`, `loss_weights`, `metrics`, `weighted_metrics`.
        whose: Who sent them, for the text.

    Returns:
        The same settings.

    Raises:
        TopologyError: Something that is not plainly Keras' own.
    """
    if type(settings) is not dict or settings.keys() - _TABLE.keys():
        raise TopologyError(f"Compile settings have the keys {', '.join(sorted(_TABLE))} and no others.")
    for name, value in settings.items():
        try:
            _TABLE[name](value)
        except Refusal as refusal:
            raise TopologyError(
                f"The {whose}'s compile setting {refusal.under(name)}. Compile settings of a {whose} are "
                "Keras' own classes with plain options."
            ) from None
    return settings


def _object(module: str, classes: tuple[str, ...], special: Mapping[str, Check] | None = None) -> Check:
    def read(value: Any) -> Any:
        name = value.get("class_name") if type(value) is dict else None
        if name not in classes or value.get("module") != module or value.get("registered_name"):
            raise refused(value, f"an object of {module}: {', '.join(classes)}")
        _options(value.get("config"), special or {})
        return value

    return read


def _options(config: Any, special: Mapping[str, Check]) -> Options:
    if type(config) is not dict or len(config) > _MAX_OPTIONS:
        raise refused(config, f"a dict of at most {_MAX_OPTIONS} options")
    for name, value in config.items():
        try:
            special.get(name, _PLAIN_OR_LIST)(value)
        except Refusal as refusal:
            raise refusal.under(str(name)[:60]) from None
    return config


def _nested(leaf: Check) -> Check:
    """A leaf, or lists and dicts of such by output, two levels deep as Keras takes them."""

    def at_depth(depth: int) -> Check:
        def read(value: Any) -> Any:
            if depth and type(value) is list and len(value) <= _MAX_OUTPUTS:
                return [at_depth(depth - 1)(each) for each in value]
            if depth and type(value) is dict and "class_name" not in value:
                return {printable_name(name): at_depth(depth - 1)(value[name]) for name in value}
            return leaf(value)

        return read

    return at_depth(2)


_SCHEDULE = _object("keras.optimizers.schedules", _SCHEDULES)
_RATE = {"learning_rate": either(number(0, 1e6), _SCHEDULE)}
_METRIC = either(null, printable_name, _object("keras.metrics", _METRICS))
_LOSS = either(null, printable_name, _object("keras.losses", _LOSSES))
_TABLE: dict[str, Check] = {
    "optimizer": _object("keras.optimizers", _OPTIMIZERS, _RATE),
    "loss": _nested(_LOSS),
    "loss_weights": _nested(either(null, number())),
    "metrics": _nested(_METRIC),
    "weighted_metrics": _nested(_METRIC),
}
