"""Keeps a model's two halves at the same update."""

from __future__ import annotations

import contextlib
import copy
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from keras_split.codec import unflatten_structure
from keras_split.errors import Refused, SettingsRefused, SplitError, TopologyError, VersionMismatch
from keras_split.local import local_server
from keras_split.model import refusals
from keras_split.model.connection import Connection, kept_session
from keras_split.model.kept import Kept
from keras_split.model.own_objects import check_settings
from keras_split.model.placed_body import PlacedBody
from keras_split.model.settings import check_same, common_settings, same_apart_from_rate
from keras_split.naming import topology_digest
from keras_split.partition import Part, Partition, checked, stateful_layers, states
from keras_split.segment import innermost, undecayed
from keras_split.session import Joined, Session
from keras_split.state import Ticket
from keras_split.topology import validate_settings

_INPUT = "InputLayer"


class Halves:
    """The client's half, and the way to the other.

    Args:
        head: The client's first layers.
        tail: Its last layers, or None where labels are shared.
        topology: Of these and the frontiers.
        connection: To the server.
    """

    def __init__(self, head: Part, tail: Part | None, topology: dict[str, Any], connection: Connection):
        self.head = head
        self.own = (head,) if tail is None else (head, tail)
        self.topology = topology
        self.decoder: keras.Model | None = None
        # The other half, where it is this client's own.
        self.placed: PlacedBody | None = None
        # As a Sequential model, which lists no layers for its inputs.
        self.hides_inputs = False
        # Arguments of `compile`, as they were given.
        self.compiled_with: dict[str, Any] | None = None
        # In a run of several data owners: the last commit to which this half has gone.
        self.commit: Ticket | None = None
        # What a later program finds a private body by.
        self.kept: Kept | None = None
        self._connection = connection
        self._settings: dict[str, Any] | None = None
        self._pending: tuple[Ticket, bool] | None = None

    @property
    def parts(self) -> Partition | None:
        """Of the whole model, where it is in this process."""
        return None if self.placed is None else self.placed.parts

    def session(self) -> Session:
        """The joined session, with the server where this half is."""
        session = self._connection.session()
        if self._pending is not None:
            _bring(session, *self._pending)
            # Not before: where the server did not move, this half must not train with it.
            self._pending = None
        return session

    def joined(self) -> Joined:
        """What the server told."""
        return self._connection.joined()

    def move(self, connection: Connection) -> None:
        """Continues with another server, which must have the same topology and settings."""
        joined = connection.joined()
        if self._settings is not None and joined.settings is not None:
            check_same(self._settings, joined.settings)
        connection.continue_from(self._connection)
        self._connection.close()
        self._connection = connection

    def server_settings(self) -> dict[str, Any]:
        """Settings that hold since the server keeps them, as Keras objects; else empty.

        Raises:
            TopologyError: The server's settings are more than plain options of Keras' own classes.
        """
        if not self._keeps_settings():
            return {}
        # Also those of an approved offer: a half that was loaded has joined without one.
        settings = validate_settings(self._connection.joined().settings or {})
        # Of a copy: a schedule's config becomes the schedule itself while Keras reads it.
        settings = copy.deepcopy(settings)
        return {name: keras.saving.deserialize_keras_object(each) for name, each in settings.items()}

    def compiled(self, model: keras.Model) -> None:
        """Makes a model's compile settings those of both sides."""
        self.settle(self._exchanged(model))

    def settle(self, settings: dict[str, Any] | None) -> None:
        """Makes settings those of both sides; None before there are any."""
        self._settings = settings
        if self.placed is not None:
            self.topology.update(self.placed.parts.topology())
        if self._keeps_settings():
            check_same(settings or {}, self._connection.joined().settings or {})
        elif self._connection.is_possible:
            told = self._told(settings)
            check_settings(told or {})
            self._connection.settle(told)

    def follow(self, model: keras.Model, *, trains: bool = False) -> None:
        """Has the server's next graph see what the user has changed, as the client's next one does.

        Args:
            model: The client's, whose graph is made.
            trains: Whether that graph trains.

        Raises:
            ValueError: What was changed takes effect with the next `compile` only.
            SettingsRefused: It is not this client's to change.
        """
        with tf.init_scope():
            settings = self._exchanged(model)
            changed = not same_apart_from_rate(self._told(settings), self._told(self._settings))
            if self.placed is None:
                if changed:
                    raise SettingsRefused(
                        "Options of the optimizer or of a loss have changed since `compile`, and the "
                        "server's hold. Leave them as they are, or have the server's changed."
                    )
                return
            if trains:
                refusals.check_trains(self.placed.parts.whole)
            if self.placed.has_other_options() or changed:
                if _has_trained(model):
                    raise ValueError(
                        "Options of the optimizer, of a loss, or of a layer on the server's side have "
                        "changed since `compile`. Keras would take them for new batch shapes and go on "
                        "with the old ones for others. Call `compile` again, with a new optimizer."
                    )
                self.settle(settings)
            self._connection.tell()

    def follow_values(self, model: keras.Model) -> None:
        """Has the server have the values that the user has set in the body's layers since."""
        if self.placed is None or not self.placed.has_other_values():
            return
        if not _has_trained(model):
            # Some optimizers begin with the values that they find.
            self.settle(self._settings)
        self._connection.tell()

    def frozen(self) -> list[list[str]]:
        """Names of the client's layers and weights that are not trained by now, for a file.

        Raises:
            ValueError: What is built from the file would be another half; the text names the layer.
        """
        found = [part.frozen() for part in self.own]
        for name, part, names in zip(("head", "tail"), self.own, found, strict=False):
            # Where own layers are not registered, whoever loads the file has to know them.
            with contextlib.suppress(TopologyError):
                checked({**self.topology[name], "frozen": names}, part, in_file=True)
        return found

    def volatile(self) -> list[tuple[Any, Any]]:
        """What a forward pass changes here by itself, with the values before it."""
        changing = [each for each in self._variables() if not each.trainable]
        return [(each, tf.convert_to_tensor(each)) for each in changing]

    def seeds(self) -> dict[str, Any]:
        """The client's seed generators, which Keras' files leave out."""
        weights = {id(each) for model in self._models() for each in model.weights}
        found = [each for each in self._variables() if id(each) not in weights]
        return {f"seed_{at}": each for at, each in enumerate(found)}

    def by_place(self) -> dict[int, Any]:
        """The client's weights by their places in the whole model."""
        return {place: each for part in self.own for place, each in part.by_place().items()}

    def undecayed(self, optimizer: Any, known: Sequence[int]) -> list[int]:
        """Places of the whole model's weights that do not decay.

        Args:
            optimizer: Just given, or of the server's settings.
            known: What the server or a file has told; of the server's weights nobody else can, unless the
                whole model was given.
        """
        if self.parts is not None:
            return undecayed(optimizer, dict(enumerate(self.parts.whole.weights)))
        own = self.by_place()
        return sorted({*undecayed(optimizer, own), *(each for each in known if each not in own)})

    def take_ticket(self) -> np.ndarray:
        """Has the server keep its half, unless it does anyway; int64 `[version, nonce]`."""
        return np.array(self._pending[0] if self._pending else self._kept(), np.int64)

    def check_own(self) -> None:
        """Raises Refused where this half is a run's, before any of it is moved."""
        if self.commit is not None:
            raise Refused(
                "In a run of data owners nobody goes back to other weights: the next turn goes on from "
                "the last commit in any case. Load the file as a model of its own, with "
                "`keras.models.load_model`, or get the newest state with `refresh()`."
            )

    def check_ticket(self, weights: Sequence[np.ndarray], count: int) -> None:
        """Raises ValueError unless a list of weights ends with a ticket."""
        if len(weights) != count + 1 or np.shape(weights[-1]) != (2,):
            raise ValueError(
                "`set_weights` needs what `get_weights` of a SplitModel returned: the client's "
                f"{count} arrays and the ticket for the server's half. Without it one half would be "
                f"restored and not the other. Received: {len(weights)} arrays."
            )

    def use_ticket(self, array: np.ndarray, *, weights_only: bool) -> None:
        """Has the server go to a kept state before anything else happens to it."""
        ticket = Ticket(int(array[0]), int(array[1]))
        self._pending = ticket, weights_only
        if self.placed is not None:
            # What was set before is overwritten.
            self.placed.forget_changes()
        elif self.kept is not None and not self._connection.is_open:
            self._take_over(self.kept, ticket)

    def catch_up(self) -> None:
        """Has it go there now, if there is a server."""
        if self._connection.is_possible:
            self.session()

    def kept_body(self) -> Kept | None:
        """What a later program finds a private body by, which is in its place then."""
        if self.kept is not None and not self.kept.body and self._connection.is_possible:
            self.session()
        return self.kept if self.kept is not None and self.kept.body else None

    def _take_over(self, kept: Kept, ticket: Ticket) -> None:
        """Will have a private server go on from the snapshot of a former program's."""
        digest = topology_digest({**self.topology, "tail": None})
        open_session = partial(kept_session, kept, ticket, lambda timeouts: local_server().session(timeouts))
        self._connection = Connection(open_session, digest, is_private=True)
        if self._settings is not None:
            self._connection.settle(self._told(self._settings))

    def add_losses(self, model: keras.Model, theirs: Any) -> None:
        """Makes both halves' terms a model's losses, in the order in which the whole adds them up.

        Args:
            model: Whose forward pass has just been made.
            theirs: The server's ranked terms.
        """
        ranked = [*theirs, *(each for part in self.own for each in part.losses())]
        model._losses_override.clear()
        model._losses_override.extend(term for _, term in sorted(ranked, key=lambda each: each[0]))

    @contextlib.contextmanager
    def losses_of(self, model: keras.Model, theirs: Any) -> Iterator[None]:
        """`add_losses` for the time of a `with` statement."""
        self.add_losses(model, theirs)
        try:
            yield
        finally:
            model._losses_override.clear()

    @property
    def server(self) -> str:
        """Where the body is, for people."""
        return repr(self._connection)

    def server_layers(self) -> list[str]:
        """Names of the body's layers; none as long as no server has told."""
        if self.parts is not None:
            layers = self.parts.body.model.layers
            return [each.name for each in layers if not isinstance(each, keras.layers.InputLayer)]
        if not self._connection.is_possible:
            return []
        with _described():
            return [str(name) for name, kind, _ in self._connection.joined().body["layers"] if kind != _INPUT]

    def outputs(self) -> Any:
        """Nested symbolic tensors with the shapes of what the body returns."""
        if self.parts is not None:
            return tree.map_structure(_like, self.parts.body.model.output)
        body = self._connection.joined().body
        with _described():
            flat = [keras.KerasTensor(each["shape"], each["dtype"]) for each in body["outputs"]]
            return unflatten_structure(flat, body["outputs_structure"])

    def body_may_train(self) -> bool:
        """Whether anything behind the cut might be trained, as far as this side knows."""
        return self.parts is None or bool(self.parts.body.model.trainable_variables)

    def reset_states(self, layer: str = "") -> None:
        """Takes the body's stateful layers back to zeros, where the body is.

        Args:
            layer: Path of one in the body; empty for all.
        """
        # A private body that is not placed yet will have the states that its layers have here.
        if self.parts is None or self._connection.is_open:
            self.session().reset_states(layer)

    def forward_resets(self) -> None:
        """From now on, what resets a stateful layer that was given resets the one on the server."""
        if self.parts is None:
            return
        for path, layer in stateful_layers(self.parts.body.model).items():
            layer.reset_state = _Resetting(layer.reset_state, weakref.ref(self), path)

    def describe_server(self) -> str:
        """For `summary`."""
        if not self._connection.is_possible:
            return " Server: not connected"
        body = self._connection.joined().body
        # Names are the server's, and a terminal obeys some characters.
        names = [ascii(name)[1:-1] for name, kind, _ in body["layers"] if kind != "InputLayer"]
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        target = self._connection.session().target
        return f" Server {target} holds {body['parameters']:,} parameters in: {shown}"

    def assemble(self) -> keras.Model:
        """Writes the body's variables into the user's own model."""
        if self.placed is None:
            raise Refused(
                "The body belongs to the server, which keeps it. Only a model that was split with "
                "`SplitModel(model, cut)` can be put together again."
            )
        self._write_back(self.placed)
        return self.placed.parts.whole

    def write_back(self) -> None:
        """Has the model that was given hold what a private server has learned, as after Keras' own `fit`."""
        if self.placed is None or not self._connection.is_private:
            return
        try:
            self._write_back(self.placed)
        except SplitError as error:
            # The training itself is done, and so are the files that callbacks have written.
            warnings.warn(
                f"The model that was split still has the server's layers as they were before: {error}",
                stacklevel=4,
            )

    def _write_back(self, placed: PlacedBody) -> None:
        placed.take(self.session().inspect(model_only=True))

    def end_calls(self) -> None:
        """Frees the turn and the server's threads."""
        self._connection.end_calls()

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def _kept(self) -> Ticket:
        session = self.session()
        if self.commit is not None and self.commit.version == session.version:
            return self.commit
        return session.snapshot()

    def _variables(self) -> list[Any]:
        return [each for model in self._models() for each in (*model.variables, *states(model))]

    def _models(self) -> list[keras.Model]:
        own = [part.model for part in self.own]
        return own if self.decoder is None else [*own, self.decoder]

    def _exchanged(self, model: keras.Model) -> dict[str, Any] | None:
        if not model.compiled:
            return None
        return common_settings(model.get_compile_config())

    def _told(self, settings: dict[str, Any] | None) -> dict[str, Any] | None:
        if settings is not None and self.topology["second_cut"] and not self._keeps_settings():
            # The loss is computed here, and is nobody else's business.
            return {**settings, "loss": None, "loss_weights": None}
        return settings

    def _keeps_settings(self) -> bool:
        return self._connection.keeps_settings()


def _has_trained(model: keras.Model) -> bool:
    return bool(model.compiled) and int(innermost(model.optimizer)._iterations) > 0


class _Resetting:
    """A layer's `reset_state`, for the layer here and for the one on the server.

    Args:
        here: The layer's own.
        halves: Weak reference to those of the split model.
        path: Of the layer in the body.
    """

    stands_for_a_method = True

    def __init__(self, here: Callable[[], None], halves: Callable[[], Halves | None], path: str):
        self._here = here
        self._halves = halves
        self._path = path

    def __call__(self) -> None:
        self._here()
        halves = self._halves()
        if halves is not None:
            halves.reset_states(self._path)


@contextlib.contextmanager
def _described() -> Iterator[None]:
    """Around what reads a server's words about its part."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError):
        raise TopologyError(
            "What the server says about its part cannot be read. Do both sides run the same version?"
        ) from None


def _like(tensor: Any) -> Any:
    return keras.KerasTensor(tensor.shape, tensor.dtype)


def _bring(session: Session, ticket: Ticket, weights_only: bool) -> None:
    """Takes the server to a kept state; in a run it stays at the last commit, whoever asks."""
    commit = session.last_commit()
    if commit is None:
        session.restore(ticket, weights_only=weights_only)
    elif commit == ticket:
        session.is_at(commit)
    else:
        raise VersionMismatch(
            f"This half is of update {ticket.version}, and the last commit of the server's run is of update "
            f"{commit.version}. Nobody takes a run back. A member gets the newest half with "
            "`SplitModel.connect(..., identity=..., roster=...)` and `refresh()`, and may save it."
        )
