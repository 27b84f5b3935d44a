"""What Keras' checkpoints and callbacks read and write, for both halves at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_split.model.layers import ClientLayers


class Persistent(ClientLayers):
    """Weights, files of weights, and the ticket in them for the server's half.

    EarlyStopping, ModelCheckpoint and BackupAndRestore know nothing of a server; they call these.
    """

    def get_weights(self) -> list[np.ndarray]:
        """The client's weights, of head and tail, and a ticket for the server's, which are kept under it."""
        return [*super().get_weights(), self._halves.take_ticket()]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Restores both halves from `get_weights()`; optimizers stay as they are, as in Keras.

        Raises:
            ValueError: The ticket is missing: half of a model was given.
            Refused: The server does not hold the snapshot any more, or the model is in a run.
        """
        self._halves.check_own()
        self._halves.check_ticket(weights, len(self.weights))
        super().set_weights(weights[:-1])
        self._halves.use_ticket(weights[-1], weights_only=True)
        self._halves.catch_up()

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """As `keras.Model.load_weights`, for both halves.

        Raises:
            ValueError: A file that holds no ticket.
            Refused: The model is in a run of several data owners.
            SplitError: The server could not follow. The client's half has moved, and waits for it.
        """
        self._halves.check_own()
        if not str(filepath).endswith((".weights.h5", ".weights.json", ".keras")):
            # Keras would fill the client's layers from it and ask nobody about the server's.
            raise ValueError(
                "A SplitModel loads what it has saved: `.weights.h5`, `.weights.json` or `.keras`, with a "
                "ticket for the server's half. Load another file into the whole model, and split that. "
                f"Received: filepath={str(filepath)!r}."
            )
        super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)
        self._halves.catch_up()

    def export(self, *args: Any, **kwargs: Any) -> None:
        """Refused: a SavedModel cannot call a server."""
        del args, kwargs
        raise ValueError(
            "A SplitModel cannot be exported, since half of it is a remote call. Use `save`, and "
            "`connect` after loading; or `whole_model()` with a private server."
        )

    def save_own_variables(self, store: Any) -> None:
        """Adds the server's ticket and the seeds, which Keras leaves out, to a file of weights."""
        self._build_optimizer()
        store["ticket"] = self._halves.take_ticket()
        for name, value in self._halves.seeds().items():
            store[name] = np.asarray(value)

    def load_own_variables(self, store: Any) -> None:
        """Takes both halves to where they were when the file was written."""
        self._build_optimizer()
        if "ticket" not in store:
            raise ValueError(
                "The file holds no ticket for the server's half, so it was not saved by a SplitModel. "
                "Load it into the whole model, and split that."
            )
        for name, variable in self._halves.seeds().items():
            variable.assign(np.asarray(store[name]))
        self._halves.use_ticket(np.asarray(store["ticket"]), weights_only=False)

    def _build_optimizer(self) -> None:
        # Keras builds one at the first fit, and skips what a file holds for an unbuilt one; the server's
        # is always built and restored, and the two would go on from different updates.
        if self.compiled and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
