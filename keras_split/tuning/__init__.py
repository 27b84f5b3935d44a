"""A search with KerasTuner for the cut and for everything else that a split model has to choose."""

from __future__ import annotations

import importlib.util

# KerasTuner imports TensorBoard in each trial, and would call every trial invalid without it.
if _missing := [name for name in ("keras_tuner", "tensorboard") if importlib.util.find_spec(name) is None]:
    raise ImportError(
        f"keras_split.tuning needs {' and '.join(_missing)}, which comes with the extra `tuning`: "
        "`pip install '.[tuning]'` in a checkout."
    )

from keras_split.tuning.hypermodel import SearchEnded, SplitHyperModel
from keras_split.tuning.objective import Objective

__all__ = ["Objective", "SearchEnded", "SplitHyperModel"]
