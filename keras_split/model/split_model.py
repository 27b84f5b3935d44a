"""`SplitModel`: what a Keras user sees of split training."""

from __future__ import annotations

import functools
import inspect
import json
import os
import weakref
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from keras_split.callbacks import Progress, Traffic
from keras_split.local import local_server
from keras_split.model import refusals
from keras_split.model.averages import swap_in_both
from keras_split.model.batch_steps import BatchSteps
from keras_split.model.bridge import Bridge
from keras_split.model.callback_lists import listed
from keras_split.model.connect import Connect
from keras_split.model.connection import Connection
from keras_split.model.decoder import Decoder, as_decoder
from keras_split.model.equality import Equality, fresh
from keras_split.model.fitting import fit_in_turns
from keras_split.model.halves import Halves
from keras_split.model.kept import Kept
from keras_split.model.own_objects import check_layers
from keras_split.model.own_steps import own_steps
from keras_split.model.ownership import Ownership
from keras_split.model.placed_body import PlacedBody
from keras_split.model.tail import Tail
from keras_split.numerics import set_exactness
from keras_split.partition import Part, partition, stateful_layers
from keras_split.segment import leave_undecayed, named_as
from keras_split.session import Timeouts

# What a server that keeps its settings has, besides the optimizer.
_OF_A_SERVER = ("loss", "loss_weights", "metrics")


@keras.saving.register_keras_serializable(package="keras_split")
class SplitModel(BatchSteps):
    """A Keras model whose first layers are here and whose other layers are on a server.

    `fit`, `evaluate` and `predict` do what they do for the whole model, to the last bit. Raw inputs
    stay in this process; the tensors at the cut, the labels and the sample weights go to the server
    (paper, section 3.1 and Algorithm 1).

    Args:
        model: Built functional or Sequential model. Its first layers become this model's, weights
            included.
        cut: Name of the layer behind which the server's part begins, a path into a nested model, or
            several names. `keras_split.list_cuts(model)` lists the choice.
        second_cut: Likewise, where the server's part ends, for training without sharing labels (paper,
            section 3.6): the layers behind it, the loss and the labels stay in this process, and each
            step takes two round trips. `keras_split.list_cuts(model, after=cut)` lists the choice.
        checkpoint_dir: Folder for the private server's snapshots, which let BackupAndRestore and
            ModelCheckpoint survive this process. None keeps them for as long as the process runs.
        timeouts: Deadlines.
        server: Where the body is placed: a `keras_split.Server` that accepts bodies, or None for the
            private server process of this program.
        exact: `"strict"` or `"default"` for all models of this process, as `keras_split.set_exactness` says
            it; None leaves that as it is.
        decoder: Keras model from the frontier back to the inputs, or a `keras_split.Decoder`, for learning
            from rows without labels (paper, section 3.3) with the callback `SemiSupervised`. It stays
            in this process.

    Example:

    ```python
    split = keras_split.SplitModel(model, cut="pool2")  # starts a private server process
    split.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    split.fit(x, y, validation_split=0.1, epochs=5)
    ```

    Raises:
        ValueError: The cut would leak or cannot be made.
        TopologyError: The server could not build some of its layers; the text names all of them.
    """

    def __init__(
        self,
        model: keras.Model,
        cut: str | Sequence[str],
        second_cut: str | Sequence[str] | None = None,
        *,
        checkpoint_dir: str | Path | None = None,
        timeouts: Timeouts | None = None,
        server: Any = None,
        decoder: Any = None,
        exact: str | None = None,
    ):
        if exact is not None:
            set_exactness(exact)
        parts = partition(model, cut, second_cut)
        refusals.check_steps(model)
        refusals.check_draws(model)
        check_layers(parts.body.model.layers)
        folder = str(checkpoint_dir or "")
        is_private = server is None
        if is_private:
            server = local_server()  # Which comes up while the user's program goes on.
            # That process stays where it was started, and the program may go elsewhere.
            folder = os.path.abspath(folder) if folder else ""
        kept = Kept(folder) if is_private and folder else None
        placed = PlacedBody(parts, folder, kept)
        topology = parts.topology()
        built = as_decoder(decoder, topology["frontier"])
        connection = Connection(partial(server.session, timeouts), place=placed.place, is_private=is_private)
        self._begin((parts.head, parts.tail), topology, connection, built, model.dtype_policy)
        self._halves.placed, self._halves.kept = placed, kept
        self._halves.hides_inputs = isinstance(model, keras.Sequential)
        self._halves.forward_resets()
        # Of a class of the user's own; Keras tells of them among the others.
        self._given_metrics = list(model._metrics)
        for name, method in own_steps(model, self).items():
            setattr(self, name, method)

    def _begin(
        self,
        parts: tuple[Part, Part | None],
        topology: dict[str, Any],
        connection: Connection,
        decoder: Decoder | None,
        policy: Any = None,
    ) -> None:
        """The common part of all ways to make one."""
        head, tail = parts
        refusals.check_strategy()
        # The head converts its inputs itself, as the whole model does; a cast here would round them.
        # By the policy Keras tells whether the loss is to be scaled.
        super().__init__(name=topology["name"], autocast=False, dtype=policy)
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.supports_jit = False
        self.head = named_as(topology["name"], head.model)
        self.tail = None if tail is None else tail.model
        self.output_names = list(topology["output_names"])
        self._tail = None
        if tail is not None:
            self._tail = Tail(tail, topology["second_frontier"], topology["kept"], topology["name"])
        self._halves = Halves(head, tail, topology, connection)
        self._bridge = Bridge(self._halves.session)
        self._equality = Equality(self)
        self._mode = "call"
        # No weight of the model either: its gradient is nobody's.
        self._probe = tf.Variable(0.0, name="probe")
        self._ownership: Ownership | None = None
        self._loss_weights: Any = None
        # Places of weights in the whole model; of the server's weights, as far as somebody has told.
        self._undecayed: list[int] = []
        # By class, in the steps of a model with a decoder.
        self._class_weight: dict[int, float] | None = None
        self.steps_to_pass = 0
        self.has_passed = False
        self._add_decoder(decoder)
        self.built = True
        weakref.finalize(self, self._halves.close)

    @classmethod
    def _of(
        cls,
        parts: tuple[Part, Part | None],
        topology: dict[str, Any],
        connection: Connection,
        decoder: Any = None,
    ) -> SplitModel:
        self: SplitModel = cls.__new__(cls)
        self._begin(parts, topology, connection, as_decoder(decoder, topology["frontier"]))
        return self

    def _add_decoder(self, decoder: Decoder | None) -> None:
        self._decoder = decoder
        self.decoder = None if decoder is None else decoder.model
        self._halves.decoder = self.decoder
        # No weight of the model: the callback sets it.
        self._alpha = tf.Variable(0.0, trainable=False, name="alpha")
        if decoder is not None:
            # From here on among Keras' metrics.
            self._reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")

    @property
    def _is_comparable(self) -> bool:
        """Whether the whole model is in this process, and there is one to compare with."""
        return self._halves.parts is not None and self._decoder is None and self._class_weight is None

    @property
    def alpha(self) -> float:
        """The weight of the reconstruction for the head (paper, Eq. 1); see `SemiSupervised`."""
        return float(self._alpha)

    @alpha.setter
    def alpha(self, value: float) -> None:
        self._alpha.assign(value)

    @property
    def trainable(self) -> bool:
        """As Keras': setting it sets all layers, with a private server the body's as well.

        With `connect`, the server's layers are the server's.
        """
        return bool(keras.Model.trainable.fget(self))

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.Model.trainable.fset(self, value)
        if self._halves.placed is not None:
            self._halves.placed.parts.whole.trainable = value

    connect = Connect()

    def compile(
        self,
        optimizer: Any = None,
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """As `keras.Model.compile`; optimizer and losses take effect on both sides.

        Connected to a server that keeps its own settings, leave `optimizer`, `loss` and
        `loss_weights` out; metrics that are given replace the server's.

        Raises:
            ValueError: Settings under which the halves would not equal the whole; the text says why.
            SettingsRefused: The server's settings are others, and hold.
            TopologyError: The server could not build some of them; the text names all.
        """
        given = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
            "auto_scale_loss": auto_scale_loss,
        }
        kept = self._halves.server_settings()
        known = kept.get("undecayed") or self._undecayed
        if optimizer is None and kept:
            optimizer = kept["optimizer"]
            leave_undecayed(optimizer, self._halves.by_place(), known)
        optimizer = keras.optimizers.get(optimizer or "rmsprop")
        refusals.check_optimizer(optimizer)
        refusals.check_own_optimizer(optimizer)
        if self._halves.placed is None:
            refusals.check_paths(optimizer)
        if self.tail is None:
            refusals.check_losses(loss)
        if loss is None and not kept:
            # Keras goes on with the losses of the last time, and so must the server.
            given.update(loss=self.loss, loss_weights=self._loss_weights)
        theirs = {name: kept.get(name) for name in _OF_A_SERVER if given[name] is None}
        used = {**given, **theirs, "jit_compile": refusals.check_jit(jit_compile)}
        self._loss_weights = used["loss_weights"]
        self._equality.forget()
        super().compile(optimizer=optimizer, **used)
        self._undecayed = self._halves.undecayed(optimizer, known)
        self._settle()
        self._halves.compiled_with = given
        if self._ownership is not None:
            self._ownership.state.compiled()

    def _settle(self) -> None:
        try:
            refusals.check_decoder(self.optimizer, self._decoder)
            self._halves.compiled(self)
        except BaseException:
            # The server goes on with its own: who catches this must not train on with others.
            self.compiled = False
            raise

    def get_compile_config(self) -> dict[str, Any]:
        """As Keras', with the optimizer as it is: `compile` may have put it into a LossScaleOptimizer."""
        config = super().get_compile_config()
        if config:
            config["optimizer"] = keras.saving.serialize_keras_object(self.optimizer)
            config["auto_scale_loss"] = False
            # Until the first step a user may still exclude others.
            undecayed = self._halves.undecayed(self.optimizer, self._undecayed)
            if undecayed:
                config["undecayed"] = undecayed
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Restores what `get_compile_config` wrote; the server is not asked until it is needed."""
        given = keras.saving.deserialize_keras_object(config)
        self._undecayed = given.pop("undecayed", [])
        leave_undecayed(given["optimizer"], self._halves.by_place(), self._undecayed)
        self.compile(**given)
        self._build_optimizer()

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> keras.callbacks.History:
        """As `keras.Model.fit`; History also has `bytes_sent` and `bytes_received` of each epoch.

        The turn ends with the call, whether it returns or raises. With a private server, the model that was
        given holds what both halves have learned when this returns.

        Raises:
            SplitError: Anything between the two sides; the client's half is as it was before the step
                that failed.
        """
        given = {
            "x": x,
            "y": y,
            "batch_size": batch_size,
            "epochs": epochs,
            "verbose": verbose,
            "validation_split": validation_split,
            "validation_data": validation_data,
            "shuffle": shuffle,
            "class_weight": class_weight,
            "sample_weight": sample_weight,
            "initial_epoch": initial_epoch,
            "steps_per_epoch": steps_per_epoch,
            "validation_steps": validation_steps,
            "validation_batch_size": validation_batch_size,
            "validation_freq": validation_freq,
        }
        if self._decoder is not None:
            # Keras would look for the class of each row, and some have none.
            self._weigh(given.pop("class_weight"))
        self._swap_in_both(callbacks)
        self._bridge.combines = False
        alpha = self.alpha
        try:
            if self._ownership is not None:
                return fit_in_turns(self, self._ownership, super().fit, given, callbacks)
            history = super().fit(**given, callbacks=self.with_traffic(callbacks))
            self._halves.write_back()
            return history
        finally:
            # A later `fit` without SemiSupervised is plain split training, also after one that raised.
            self.alpha = alpha
            self._weigh(None)
            self._bridge.combines = True
            self._halves.end_calls()

    def _weigh(self, class_weight: dict[int, float] | None) -> None:
        if class_weight != self._class_weight:
            self._class_weight = class_weight
            self.train_function = None

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`."""
        given = inspect.signature(keras.Model.evaluate).bind(self, *args, **kwargs).arguments
        self._swap_in_both(given.get("callbacks"))
        return super().evaluate(*args, **kwargs)

    @functools.wraps(keras.Model.predict)
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.predict`."""
        given = inspect.signature(keras.Model.predict).bind(self, *args, **kwargs).arguments
        self._swap_in_both(given.get("callbacks"))
        return super().predict(*args, **kwargs)

    def _swap_in_both(self, callbacks: Any) -> None:
        swap_in_both(listed(callbacks), self, self._halves.session)

    def get_config(self) -> dict[str, Any]:
        """The head and the frontier; no address, no keys, nothing of the body.

        A private server's half has the name of the folder in which that keeps the body.

        Raises:
            ValueError: Who loads it would get another head or tail; the text names the layer.
        """
        # As text: Keras would take the configs inside for objects of its own.
        decoder = None if self._decoder is None else json.dumps(self._decoder.to_config())
        kept = self._halves.kept_body()
        return {
            "topology": json.dumps(self._halves.topology),
            "decoder": decoder,
            "frozen": json.dumps(self._halves.frozen()),
            "hides_inputs": self._halves.hides_inputs,
            "kept": None if kept is None else kept.to_config(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SplitModel:
        """Builds an unconnected half; call `connect` on it, unless a private server has kept its body."""
        del custom_objects
        topology = json.loads(config["topology"])
        tail = Part.from_config(topology["tail"]) if topology["tail"] else None
        text = config.get("decoder")
        decoder = Decoder.from_config(json.loads(text)) if text else None
        self = cls._of((Part.from_config(topology["head"]), tail), topology, Connection(None), decoder)
        # Files of earlier versions do not have these.
        for part, names in zip(self._halves.own, json.loads(config.get("frozen", "[]")), strict=False):
            part.freeze(names)
        self._halves.hides_inputs = bool(config.get("hides_inputs"))
        self._halves.kept = Kept.from_config(config.get("kept"))
        return self

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """Keras' table of the client's layers, and what the server holds."""
        self.head.summary(*args, **kwargs)
        if self.tail is not None:
            self.tail.summary(*args, **kwargs)
        printer = kwargs.get("print_fn") or print
        printer(self._halves.describe_server())

    def whole_model(self) -> keras.Model:
        """The model that was given, with what both halves have learned since.

        It is compiled as this one, with an optimizer that starts anew.

        Raises:
            Refused: The body is not this client's, so the server keeps it (paper, section 3,
                requirement 3).
        """
        whole = self._halves.assemble()
        given = self._halves.compiled_with
        if self.compiled and given is not None:
            optimizer = type(self.optimizer).from_config(self.optimizer.get_config())
            undecayed = self._halves.undecayed(self.optimizer, self._undecayed)
            leave_undecayed(optimizer, dict(enumerate(whole.weights)), undecayed)
            whole.compile(optimizer, **tree.map_structure(fresh, given))
            # Keras cannot load what it has saved of an optimizer without variables.
            whole.optimizer.build(whole.trainable_variables)
        return whole

    def reset_states(self) -> None:
        """Takes all stateful layers back to zeros, on both sides."""
        for part in self._halves.own:
            for layer in stateful_layers(part.model).values():
                layer.reset_state()
        self._halves.reset_states()

    def refresh(self) -> None:
        """In a run of several data owners: takes over the newest client state, without waiting for a turn.

        `evaluate` and `predict` are then those of the model as it is; `fit` does this by itself.

        Raises:
            EnvelopeRefused: The newest state must not be used; the text says why.
            ValueError: The model is no member of a run.
        """
        if self._ownership is None:
            raise ValueError(
                "This model is no member of a run, whose state it could take over. Connect with `identity` "
                "and `roster`."
            )
        self._ownership.refresh()

    def close(self) -> None:
        """Ends the connection; a private server forgets the body."""
        if self._ownership is not None:
            self._ownership.close()
        self._halves.close()

    def with_traffic(self, callbacks: Any, *others: Any) -> Any:
        """A user's callbacks, between those that `fit` adds by itself."""
        traffic = Traffic(self._halves.session)
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            return [traffic, *listed(callbacks), *others, Progress()]
        # Keras takes it as it is, and the user may give it again: it goes into another one unchanged.
        for each in (traffic, *others):
            each.set_model(self)
        return keras.callbacks.CallbackList([traffic, callbacks, *others])
