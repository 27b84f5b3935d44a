"""Compile settings from a peer: optimizer, losses and metrics of Keras' own, with plain options.

They take effect in this process too, where a function or a class of the peer's choice would be code of
the peer's choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from keras_split.errors import TopologyError
from keras_split.topology.checks import (
    Check,
    Options,
    Refusal,
    boolean,
    choice,
    either,
    integer,
    list_of,
    null,
    number,
    optional,
    printable_name,
    refused,
    words,
)
from keras_split.topology.limits import TopologyLimits
from keras_split.topology.plain import plain_copy

_MAX_OPTIONS = 64
_MAX_OUTPUTS = 64
_PLAIN: Check = either(null, boolean, number(), printable_name)
_PLAIN_OR_LIST: Check = either(_PLAIN, list_of(_PLAIN, 0, 1024))


def _snake_case(name: str) -> str:
    """As Keras names the function beside a class."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)).lower()


def _word(value: Any) -> str:
    if type(value) is not str or not re.fullmatch("[A-Za-z0-9_/-]{1,64}", value):
        raise refused(value, "1 to 64 letters, digits, '_', '-' and '/'")
    return value


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

# Keras looks for a name among the client's own registered functions first.
_NAMES = words(
    "accuracy acc ce crossentropy bce BCE kld KLD mae MAE mape MAPE mse MSE msle MSLE "
    + " ".join(_LOSSES + _METRICS)
    + " "
    + " ".join(_snake_case(name) for name in _LOSSES + _METRICS)
)
_LIMITS = TopologyLimits(max_config_values=1 << 14, max_config_bytes=1 << 19, max_config_depth=12)
_KEYS = {"module", "class_name", "config", "registered_name"}
# Options whose value is a size in this process's memory, or work that it does.
_SPECIAL: dict[str, Check] = {
    "num_thresholds": integer(1, 2000),
    "num_classes": optional(integer(1, 1024)),
    "num_labels": optional(integer(1, 1024)),
    "ns_steps": integer(1, 64),
    # Keras takes these words for regular expressions, and some of those never end.
    "exclude_layers": list_of(_word, 0, 16),
}


def validate_settings(settings: Any, *, whose: str = "server") -> dict[str, Any]:
    """Checks a peer's compile settings before Keras reads them.

    Args:
        settings: Parsed JSON: `optimizer`, `loss`, `loss_weights`, `metrics`, `weighted_metrics`, and
            `undecayed` where there is something to say.
        whose: Who sent them, for the text.

    Returns:
        A copy of the settings.

    Raises:
        TopologyError: Something that is not plainly Keras' own.
    """
    if type(settings) is not dict or settings.keys() - _TABLE.keys():
        raise TopologyError(f"Compile settings have the keys {', '.join(sorted(_TABLE))} and no others.")
    return {name: _checked(name, value, whose) for name, value in settings.items()}


def _checked(name: str, value: Any, whose: str) -> Any:
    try:
        return _TABLE[name](plain_copy(value, _LIMITS))
    except Refusal as refusal:
        wrong = str(refusal.under(name))
    except TopologyError as error:
        wrong = f"`{name}` is not plain: {str(error).removesuffix('.')}"
    raise TopologyError(
        f"The {whose}'s compile setting {wrong}. Compile settings of a {whose} are Keras' own classes with "
        "plain options."
    )


def _object(module: str, classes: tuple[str, ...], special: Mapping[str, Check] | None = None) -> Check:
    def read(value: Any) -> Any:
        name = value.get("class_name") if type(value) is dict else None
        if name not in classes or value.keys() != _KEYS or value["module"] != module or _is_own(value):
            raise refused(value, f"an object of {module}: {', '.join(classes)}")
        _options(value.get("config"), special or {})
        return value

    return read


def _option_name(name: str) -> None:
    if not re.fullmatch("[a-z][a-z0-9_]{0,40}", name):
        raise refused(name, "the name of an option, in small letters")


def _is_own(value: Options) -> bool:
    """Whether it goes by a name that somebody has registered here; Keras writes its own classes' too."""
    return value["registered_name"] not in (None, value["class_name"])


def _options(config: Any, special: Mapping[str, Check]) -> Options:
    if type(config) is not dict or len(config) > _MAX_OPTIONS:
        raise refused(config, f"a dict of at most {_MAX_OPTIONS} options")
    for name, value in config.items():
        try:
            _option_name(name)
            special.get(name, _SPECIAL.get(name, _PLAIN_OR_LIST))(value)
        except Refusal as refusal:
            raise refusal.under(ascii(name)[1:60].rstrip("'")) from None
    return config


def _nested(leaf: Check) -> Check:
    """A leaf, or lists and dicts of such by output, two levels deep as Keras takes them."""

    def at_depth(depth: int) -> Check:
        def read(value: Any) -> Any:
            if depth and type(value) is list and len(value) <= _MAX_OUTPUTS:
                return [at_depth(depth - 1)(each) for each in value]
            if depth and type(value) is dict and "class_name" not in value and len(value) <= _MAX_OUTPUTS:
                return {printable_name(name): at_depth(depth - 1)(value[name]) for name in value}
            return leaf(value)

        return read

    return at_depth(2)


_SCHEDULE = _object("keras.optimizers.schedules", _SCHEDULES)
_RATE = {"learning_rate": either(number(0, 1e6), _SCHEDULE)}
_OPTIMIZER = _object("keras.optimizers", _OPTIMIZERS, _RATE)
_SCALED = _object("keras.optimizers", ("LossScaleOptimizer",), {"inner_optimizer": _OPTIMIZER})
_METRIC = either(null, choice(*_NAMES), _object("keras.metrics", _METRICS))
_LOSS = either(null, choice(*_NAMES), _object("keras.losses", _LOSSES))
_TABLE: dict[str, Check] = {
    "optimizer": either(_OPTIMIZER, _SCALED),
    "loss": _nested(_LOSS),
    "loss_weights": _nested(either(null, number())),
    "metrics": _nested(_METRIC),
    "weighted_metrics": _nested(_METRIC),
    "undecayed": list_of(integer(0, 1 << 31), 0, 1 << 13),
}
