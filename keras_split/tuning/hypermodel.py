"""A search space of split models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import keras_tuner
from keras_tuner.errors import FatalError, FatalTypeError, FatalValueError

from keras_split.errors import SplitError
from keras_split.partition import Cut, describe_cut
from keras_split.session import Server
from keras_split.tuning.costs import Costs, show_in_summaries
from keras_split.tuning.options import Decoder, Options
from keras_split.tuning.space import Cuts, check_cuts, choose_cut
from keras_split.tuning.trial_model import TrialModel

show_in_summaries()


class SearchEnded(SplitError, FatalError):
    """Something went wrong between the parties, which no other choice of hyperparameters would mend.

    KerasTuner would count the trial as a failed one and go on to the next.
    """


class SplitHyperModel(keras_tuner.HyperModel):
    """Split models, with the cut among the hyperparameters.

    Works with every tuner of KerasTuner, distributed ones included. Each execution of a trial places a
    fresh body on the server, and takes it away at its end.

    Args:
        build: Returns a compiled model, given the hyperparameters. Layers at which it may be cut need
            the same names in every trial.
        cuts: `"all"` legal cuts by a single name, or a list of cuts. The hyperparameter is `cut`.
        second_cut: None, or where the client's part begins again; a list makes it the hyperparameter
            `second_cut`.
        alpha: Least and greatest weight of the reconstruction of unlabelled rows, the hyperparameter
            `alpha`; only with `decoder`.
        decoder: `decoder(hp, shapes)` returns a model from tensors of the frontier's shapes (the batch
            dimension first, as None) to the inputs.
        server: A `keras_split.Server` that accepts bodies, or None for the private server of each
            process.
        name: As for `keras_tuner.HyperModel`.
        tunable: As for `keras_tuner.HyperModel`.

    Example:

    ```python
    hypermodel = keras_split.tuning.SplitHyperModel(build)
    tuner = keras_tuner.RandomSearch(hypermodel, "val_accuracy", max_trials=10, directory="search")
    tuner.search(x, y, validation_data=(x_val, y_val), epochs=3)
    tuner.results_summary()
    ```

    Raises:
        ValueError: `cuts` or `second_cut` has no names, or `alpha` and `decoder` are not given together.
    """

    def __init__(
        self,
        build: Callable[[Any], keras.Model],
        cuts: Cuts = "all",
        *,
        second_cut: str | Sequence[str] | None = None,
        alpha: tuple[float, float] | None = None,
        decoder: Decoder | None = None,
        server: Server | None = None,
        name: str | None = None,
        tunable: bool = True,
    ):
        check_cuts(cuts)
        super().__init__(name=name, tunable=tunable)
        self._whole = build
        self._cuts = cuts
        self._options = Options(second_cut, alpha, decoder)
        self._server = server

    def build(self, hp: Any) -> TrialModel:
        """Builds the whole model, and splits it.

        Raises:
            FatalError: What `build` returned cannot be split so.
        """
        whole = self._built(hp)
        cut = choose_cut(hp, whole, self._cuts)
        second_cut = self._options.choose_second_cut(hp)
        costs = _costs(whole, cut, second_cut)
        options = self._options.for_model(hp, costs, second_cut)
        split = TrialModel(whole, cut, costs, self._server, **options)
        # XLA is a matter of the whole model; Keras has resolved "auto" to what suits it.
        split.compile_from_config({**whole.get_compile_config(), "jit_compile": "auto"})
        return split

    def fit(
        self, hp: Any, model: TrialModel, *args: Any, callbacks: Sequence[Any] = (), **kwargs: Any
    ) -> Any:
        """Trains a trial's model, and closes it.

        Raises:
            SearchEnded: Something went wrong between the parties.
        """
        own = [Costs(model.costs), *self._options.callbacks(hp)]
        try:
            return super().fit(hp, model, *args, callbacks=[*own, *callbacks], **kwargs)
        except SplitError as error:
            raise SearchEnded(
                f"The search has ended in the middle of a trial: {error} When this is mended, the same "
                "program goes on from here if the tuner has the same `directory` and not `overwrite=True`."
            ) from error
        finally:
            model.close()

    def _built(self, hp: Any) -> keras.Model:
        whole = self._whole(hp)
        if not isinstance(whole, keras.Model) or not whole.compiled:
            received = "an uncompiled model" if isinstance(whole, keras.Model) else repr(whole)
            raise FatalTypeError(
                f"`build(hp)` returns a compiled keras.Model, not split yet. Received: {received}."
            )
        return whole


def _costs(whole: keras.Model, cut: str | list[str], second_cut: str | None) -> Cut:
    try:
        return describe_cut(whole, cut, second_cut)
    except ValueError as error:
        where = repr(cut) if second_cut is None else f"{cut!r} and {second_cut!r}"
        raise FatalValueError(f"Cutting {whole.name!r} at {where} {error}.") from None
