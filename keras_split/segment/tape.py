"""Gradients across a cut, added up in the order in which the whole model adds them.

A tensor with several readers gets a sum of gradients, and floating-point sums depend on their order.
TensorFlow's tape goes back through the operations of the forward pass, each as soon as all that read its
results are done, and adds gradients up as they come. On one party's side of a cut the tape would know a part
of the operations only, and begin with others. So each party's tape goes through the whole model's operations:
its own, and the other party's as a `Shadow`, which says what reads what, and nothing else. Where a shadow
gives a gradient to one of the tensors at the cut, it is one that has arrived from the other party, an
addend by itself.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import backprop, core, execute, record
from tensorflow.python.framework import ops
from tensorflow.python.ops import default_gradient

from keras_split.segment.names import Sight
from keras_split.segment.shadow import Leaf, Shadow, ShadowStep

Key = Any
Rank = tuple[int, ...]
Pull = Callable[[list[Any], tuple[int, ...]], Sequence[Any] | None]

# TensorFlow's own limits, above which a sum is begun before all of its addends are there.
_EARLY_COUNT, _EARLY_BYTES = 4, 128 << 20
# Outputs whose gradient TensorFlow leaves out in place of zeros.
_NO_ZEROS = {
    "SoftmaxCrossEntropyWithLogits": {1},
    "SparseSoftmaxCrossEntropyWithLogits": {1},
    "FusedBatchNorm": {1, 2, 3, 4},
}
# What stands for a gradient that exists at the other party.
_THERE = object()


@dataclass
class _Step:
    """An operation on a tape.

    Args:
        kind: TensorFlow's name for it.
        reads: Keys of its inputs, and for each whether it may have a gradient.
        makes: Keys of its outputs.
        made: The outputs themselves; empty for a shadow's.
        pull: From gradients of the outputs to those of the inputs.
        pulled: What that has returned.
    """

    kind: str
    reads: list[tuple[Key, bool]]
    makes: list[Key]
    made: list[Any]
    pull: Pull
    pulled: list[Any] | None = None


@dataclass
class Gradients:
    """What went back through a tape.

    Args:
        gradients: For each key the addends that nobody has added up.
        given: For each operation that was passed, by its place, which inputs it gave a gradient to.
        apart: For each key whose addends are kept apart, who gave them: operation and input.
    """

    gradients: dict[Key, list[Any]] = field(default_factory=dict)
    given: dict[int, list[bool]] = field(default_factory=dict)
    apart: dict[Key, dict[tuple[int, int], Any]] = field(default_factory=dict)

    def of(self, source: Any) -> Any | None:
        """The gradient of a tensor or variable; None where nothing depends on it."""
        found = self.gradients.get(key_of(source))
        return _summed(found) if found else None


class Tape:
    """Records a forward pass, once or in several passages, as `tf.GradientTape` does."""

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self._watched: set[Key] = set()
        self._copies: dict[Key, tuple[Key, Callable[[Any], Any]]] = {}
        self._tape: Any = None

    def __enter__(self) -> Tape:
        # TensorFlow's own stays on, since operations ask whether there is one.
        self._tape = tf.GradientTape()
        self._tape.__enter__()
        _RECORDING.begin(self)
        return self

    def __exit__(self, *error: Any) -> None:
        _RECORDING.end(self)
        self._tape.__exit__(*error)
        self._watched.update(key_of(each) for each in self._tape.watched_variables())

    def watch(self, tensors: Sequence[Any]) -> None:
        """Also records what depends on these."""
        self._watched.update(map(key_of, tensors))
        self._tape.watch(tensors)

    def copied(self, copy: Any, original: Any, back: Callable[[Any], Any]) -> None:
        """Has a tensor's gradients go to the one that it is a copy of.

        Args:
            copy: Made outside of this tape.
            original: On this tape.
            back: From a gradient of the copy to one of the original.
        """
        self._copies[key_of(copy)] = key_of(original), back

    def cast(
        self,
        shadow: Shadow,
        inputs: Sequence[Any],
        arrive: Callable[[int, Any], Any],
        outputs: Mapping[int, Any] | None = None,
    ) -> dict[int, Key]:
        """Goes on with the other party's operations.

        Args:
            shadow: Of these.
            inputs: The tensors that it reads first, of this tape.
            arrive: Returns a gradient that the other party has sent, by its place in the reply, as one of
                a given input. Called when it is needed.
            outputs: Tensors of this side that stand for some of the shadow's, by their numbers.

        Returns:
            The keys of the shadow's tensors by their numbers.
        """
        mark = object()
        keys = {number: key_of(each) for number, each in enumerate(inputs)}
        stand = {number: key_of(each) for number, each in (outputs or {}).items()}
        count = len(inputs)
        for step in shadow.steps:
            numbers = range(count, count + step.makes)
            count += step.makes
            keys.update({each: stand.get(each, (id(mark), each, mark)) for each in numbers})
            reads = [(keys[number], True) for number in step.reads]
            pull = _shadow_pull(step, inputs, arrive)
            self.steps.append(_Step("shadow", reads, [keys[each] for each in numbers], [], pull))
        return keys

    def pull(
        self,
        roots: Sequence[tuple[Key, Any]],
        apart: Sequence[Any] = (),
        *,
        since: int = 0,
        sources: Sequence[Any] = (),
        added: Mapping[Key, Callable[[Any], Any]] | None = None,
    ) -> Gradients:
        """Goes back through all operations.

        Args:
            roots: Keys of what the loss is the sum of, in the whole model's order, each with its gradient.
            apart: Tensors whose addends are not to be added up.
            since: Place of the first operation to go back through.
            sources: Tensors and variables whose gradients are wanted.
            added: For some keys, what becomes of their gradient, which may be None.
        """
        return _Pass(self, roots, apart, since, sources, added or {}).run()

    def positions(self, since: int = 0) -> dict[Key, int]:
        """For each key on the tape the place of the operation that made it, or -1."""
        found: dict[Key, int] = dict.fromkeys(self._watched, -1)
        for at, step in enumerate(self.steps):
            if any(trains and self.original(key) in found for key, trains in step.reads):
                found.update(dict.fromkeys(step.makes, at if at >= since else -1))
        return found

    def original(self, key: Key) -> Key:
        """Of a copy; else the key itself."""
        return self._copies[key][0] if key in self._copies else key

    def back(self, key: Key, gradient: Any) -> Any:
        """A gradient that was given to a tensor, as one of its original."""
        return self._copies[key][1](gradient) if key in self._copies else gradient

    def shadow(
        self,
        pulled: Gradients,
        inputs: Sequence[Any],
        data: Any,
        terms: Sequence[tuple[Rank, Any]],
        outputs: Sequence[Any] = (),
    ) -> tuple[Shadow, list[Leaf]]:
        """What the other party needs to know about this one's operations, and the gradients that it gets.

        Args:
            pulled: From this tape, with `inputs` apart.
            inputs: Tensors that came from the other party.
            data: The loss of the data, or None.
            terms: Further terms of the loss with their ranks.
            outputs: Tensors that go to the other party.
        """
        numbers = {key_of(each): at for at, each in enumerate(inputs)}
        addends = [each for given in pulled.apart.values() for each in given.values()]
        trees = _Trees(inputs, [tf.convert_to_tensor(each) for each in addends])
        steps = []
        count = len(inputs)
        for at in sorted(pulled.given):
            step = self.steps[at]
            slots = [slot for slot, (key, _) in enumerate(step.reads) if key in numbers]
            if not slots:
                continue
            gives = tuple(trees.give(pulled, at, slot, step.reads[slot][0], numbers) for slot in slots)
            reads = tuple(numbers[step.reads[slot][0]] for slot in slots)
            steps.append(ShadowStep(reads, len(step.makes), gives))
            numbers.update({key: count + place for place, key in enumerate(step.makes)})
            count += len(step.makes)

        def find(each: Any) -> int | None:
            return None if each is None else numbers.get(key_of(each))

        ranked = tuple((rank, find(each)) for rank, each in terms)
        return Shadow(tuple(steps), find(data), ranked, tuple(map(find, outputs)), trees.made()), trees.leaves


def seen_behind(
    inputs: Sequence[Any], forward: Callable[[], tuple[Any, Sequence[tuple[Rank, Any]]]]
) -> tuple[Shadow, list[Leaf]]:
    """What the last part of a model tells of itself, and which gradients it will send.

    Args:
        inputs: That the part gets from the other party, in the graph at hand.
        forward: Runs the part; returns the loss of the data, or None, and further terms with their ranks.
    """
    tape = Tape()
    floating = [each for each in inputs if each.dtype.is_floating]
    with tape:
        tape.watch(floating)
        data, terms = forward()
    return tape.shadow(tape.pull(roots_of(data, terms), apart=floating), inputs, data, terms)


def roots_of(data: Key | None, terms: Sequence[tuple[Rank, Key]]) -> list[tuple[Key, Any]]:
    """The summands of the whole model's loss in its order, each with its gradient, which is 1.

    Args:
        data: The loss of the data; None where there is none.
        terms: Further terms, of whichever party, with their ranks.
    """
    ranked = sorted(terms, key=lambda each: each[0])
    summands = [*([] if data is None else [data]), *(each for _, each in ranked)]
    return [(each if isinstance(each, tuple) else key_of(each), _one(each)) for each in summands]


def arrived(gradient: Any, tensor: Any, name: str = "", *, tied: bool = True) -> Any:
    """A gradient of a tensor that came from elsewhere, as if it had been computed here.

    It is copied into memory of TensorFlow's own. A sum of gradients is built in the memory of the first
    addend that TensorFlow may overwrite, and begins with that one; whether it may overwrite what a
    Python function returned depends on the address.

    Args:
        gradient: As it came.
        tensor: Whose gradient it is; of the same shape.
        name: Of the operation that made it. TensorFlow adds up in the order of names.
        tied: Whether TensorFlow may know that both have equally many rows.
    """
    with tf.name_scope(""):
        if tied and not tensor.shape.is_fully_defined():
            return _shaped_like(tf.raw_ops.DeepCopy(x=gradient), tensor, name)
        own = tf.raw_ops.DeepCopy(x=gradient, name=name or None)
    if tied:
        own.set_shape(tensor.shape)
    return own


def _shaped_like(gradient: Any, tensor: Any, name: str) -> Any:
    """The same gradient, of which TensorFlow knows from the beginning that it has a tensor's shape."""
    # At zero, the gradient of tanh is what it gets.
    zeros = tf.raw_ops.ZerosLike(x=tensor)
    known = tf.raw_ops.TanhGrad(y=zeros, dy=gradient, name=name or None)
    known.set_shape(tensor.shape)
    return known


def _one(summand: Any) -> Any:
    return _THERE if isinstance(summand, tuple) else tf.ones_like(summand)


def key_of(tensor: Any) -> Key:
    """What a tensor or variable is known by on every tape."""
    if isinstance(tensor, tuple):
        return tensor  # A shadow's.
    tensor = getattr(tensor, "value", tensor) if hasattr(tensor, "regularizer") else tensor
    return backprop._handle_or_self(tensor)._id


class _Pass:
    """One way back through a tape, as TensorFlow's own tape goes it."""

    def __init__(
        self,
        tape: Tape,
        roots: Sequence[tuple[Key, Any]],
        apart: Sequence[Any],
        since: int,
        sources: Sequence[Any],
        added: Mapping[Key, Callable[[Any], Any]],
    ):
        self._tape = tape
        self._roots = [(tape.original(key), each) for key, each in roots]
        self._roots += [(key, None) for key in added]
        self._made_by = tape.positions(since)
        self._sources = set(map(key_of, sources))
        self._added = added
        self._sizes: dict[Key, int] = {}
        self._result = Gradients(apart={key_of(each): {} for each in apart})
        self._usage, self._missing = self._prepared()
        self._waiting: deque[int] = deque()

    def run(self) -> Gradients:
        reads = [(key, True) for key, _ in self._roots]
        self._give(-1, reads, [gradient for _, gradient in self._roots])
        while self._waiting:
            self._pass(self._waiting.popleft())
        for key in self._added:
            if self._made_by.get(key, -1) == -1:
                self._collect(key)
        return self._result

    def _prepared(self) -> tuple[Counter[Key], Counter[int]]:
        """How often each tensor is read on the way, and how many such tensors each operation makes."""
        usage: Counter[Key] = Counter(key for key, _ in self._roots)
        included: set[int] = set()
        waiting = list(dict.fromkeys(key for key, _ in self._roots))
        while waiting:
            at = self._made_by.get(waiting.pop(), -1)
            if at == -1 or at in included:
                continue
            included.add(at)
            for key, _ in self._tape.steps[at].reads:
                key = self._tape.original(key)
                if not usage[key]:
                    waiting.append(key)
                usage[key] += 1
        return usage, Counter(self._made_by[key] for key in usage if key in self._made_by)

    def _pass(self, at: int) -> None:
        step = self._tape.steps[at]
        if step.pulled is None:
            step.pulled = self._pulled(step)
        self._result.given[at] = [each is not None for each in step.pulled]
        self._give(at, step.reads, step.pulled)

    def _pulled(self, step: _Step) -> list[Any]:
        gradients = [self._collect(key) for key in step.makes]
        nothing: list[Any] = [None] * len(step.reads)
        if all(each is None for each in gradients):
            return nothing
        for place, made in enumerate(step.made):
            if gradients[place] is None and place not in _NO_ZEROS.get(step.kind, ()):
                gradients[place] = _zeros(made)
        unneeded = tuple(
            place
            for place, (key, _) in enumerate(step.reads)
            if self._tape.original(key) not in self._made_by and key not in self._sources
        )
        found = step.pull(gradients, unneeded)
        if found is None:
            return nothing
        return [*found] if isinstance(found, (list, tuple)) else [found]

    def _collect(self, key: Key) -> Any | None:
        """The sum of all that was given to a tensor."""
        addends = self._result.gradients.pop(key, None)
        found = _summed(addends) if addends else None
        if key in self._added:
            found = self._added[key](found)
        if found is not None and (key in self._sources or key in self._added):
            self._result.gradients[key] = [found]
        return found

    def _give(self, at: int, reads: Sequence[tuple[Key, bool]], gradients: Sequence[Any]) -> None:
        for slot, ((read, _), gradient) in enumerate(zip(reads, gradients, strict=True)):
            key = self._tape.original(read)
            if gradient is not None:
                self._add(key, self._tape.back(read, gradient), (at, slot))
            if key not in self._usage:
                continue
            self._usage[key] -= 1
            maker = self._made_by.get(key, -1)
            if self._usage[key] or maker == -1:
                continue
            self._missing[maker] -= 1
            if not self._missing[maker]:
                self._waiting.append(maker)

    def _add(self, key: Key, gradient: Any, giver: tuple[int, int]) -> None:
        if key in self._result.apart:
            self._result.apart[key][giver] = gradient
            return
        addends = self._result.gradients.setdefault(key, [])
        addends.append(gradient)
        if len(addends) > _EARLY_COUNT and gradient is not _THERE:
            size = self._sizes.setdefault(key, backprop._num_elements(addends[0]))
            if len(addends) * size * 4 > _EARLY_BYTES:
                addends[:] = [_summed(addends)]


class _Trees:
    """The gradients that a shadow's operations give to its inputs, as sums of what is sent."""

    def __init__(self, inputs: Sequence[Any], addends: Sequence[Any]):
        self.leaves: list[Leaf] = []
        self._places: dict[tuple[int, Any], int] = {}
        self._inputs = inputs
        parts = [each for addend in addends for each in [addend, *_addends(addend)]]
        self._sight = Sight([*inputs, *parts] if addends else [])

    def give(self, pulled: Gradients, at: int, slot: int, key: Key, numbers: Mapping[Key, int]) -> Any:
        if not pulled.given[at][slot]:
            return None
        if key not in pulled.apart:
            return True
        return self._tree(tf.convert_to_tensor(pulled.apart[key][at, slot]), numbers[key])

    def made(self) -> tuple[tuple[str, bool], ...]:
        """Of the gradients that are sent: what the other party's graph has to know."""
        name = self._sight.name
        return tuple((name(leaf.tensor), self._is_tied(leaf.tensor, leaf.number)) for leaf in self.leaves)

    def _tree(self, addend: Any, number: int) -> Any:
        """Sums that nobody else reads are left to who adds on: TensorFlow would make one of both."""
        # Where the optimizer makes two gradients one, it sees a sum of one and the same, whichever gets it.
        key = self._is_tied(addend, number), self._sight.one_of(addend)
        place = self._places.get(key)
        addends = _addends(addend) if place is None else []
        if addends and all(self._is_tied(each, number) for each in [addend, *addends]):
            return [self._tree(each, number) for each in addends]
        if place is None:
            place = self._places[key] = len(self.leaves)
            self.leaves.append(Leaf(number, addend))
        return place

    def _is_tied(self, tensor: Any, number: int) -> bool:
        rows = self._sight.rows(tensor)
        return rows != -1 and rows == self._sight.rows(self._inputs[number])


def _addends(gradient: Any) -> list[Any]:
    """Of a sum that nobody else reads; else none."""
    is_sum = tf.is_tensor(gradient) and tf.inside_function() and gradient.op.type in ("AddN", "Add", "AddV2")
    if not is_sum or gradient.consumers():
        return []
    inputs = list(gradient.op.inputs)
    return inputs if all(each.shape.as_list() == gradient.shape.as_list() for each in inputs) else []


def _shadow_pull(step: ShadowStep, inputs: Sequence[Any], arrive: Callable[[int, Any], Any]) -> Pull:
    def give(tree: Any, number: int) -> Any:
        if tree is None or tree is True:
            return _THERE if tree else None
        if isinstance(tree, int):
            return arrive(tree, inputs[number])
        return tf.add_n([give(each, number) for each in tree])

    def pull(gradients: list[Any], unneeded: tuple[int, ...]) -> list[Any]:
        del gradients, unneeded
        return [give(tree, number) for tree, number in zip(step.gives, step.reads, strict=True)]

    return pull


def _summed(addends: list[Any]) -> Any:
    if any(each is _THERE for each in addends):
        return _THERE
    return addends[0] if len(addends) == 1 else backprop._aggregate_grads(addends)


def _zeros(tensor: Any) -> Any:
    """Zeros of a tensor's shape, by the operations by which TensorFlow makes them."""
    if tensor.dtype == tf.resource:
        return None
    shape = None if tensor.dtype == tf.variant or tensor.shape.rank is None else tensor.shape.as_list()
    if shape is None or None in shape:
        return default_gradient.zeros_like(tensor)
    return backprop._zeros(tuple(shape), tensor.dtype)


class _Recording(threading.local):
    """The tapes of a thread that are on, and TensorFlow's functions that tell them of operations."""

    def __init__(self) -> None:
        self.tapes: list[Tape] = []

    def begin(self, tape: Tape) -> None:
        self.tapes.append(tape)
        _listen(+1)

    def end(self, tape: Tape) -> None:
        self.tapes.remove(tape)
        _listen(-1)

    def heard(self, kind: str, inputs: Sequence[Any], outputs: Sequence[Any], pull: Pull) -> None:
        if not self.tapes or pywrap_tfe.TFE_Py_TapeSetIsStopped():
            return
        reads = [(each._id, backprop.backprop_util.IsTrainable(each)) for each in inputs]
        made = list(outputs)
        for tape in self.tapes:
            tape.steps.append(_Step(kind, reads, [each._id for each in made], made, pull))


_RECORDING = _Recording()
_LOCK = threading.Lock()
_listeners = 0
_tensorflows: tuple[Any, Any, Any] = (
    execute.record_gradient,
    record.record_operation,
    pywrap_tfe.TFE_Py_FastPathExecute,
)


def _listen(change: int) -> None:
    """There is no public way to hear of operations in the order in which the tape does."""
    global _listeners
    with _LOCK:
        _listeners += change
        listens = _listeners > 0
        execute.record_gradient = _record_gradient if listens else _tensorflows[0]
        record.record_operation = _record_operation if listens else _tensorflows[1]
        pywrap_tfe.TFE_Py_FastPathExecute = _execute_slowly if listens else _tensorflows[2]


def _execute_slowly(*given: Any) -> Any:
    """Without a graph, operations are told of where they do not take a short cut through C++."""
    if _RECORDING.tapes:
        raise core._FallbackException("This operation is recorded.")
    return _tensorflows[2](*given)


def _record_gradient(kind: str, inputs: Any, attrs: Any, outputs: Any) -> None:
    _tensorflows[0](kind, inputs, attrs, outputs)
    scope = ops.get_name_scope()
    read, made = tuple(inputs), tuple(outputs)

    def pull(gradients: list[Any], unneeded: tuple[int, ...]) -> Any:
        given = (kind, attrs, len(read), read, made, gradients, unneeded, scope)
        return backprop._gradient_function(*given)

    _RECORDING.heard(kind, read, made, pull)


def _record_operation(
    op_type: str,
    output_tensors: Any,
    input_tensors: Any,
    backward_function: Callable[..., Any],
    forward_function: Any = None,
) -> None:
    _tensorflows[1](op_type, output_tensors, input_tensors, backward_function, forward_function)

    def pull(gradients: list[Any], unneeded: tuple[int, ...]) -> Any:
        del unneeded
        return backward_function(*gradients)

    _RECORDING.heard(op_type, input_tensors, output_tensors, pull)
