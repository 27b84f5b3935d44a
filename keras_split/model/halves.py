"""Keeps a model's two halves at the same update."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_split.errors import Refused, SettingsRefused, VersionMismatch
from keras_split.model import refusals
from keras_split.model.connection import Connection
from keras_split.model.placed_body import PlacedBody
from keras_split.model.settings import check_same, common_settings, same_apart_from_rate
from keras_split.partition import Part, Partition
from keras_split.segment import innermost, undecayed
from keras_split.session import Joined, Session
from keras_split.state import Ticket
from keras_split.topology import validate_settings


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
        # In a run of several data owners: the last commit to which this half has gone.
        self.commit: Ticket | None = None
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
            self._connection.settle(self._told(settings))

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
        self._pending = Ticket(int(array[0]), int(array[1])), weights_only
        if self.placed is not None:
            # What was set before is overwritten.
            self.placed.forget_changes()

    def catch_up(self) -> None:
        """Has it go there now, if there is a server."""
        if self._connection.is_possible:
            self.session()

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
        self.placed.take(self.session().inspect())
        return self.placed.parts.whole

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
        return [each for model in self._models() for each in model.variables]

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
