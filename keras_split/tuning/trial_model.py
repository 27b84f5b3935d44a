"""A split model whose files of weights hold both halves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import keras

from keras_split.local import local_server
from keras_split.model import SplitModel
from keras_split.partition import Cut, Partition
from keras_split.session import Server, Session, Timeouts


@keras.saving.register_keras_serializable(package="keras_split")
class TrialModel(SplitModel):
    """One trial's model, which has its body on the server until it is closed.

    KerasTuner writes the weights of each trial's best epoch to a file, and reads it when it goes on from
    that trial or gives back the best model. By then the body is gone, and with it the snapshots that a
    ticket would stand for. So the file has the whole model's weights, in Keras' own form.

    Args:
        model: As for `SplitModel`.
        cut: As for `SplitModel`.
        costs: Of the cut.
        server: As for `SplitModel`; a private server is started at the first exchange.
        options: Further arguments of `SplitModel`.
    """

    def __init__(
        self, model: keras.Model, cut: str | Sequence[str], costs: Cut, server: Server | None, **options: Any
    ):
        place = _Place(server)
        super().__init__(model, cut, server=place, **options)
        self._place = place
        self.costs = costs

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SplitModel:
        """An unconnected half, as any other: a file of a half has no body to go with."""
        return SplitModel.from_config(config, custom_objects)

    def save_weights(self, *args: Any, **kwargs: Any) -> None:
        """Writes the whole model's weights, which `keras.Model.load_weights` of that model reads."""
        # As the builder made it: its optimizer has not been used, nor has that of a model which reads them.
        self._halves.assemble().save_weights(*args, **kwargs)

    def load_weights(self, *args: Any, **kwargs: Any) -> None:
        """Reads the whole model's weights, before the body is placed on the server.

        Raises:
            ValueError: The model has been used, and its body is on the server.
        """
        if self._place.is_taken:
            raise ValueError(
                "The weights of a trial are loaded before its model is used: build it anew with "
                "`tuner.hypermodel.build(hp)`, and load them into that."
            )
        cast(Partition, self._halves.parts).whole.load_weights(*args, **kwargs)


class _Place:
    """Where the body goes, and whether it has gone there."""

    def __init__(self, server: Server | None):
        self.is_taken = False
        self._server = server

    def session(self, timeouts: Timeouts | None = None) -> Session:
        # A chief and the exploration of the search space build models that never need a server.
        session = (self._server or local_server()).session(timeouts)
        self.is_taken = True
        return session
