"""Where a segment computes: on one device, or mirrored on several by `tf.distribute`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf
from keras import tree

from keras_split.errors import Refused

# Name of the operations that hand tensors to the other party. A layer's own Python functions have the names
# that they have in the whole model.
EXCHANGE = "keras_split_exchange"


class Single:
    """One device: the exact way."""

    name = "single"
    answers_early = True
    least_rows = 1

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """In which variables are created."""
        return contextlib.nullcontext()

    def traced(self, function: Callable[..., Any], specs: Sequence[tf.TensorSpec]) -> Any:
        """Compiles a function of flat tensors, and traces it at once."""
        compiled = tf.function(function, input_signature=list(specs), autograph=False)
        compiled.get_concrete_function()
        return compiled

    def scatter(self, values: Sequence[Any]) -> Sequence[Any]:
        """What `traced` functions take."""
        return [tf.convert_to_tensor(value) for value in values]

    def gather(self, values: Sequence[Any], roles: Sequence[str]) -> list[Any]:
        """What `traced` functions return, for the caller."""
        del roles
        return list(values)

    def ask(self, respond: Callable[..., Any], tensors: list[Any], wanted: Sequence[Any]) -> list[Any]:
        """Gives tensors away from within a step's graph, and goes on with what comes in return.

        Args:
            respond: Gets arrays, and returns as many as are wanted.
            tensors: What to give.
            wanted: Dtypes of what is to come.
        """
        found = exchanged(respond, tensors, wanted)
        return tree.flatten(found) if wanted else []

    def hand_over(self, receive: Callable[..., None], tensors: list[Any], before: Callable[[], None]) -> None:
        """Gives a step's reply away from within its graph, before any variable is updated."""
        handed_over = exchanged(receive, tensors, [])
        with writes_after(lambda: handed_over):
            before()


class Mirrored:
    """Several devices of one machine, each with a share of the batch.

    A replica averages the loss over its share, and the shares' averages are averaged. That is the
    mean over the batch where the shares are equal in size, up to the order of the additions, so results
    agree with one device's to a few units in the last place per step, not bit for bit.
    BatchNormalization sees each share by itself.
    """

    answers_early = False

    def __init__(self, strategy: tf.distribute.Strategy):
        self._strategy = strategy
        self.least_rows = strategy.num_replicas_in_sync
        self.name = f"mirrored on {self.least_rows} devices"

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """In which variables are created."""
        return self._strategy.scope()

    def traced(self, function: Callable[..., Any], specs: Sequence[tf.TensorSpec]) -> Any:
        """Compiles a function of flat tensors, one call per replica, and traces it at once."""

        def replicated(*values: Any) -> Any:
            return self._strategy.run(function, args=values)

        # No input signature: shares are smaller than the batch, and may differ in size by one.
        compiled = tf.function(replicated, autograph=False, reduce_retracing=True)
        compiled.get_concrete_function(*specs)
        return compiled

    def scatter(self, values: Sequence[Any]) -> Sequence[Any]:
        """Splits every tensor along the batch."""
        if len(values[0]) < self.least_rows:
            raise Refused(
                f"The server shares each batch among {self.least_rows} devices, and one of "
                f"{len(values[0])} is too small. Use larger batches, or drop the data set's remainder."
            )
        return [self._distribute(_shares(value, self.least_rows)) for value in values]

    def gather(self, values: Sequence[Any], roles: Sequence[str]) -> list[Any]:
        """Joins what belongs to samples, and averages what is a part of the loss."""
        local = [self._strategy.experimental_local_results(value) for value in values]
        return [
            tf.add_n(parts) / len(parts) if role == "loss_term" else tf.concat(parts, axis=0)
            for parts, role in zip(local, roles, strict=True)
        ]

    def ask(self, respond: Callable[..., Any], tensors: list[Any], wanted: Sequence[Any]) -> list[Any]:
        """Refused: in the midst of a step there is no joining of what the replicas have.

        Raises:
            Refused: Always.
        """
        del respond, tensors, wanted
        raise Refused(
            "A label-free model, or one whose optimizer looks at all gradients (`global_clipnorm`, a "
            "LossScaleOptimizer), is served on one device. Leave `--strategy mirrored` out."
        )

    def hand_over(self, receive: Callable[..., None], tensors: list[Any], before: Callable[[], None]) -> None:
        """Only updates: each replica has a share of the reply, and they are joined after the step."""
        del receive, tensors
        before()

    def _distribute(self, shares: list[Any]) -> Any:
        return self._strategy.experimental_distribute_values_from_function(
            lambda context: tf.convert_to_tensor(shares[context.replica_id_in_sync_group])
        )


def placement(strategy: str, replicas: int = 0) -> Single | Mirrored:
    """The placement for a `--strategy`.

    Args:
        strategy: `"single"` or `"mirrored"`.
        replicas: How many mirrored devices; 0 for all GPUs, or one CPU where there are none.

    Raises:
        ValueError: One that cannot keep a split model's promises, with the reason.
    """
    if strategy == "single":
        return Single()
    if strategy == "mirrored":
        return Mirrored(tf.distribute.MirroredStrategy(_devices(replicas)))
    raise ValueError(
        "The server runs a body on one device (`single`) or on the devices of one machine "
        "(`mirrored`). Parameter servers and multi-worker strategies update asynchronously or need "
        "every worker to see the same client's stream, which a turn does not offer. "
        f"Received: strategy={strategy!r}."
    )


def exchanged(work: Callable[..., Any], tensors: Sequence[Any], wanted: Sequence[Any]) -> Any:
    """Has Python hand over tensors from within a graph, and bring others.

    Args:
        work: Gets arrays, and returns as many as are wanted.
        tensors: What to give.
        wanted: Dtypes of what is to come.
    """
    with tf.name_scope(""):
        return tf.numpy_function(work, tensors, list(wanted), name=EXCHANGE)


@contextlib.contextmanager
def writes_after(make_first: Callable[[], tf.Operation]) -> Iterator[None]:
    """Lets operations that are made within write to variables only after another has run.

    `tf.control_dependencies` would hold back the arithmetic as well, and TensorFlow does not rewrite
    arithmetic with such dependencies: the update would round in another way than the unsplit model's.

    Args:
        make_first: Returns the other; called at the end.
    """
    graph = tf.compat.v1.get_default_graph()
    known = len(graph.get_operations())
    yield
    made = graph.get_operations()[known:]
    first = make_first()
    for operation in made:
        touches = any(each.dtype == tf.resource for each in operation.inputs)
        if touches and operation.op_def.is_stateful and operation.type != "ReadVariableOp":
            operation._add_control_input(first)


def _devices(replicas: int) -> list[str]:
    """GPUs, or as many logical CPU devices; TensorFlow must not have been used before."""
    cpus = tf.config.list_physical_devices("CPU")
    if replicas > 1 and not tf.config.list_physical_devices("GPU"):
        parts = [tf.config.LogicalDeviceConfiguration() for _ in range(replicas)]
        tf.config.set_logical_device_configuration(cpus[0], parts)
    logical = tf.config.list_logical_devices
    devices = [each.name for each in logical("GPU") or logical("CPU")]
    if len(devices) < replicas:
        raise ValueError(f"There are {len(devices)} devices. Received: replicas={replicas}.")
    return devices[: replicas or None]


def _shares(value: Any, count: int) -> list[Any]:
    sizes = [(len(value) + extra) // count for extra in reversed(range(count))]
    starts = [sum(sizes[:at]) for at in range(count)]
    return [value[start : start + size] for start, size in zip(starts, sizes, strict=True)]
