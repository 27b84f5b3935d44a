"""From TensorFlow's graph to the session and back, errors included."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf
from keras import tree

from keras_split.errors import ProtocolError, SplitError
from keras_split.model.reply import Reply, read_reply
from keras_split.segment import Input, Output, Shadow, Shape, Sight, exchanged, writes_after
from keras_split.session import Exchange, Prepared, Session


class Bridge:
    """Exchanges tensors with a server from inside a traced function.

    Args:
        session: Returns the joined session; asked for at every exchange, since a model may be traced
            before it is connected, and outlive a connection.
    """

    def __init__(self, session: Callable[[], Session]):
        self._session = session
        self._failure: BaseException | None = None
        self._undo: Callable[[], None] | None = None
        self._widened: dict[bytes, list[Shape]] = {}
        # What the optimizer will have counted at the next step, if nobody sets it.
        self._counted: int | None = 0
        # Kinds of inference in which an activation at the cut is an operation by itself.
        self.unfused: set[str] = set()
        # Validation inside fit stands in its History, and there every bit counts.
        self.combines = True

    @contextlib.contextmanager
    def asking(self, partner: Any) -> Iterator[None]:
        """Within, what is traced asks a partner, which prepares as a session does, and is never run."""
        session, self._session = self._session, lambda: partner
        try:
            yield
        finally:
            self._session = session

    def train(
        self,
        smashed: Sequence[Any],
        logits: Mapping[int, Any],
        labels: Any,
        sample_weight: Any,
        *,
        learning_rate: Any,
        iterations: Any,
        wants_cut_gradients: bool,
        volatile: Sequence[Any],
        may_be_empty: bool = False,
    ) -> tuple[Reply, Prepared]:
        """One step (paper, Algorithm 1, lines 6 to 10).

        Args:
            smashed: Frontier tensors.
            logits: Of those that are outputs of the model, by their places.
            labels: Nested, or None.
            sample_weight: Nested, or None.
            learning_rate: Scalar, or None where both sides follow a schedule.
            iterations: What the client's optimizer has counted; None where the server counts others.
            wants_cut_gradients: Whether anything in the head is trained.
            volatile: Variables that the head's forward pass has changed, as (variable, value before);
                taken back if the step fails.
            may_be_empty: Whether there may be no row, so that nothing is exchanged and all of the reply
                is zeros.

        Returns:
            All that the server has of it; and what to give to `settle`.
        """
        exchange = Exchange(
            "train",
            _specs(smashed, logits),
            tree.map_structure(functools.partial(_spec, "label"), labels),
            tree.map_structure(functools.partial(_spec, "sample_weight"), sample_weight),
            wants_cut_gradients,
        )
        prepared = self._prepare(exchange)
        sent = [*smashed, *logits.values(), *_flat(labels), *_flat(sample_weight)]
        ask = _unless_empty(_whole_step, prepared.outputs, may_be_empty)
        reply = self._step(ask, sent, (learning_rate, iterations), volatile, prepared, prepared.outputs)
        return reply, prepared

    def forward(
        self,
        smashed: Sequence[Any],
        *,
        learning_rate: Any,
        iterations: Any,
        wants_cut_gradients: bool,
        graded: Sequence[int],
        behind: Shadow,
        volatile: Sequence[Any],
        may_be_empty: bool = False,
    ) -> tuple[Reply, Prepared]:
        """The first half of a label-free step (paper, section 3.6).

        Args:
            smashed: Frontier tensors.
            learning_rate: As in `train`.
            iterations: As in `train`.
            wants_cut_gradients: As in `train`.
            graded: For each gradient that `backward` will send the place of the body's output.
            behind: The operations behind these outputs.
            volatile: As in `train`.
            may_be_empty: As in `train`.

        Returns:
            The body's outputs and loss terms; and what to give to `backward` and `settle`.
        """
        exchange = Exchange(
            "train",
            _specs(smashed, {}),
            wants_cut_gradients=wants_cut_gradients,
            graded=tuple(graded),
            shadow=behind,
        )
        prepared = self._prepare(exchange)
        half = prepared.forwarded
        ask = _unless_empty(_first_half, half, may_be_empty)
        return self._step(ask, smashed, (learning_rate, iterations), volatile, prepared, half), prepared

    def backward(self, prepared: Prepared, gradients: Sequence[Any]) -> Reply:
        """The second half of a label-free step; the reply has the cut gradients."""

        def step(*arrays: np.ndarray) -> list[np.ndarray]:
            if arrays and not len(arrays[0]):
                return _zeros(prepared.backward)  # There was no first half either.
            return self._session().backward(arrays)

        return self._remote(step, list(gradients), prepared, prepared.backward)

    def settle(self, prepared: Prepared, measures: Sequence[Any]) -> Reply:
        """The end of a step whose optimizer looks at all gradients; the reply says that it counts."""

        def step(*arrays: np.ndarray) -> list[np.ndarray]:
            self._session().settle(arrays)
            return []

        return self._remote(step, list(measures), prepared, ())

    def infer(
        self, smashed: Sequence[Any], logits: Mapping[int, Any], mode: str, *, may_be_empty: bool = False
    ) -> Reply:
        """A forward pass; mode `"test"` brings what a loss needs, `"predict"` the outputs only."""
        exchange = Exchange(mode, _specs(smashed, logits))
        prepared = self._prepare(exchange)

        sent = [*smashed, *logits.values()]
        # What has another reader, TensorFlow does not join with what follows.
        beside = [each for tensor in smashed for each in _read_by(tensor)] if mode in self.unfused else []

        def infer(*arrays: np.ndarray) -> list[np.ndarray]:
            if may_be_empty and not len(arrays[0]):
                return _zeros(prepared.outputs)
            return self._session().infer(prepared, arrays[: len(sent)], self.combines)

        return self._remote(infer, [*sent, *beside], prepared, prepared.outputs)

    def after(self, reply: Reply) -> contextlib.AbstractContextManager[None]:
        """Within, nothing is written to a variable until the reply is there.

        Counting updates and weight decay do not depend on a gradient. They would run before the
        exchange, and stay if it fails.
        """
        if not tf.inside_function():
            return contextlib.nullcontext()
        return writes_after(lambda: _gate(reply.made_by))

    def refuse(self, error: Exception) -> NoReturn:
        """Raises an error that comes out as it is; Keras would report a call's arguments, data included."""
        self._failure = error
        raise error

    def guarded(self, function: Any) -> Any:
        """Wraps what Keras calls for a step, so that the real error comes out of it.

        TensorFlow turns any exception of a Python function in the graph into an anonymous one. The
        head is taken back to where it was before the failed step.
        """
        if getattr(function, "_is_guarded", False):
            return function

        @functools.wraps(function)
        def call(*args: Any) -> Any:
            try:
                return function(*args)
            except Exception:
                if self._failure is None:
                    raise
                failure, self._failure = self._failure, None
                if self._undo is not None:
                    self._undo()
                raise failure from None
            finally:
                self._undo = None

        call._is_guarded = True  # type: ignore[attr-defined]
        return call

    def _prepare(self, exchange: Exchange) -> Prepared:
        if not tf.inside_function():
            exchange = self._widen(exchange)
        try:
            return self._session().prepare(exchange)
        except SplitError as error:
            self.refuse(error)

    def _widen(self, exchange: Exchange) -> Exchange:
        """Leaves sizes open in which eager exchanges differ, as TensorFlow does for traced ones.

        Eager code knows each size, and would have the server compile for each of them.
        """
        own = exchange.shapes()
        kind = exchange.with_shapes([None if each is None else (None,) * len(each) for each in own]).key()
        widened = [_common(*pair) for pair in zip(own, self._widened.get(kind, own), strict=True)]
        self._widened[kind] = widened
        return exchange.with_shapes(widened)

    def _step(
        self,
        ask: Callable[..., list[np.ndarray]],
        sent: Sequence[Any],
        pace: tuple[Any, Any],
        volatile: Sequence[Any],
        prepared: Prepared,
        wanted: Sequence[Output],
    ) -> Reply:
        before = [value for _, value in volatile]
        rate, count = pace
        told = [] if rate is None else [tf.cast(rate, tf.float64)]
        told += [] if count is None else [tf.cast(count, tf.int64)]

        def step(*arrays: np.ndarray) -> list[np.ndarray]:
            tensors, rest = arrays[: len(sent)], arrays[len(sent) :]
            self._undo = functools.partial(_assign, volatile, rest[: len(before)])
            counted = None if count is None else int(rest[-1])
            now = None if rate is None else float(rest[len(before)])
            # What is one more than before, the server has counted itself.
            told_count = None if counted == self._counted else counted
            found = ask(self._session(), prepared, tensors, now, told_count)
            self._counted = None if counted is None else counted + 1
            return found

        return self._remote(step, [*sent, *before, *told], prepared, wanted)

    def _remote(
        self,
        work: Callable[..., list[np.ndarray]],
        inputs: list[Any],
        prepared: Prepared,
        wanted: Sequence[Output],
    ) -> Reply:
        def call(*arrays: np.ndarray) -> list[np.ndarray]:
            try:
                return work(*arrays)
            except BaseException as error:
                self._failure = _not_an_end(error)
                raise RuntimeError("The exchange with the server failed.") from None

        found = exchanged(call, inputs, [tf.as_dtype(spec.dtype) for spec in wanted])
        # TensorFlow returns the only tensor of a list in place of the list, and an operation for none.
        tensors = tree.flatten(found) if wanted else []
        made_by = (tensors[0].op if tensors else found) if tf.inside_function() else None
        return read_reply(prepared, wanted, tensors, made_by)


def _whole_step(session: Session, *request: Any) -> list[np.ndarray]:
    return session.step(*request)


def _first_half(session: Session, *request: Any) -> list[np.ndarray]:
    return session.forward(*request)


def _unless_empty(
    ask: Callable[..., list[np.ndarray]], wanted: Sequence[Output], may_be_empty: bool
) -> Callable[..., list[np.ndarray]]:
    """Asks only about rows, of which a batch without labels has none."""
    if not may_be_empty:
        return ask

    def ask_about_rows(session: Session, prepared: Prepared, tensors: Any, *pace: Any) -> list[np.ndarray]:
        return ask(session, prepared, tensors, *pace) if len(tensors[0]) else _zeros(wanted)

    return ask_about_rows


def _zeros(specs: Sequence[Output]) -> list[np.ndarray]:
    return [
        np.zeros([size or 0 for size in each.shape or ()], tf.as_dtype(each.dtype).as_numpy_dtype)
        for each in specs
    ]


def _gate(first: tf.Operation) -> tf.Operation:
    """Runs after another operation, and no gradient depends on it.

    Keras passes all gradients through one operation. So TensorFlow finds that every write waits for the
    reply in any case, drops what else makes it wait, and then takes that operation away.
    """
    with tf.control_dependencies([first]):
        return tf.numpy_function(_nothing, [], [], name="keras_split_gate")


def _nothing() -> None:
    """What the gate does."""


def _not_an_end(error: BaseException) -> BaseException:
    """Turns what would look to `fit` like the end of the data set into what it is."""
    if isinstance(error, (StopIteration, tf.errors.OutOfRangeError)):
        return ProtocolError(
            f"The exchange with the server stopped in the middle ({type(error).__name__}). Nothing of "
            "this step was applied here; restore both halves from a snapshot before going on."
        )
    return error


def _common(ours: Shape, theirs: Shape) -> Shape:
    """A shape that both have."""
    if ours is None or theirs is None:
        return None
    return tuple(one if one == other else None for one, other in zip(ours, theirs, strict=True))


def _flat(nest: Any) -> list[Any]:
    return [each for each in tree.flatten(nest) if each is not None]


def _spec(role: str, tensor: Any, index: int = 0) -> Input | None:
    if tensor is None:
        return None
    if isinstance(tensor, (tf.RaggedTensor, tf.SparseTensor)):
        raise ValueError(
            f"Ragged and sparse tensors cannot cross the cut; a {role} is one. Convert it with "
            "`.to_tensor()` or `tf.sparse.to_dense` in the data set, or inside the head."
        )
    tensor = tf.convert_to_tensor(tensor)
    shape = None if tensor.shape.rank is None else tuple(tensor.shape)
    return Input(role, shape, tensor.dtype.name, index)


def _specs(smashed: Sequence[Any], logits: Mapping[int, Any]) -> tuple[Input, ...]:
    frontier = [_spec("smashed", each) for each in smashed]
    behind = [_spec("logits", each, at) for at, each in logits.items()]
    sent = [*smashed, *logits.values()]
    sight = Sight(sent)
    specs = [spec for spec in (*frontier, *behind) if spec]
    return tuple(
        replace(spec, name=sight.name(tensor), tie=tie)
        for spec, tensor, tie in zip(specs, sent, sight.ties(sent), strict=True)
    )


def _read_by(tensor: Any) -> list[Any]:
    """What the operation reads that makes a tensor, if it reads one."""
    read = [*tensor.op.inputs] if tf.inside_function() else []
    return read if len(read) == 1 and read[0].dtype == tensor.dtype else []


def _assign(volatile: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    for (variable, _), value in zip(volatile, values, strict=True):
        variable.assign(value)
