"""A body on a server: its topology, its state, who trains it and what it keeps."""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from keras_split._proto.v1 import split_pb2 as pb
from keras_split.codec import flatten_structure
from keras_split.errors import ConnectionLost, ProtocolError, Refused, SettingsRefused, TopologyError
from keras_split.naming import topology_digest
from keras_split.numerics import Numerics
from keras_split.partition import Part, named_variables, settle_statistics, stateful_layers, states
from keras_split.segment import (
    Mirrored,
    Segment,
    Settings,
    Single,
    innermost,
    release,
)
from keras_split.server.engine import Engine
from keras_split.server.open_step import OpenStep
from keras_split.server.options import ServingOptions
from keras_split.server.run import Run
from keras_split.server.settings import parse_settings
from keras_split.server.traces import Check, Traces
from keras_split.state import Bundle, CorruptState, Shelf, Ticket, optimizer_variables, read, write
from keras_split.turns import Turns

# Longer than gradients are under way, shorter than what stops a server has patience for.
_STOP_SECONDS = 5.0


@dataclass
class Counters:
    """What `status` shows."""

    turns: int = 0
    steps: int = 0
    inferences: int = 0


class Served:
    """One body.

    Args:
        topology: The client's part and the frontier, JSON-ready.
        body: The server's part.
        numerics: Keras' global settings under which the model was made.
        shelf: Where snapshots go.
        options: How to serve.
        place: Where to compute; on one device by default.
        placed: What its owner said about a body that is hosted for one client, which may set the compile
            settings, read the variables and change the layers; None for a server's own.
        check: Raises for an exchange that is not to be prepared.
    """

    def __init__(
        self,
        topology: dict[str, Any],
        body: Part,
        numerics: Numerics,
        shelf: Shelf,
        options: ServingOptions,
        place: Single | Mirrored | None = None,
        *,
        placed: dict[str, Any] | None = None,
        check: Check | None = None,
    ):
        self.options = options
        self._check = check
        self.owned = placed is not None
        self._describe(topology)
        self.placed = placed or {}
        self.settings_text = ""
        self.counters = Counters()
        self.engine = Engine(options.gradient_seconds)
        self.open_step: OpenStep | None = None
        self.turns = Turns(options.lease_seconds, _new_lineage())
        self.last_reply: Any = None
        self.run: Run | None = None
        self._committed = (0, 0)
        self._swap = 0
        self.place = place or Single()
        self._numerics = numerics
        self._shelf = shelf
        self._stopping = False
        self._serve(body)

    def settle(self, text: str) -> None:
        """Compiles the body with settings, with a fresh optimizer.

        Raises:
            SettingsRefused: The body is not the client's own.
            TopologyError: Settings that cannot be built here.
        """
        if self.settings_text and not self.owned:
            raise SettingsRefused(
                "The server's compile settings hold. Call `compile()` with other arguments than "
                "metrics and steps_per_execution on a private server only."
            )
        with self.traces.alone():
            with self._numerics.applied(), self.place.scope():
                settings = parse_settings(text)
            self.engine.change(lambda: self._compile_anew(settings, text))

    def replace(self, body: Part | None, placed: dict[str, Any], values: Bundle) -> None:
        """Takes over what the owner has changed; what the body has learned stays.

        Args:
            body: With other options; waits for compile settings. None for the layers that are there.
            placed: What the owner says about it now.
            values: Of those variables that the owner has set.
        """
        with self.traces.alone():
            self.engine.change(lambda: self._replace(body, placed, values))

    def prepare(self, request: pb.PrepareRequest) -> pb.PrepareReply:
        """Compiles an exchange, once."""
        if request.topology_digest != self.digest:
            raise TopologyError("The client's topology is not the one that this server serves.")
        return self.traces.prepare(request)

    def follow_count(self, iterations: int) -> None:
        """Has the optimizer count on from where its owner's counter is; where nothing else changes the state.

        Raises:
            Refused: The body is not the client's own, and its counter is elsewhere.
        """
        counter = innermost(self.segment.optimizer)._iterations
        if int(tf.convert_to_tensor(counter)) == iterations:
            return
        if not self.owned:
            raise Refused(
                "The client's optimizer does not count as many updates as the server's, which is not the "
                "client's to set. Leave `optimizer.iterations` as it is, or connect anew. Received: "
                f"iterations={iterations}."
            )
        counter.assign(iterations)

    def variables(self, *, model_only: bool = False) -> dict[str, Any]:
        """Everything that a snapshot holds; or that of it which is not the optimizer's."""
        optimizer = {} if model_only else optimizer_variables(self.segment.optimizer)
        return {**named_variables(self._body.model), **optimizer}

    def reset_states(self, layer: str) -> None:
        """Takes stateful layers back to zeros; to be called where nothing changes the state.

        Args:
            layer: Path of one, or empty for all.

        Raises:
            Refused: That one is not here, or has no states.
        """
        found = stateful_layers(self._body.model)
        if layer and layer not in found:
            raise Refused("This server's part has no stateful layer of that path.")
        for path, each in found.items():
            if layer in ("", path):
                each.reset_state()

    def snapshot(self) -> Ticket:
        """Keeps the state; to be called where nothing changes it."""
        self.engine.check()
        metadata = {"topology": self._snapshots_digest, "time": time.time()}
        return self._shelf.put(read(self.variables()), self.turns.version, metadata)

    def restore(self, ticket: Ticket, weights_only: bool) -> None:
        """Goes back to a snapshot.

        Raises:
            Refused: The shelf doesn't hold it, or not as it was written; or the body is several clients'.
        """
        if self.run is not None:
            raise Refused(
                "In a run of several data owners nobody takes the body back, which is not one's own: leave "
                "out what restores weights (`restore_best_weights`, BackupAndRestore, `set_weights`). "
                "`fit` goes on from the last commit by itself."
            )
        try:
            found = self._shelf.get(ticket)
        except CorruptState as error:
            raise Refused(f"{error} Restore the file from a backup, or go back further.") from None
        if found is None:
            raise Refused(
                f"This server has no snapshot of version {ticket.version} with this ticket. A private "
                "server's snapshots go with its process unless `checkpoint_dir` is given; a served "
                "model's need the server's `--checkpoint-dir`, and the oldest are dropped (`--keep`)."
            )
        self._load(*found, weights_only=weights_only)

    def swap_averages(self, number: int, *, keeps: bool) -> None:
        """Does what `SwapEMAWeights` does, once; to be called where nothing changes the state.

        Args:
            number: Of the request, which may come again.
            keeps: As `Segment.swap_averages`.
        """
        self.engine.check()
        if self.run is not None:
            raise Refused("In a run of several data owners no averages are put in place.")
        if number != self._swap:
            self.segment.swap_averages(keeps=keeps)
            self._swap = number
            # Another state of the same version: a client that has not swapped must not train on with it.
            self.turns.restored(self.turns.version, _new_lineage())

    def resume(self) -> bool:
        """Loads the newest snapshot, if there is one."""
        found = self._shelf.latest()
        if found is None:
            return False
        self._load(found[1], found[2], weights_only=False)
        return True

    def take_part(self, run: Run) -> None:
        """Serves the data owners of a run from now on, where its last commit left the body."""
        run.begin(lambda: read(self.variables()))
        self.run = run
        self.take_back()

    @property
    def committed_version(self) -> int:
        """Updates at the last commit of the run; 0 where there is none."""
        return self._committed[1]

    def take_back(self) -> None:
        """Goes to the last commit, unless this is it; to be called where nothing changes the state."""
        if self.run is None or self._committed == (self.turns.lineage, self.turns.version):
            return
        self._load(*self.run.latest(), weights_only=False)
        self._committed = (self.turns.lineage, self.turns.version)

    def commit(self, member: str, turn: int, commit: pb.Commit) -> int:
        """Makes what a data owner has trained last; to be called where nothing changes the state."""
        self.engine.check()
        if self.run is None:
            raise ProtocolError("This server has no run of several data owners, and nothing to commit.")
        before, version = self.run.rota.record.number, self.turns.version
        number = self.run.commit(member, turn, commit, lambda: read(self.variables()), version)
        if number > before:  # Otherwise it was asked for again, and steps since then are not in it.
            self._committed = (self.turns.lineage, version)
        return number

    def stop(self) -> None:
        """Refuses further steps; those that were accepted finish, unless they wait for a silent client."""
        self._stopping = True
        opened = self.open_step
        if opened is not None:
            threading.Timer(_STOP_SECONDS, opened.abandon).start()

    def release(self) -> None:
        """Gives back memory and thread of a body that nobody will ask for again."""
        self.stop()
        self.engine.change(lambda: release(self.variables().values()))
        self.engine.stop()

    def check(self) -> None:
        """Raises unless a step may be computed now."""
        if self._stopping:
            raise ConnectionLost("The server is stopping; its state is kept where it has a folder.")
        self.engine.check()

    def describe_body(self) -> str:
        """Layers and parameters for `summary()`, JSON."""
        model: keras.Model = self._body.model
        layers = [[layer.name, type(layer).__name__, layer.count_params()] for layer in model.layers]
        outputs, structure = flatten_structure(model.output)
        described = {
            "layers": layers,
            "parameters": model.count_params(),
            "outputs": [{"shape": list(each.shape), "dtype": each.dtype} for each in outputs],
            "outputs_structure": structure,
        }
        return json.dumps(described)

    def _load(self, bundle: Bundle, metadata: dict[str, Any], *, weights_only: bool) -> None:
        if metadata["topology"] != self._snapshots_digest:
            raise Refused(
                "The snapshot is of another model or cut, or was made by an earlier version of keras_split."
            )
        variables = self.variables()
        if weights_only:
            # As Keras' set_weights(), which leaves seeds alone.
            kept = {id(each) for each in self._body.model.weights}
            variables = {name: each for name, each in variables.items() if id(each) in kept}
            bundle = {name: bundle[name] for name in variables}
        try:
            write(variables, bundle)
        except ValueError as error:
            raise Refused(
                f"{error} A snapshot fits the model, the cut and the optimizer under which it was made; "
                "compile with that optimizer, or give a new server an empty folder."
            ) from None
        self.turns.restored(metadata["version"], _new_lineage())
        self.engine.heal()

    def _describe(self, topology: dict[str, Any]) -> None:
        self.topology = topology
        self.topology_text = json.dumps(topology)
        self.digest = topology_digest(topology)
        # Snapshots of one body belong to it whatever its owner changes of the layers in front of it.
        body = {**topology, "head": None, "tail": None}
        self._snapshots_digest = topology_digest(body) if self.owned else self.digest

    def _serve(self, body: Part) -> None:
        self._body = body
        self.segment = Segment(
            body.model,
            body.losses,
            [each["mask"] for each in self.topology["frontier"]],
            self.topology["output_names"],
            body.by_place(),
            self.topology["name"],
            self.place,
            states=states(body.model),
            shares_labels=not self.topology["second_cut"],
        )
        known = self.segment, self.topology, self._numerics, self.options
        self.traces = Traces(*known, forgets=self.owned, check=self._check)

    def _replace(self, body: Part | None, placed: dict[str, Any], values: Bundle) -> None:
        before = named_variables(self._body.model)
        own = before if body is None else named_variables(body.model)
        kept = {name: each for name, each in before.items() if name in own and name not in values}
        if body is None:
            own = {name: own[name] for name in values}
        else:
            values = {**read(kept), **values}
        write(own, values)
        self._describe(placed["topology"])
        self.placed = placed
        if body is not None:
            release(self.variables().values())
            self._serve(body)
        settle_statistics(self._body)
        self._body.freeze(frozenset(placed["body"]["frozen"]))

    def _compile_anew(self, settings: Settings, text: str) -> None:
        # The numerics are the whole process's. Whoever waited for a step with them would keep other
        # bodies from being compiled, and a label-free step waits for its client.
        with self._numerics.applied():
            self.segment.compile(settings)
        # Together with the optimizer that they update.
        self.traces.clear()
        self.settings_text = text


def _new_lineage() -> int:
    return secrets.randbits(63) | 1  # Never 0, which stands for none.
