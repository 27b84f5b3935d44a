"""A network of the size that people use, cut where two tensors cross."""

from __future__ import annotations

import keras
import numpy as np

from support.models import CLASSIFIES
from support.pairs import TrainedWhole

CUT = "conv3_block2_1_relu"
# Two steps, the second with the momentum of the first.
X = np.random.default_rng(2).normal(size=(6, 32, 32, 3)).astype("float32")
Y = np.arange(6)


def resnet() -> keras.Model:
    return keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), classes=10)


def test_resnet50_cut_inside_a_residual_block_trains_as_the_whole():
    def train(model):
        return model.fit(X, Y, batch_size=4, verbose=0)

    def settings():
        return {"optimizer": keras.optimizers.SGD(0.01, momentum=0.9), **CLASSIFIES}

    with TrainedWhole(resnet, settings, train).equals_split(CUT) as (split, _):
        shapes = [tensor.shape for tensor in split.head.outputs]
    assert shapes == [(None, 4, 4, 512), (None, 4, 4, 128)]
