"""Which cut trains fastest under given conditions, predicted without training."""

from keras_split.planning.conditions import Conditions
from keras_split.planning.plan import plan
from keras_split.planning.planned import PlannedCut
from keras_split.planning.ranking import Plan
from keras_split.planning.speed import measure_gflops

__all__ = ["Conditions", "Plan", "PlannedCut", "measure_gflops", "plan"]
