"""A step that is being computed, as the conversation with its client sees it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_split.codec import Message
from keras_split.errors import ConnectionLost, ProtocolError
from keras_split.segment import MEASURES, Output
from keras_split.server.dialogue import Dialogue

# What a step says in its midst, and which request must follow.
ANSWERS = {"forwarded": "backward", "measured": "settle"}


class OpenStep:
    """One step between its request and its answer.

    A label-free one asks for gradients, and one whose optimizer looks at all gradients for what the client
    has measured of its own.

    Args:
        dialogue: With the thread that computes it.
        message: The client's request.
    """

    def __init__(self, dialogue: Dialogue, message: Message):
        self.question = ""
        self.said: list[np.ndarray] = []
        self.reply: list[np.ndarray] = []
        self._dialogue = dialogue
        self.signature = message.header.step.signature
        self._step = message.header.step.step

    @property
    def awaited(self) -> str:
        """The only request that has a place here."""
        return ANSWERS[self.question]

    def listen(self) -> bool:
        """Whether the step asks; if not, it has answered."""
        is_answer, heard = self._dialogue.listen()
        if is_answer:
            self.reply = heard
        else:
            self.question, self.said = heard
        return not is_answer

    def give(self, message: Message, outputs: Sequence[Output], graded: Sequence[int]) -> None:
        """Gives what was asked for.

        Args:
            message: The client's.
            outputs: Of the step's signature.
            graded: Places of the outputs whose gradients are asked for.

        Raises:
            ProtocolError: It belongs to another step, or does not fit what was said.
        """
        if getattr(message.header, self.awaited).step != self._step:
            raise ProtocolError("Gradients came for another step than the one that waits for them.")
        if self.question == "forwarded":
            self._check_gradients(message.tensors, graded)
        else:
            _check_measures(message.tensors, [each.role for each in outputs if each.role in MEASURES])
        self._dialogue.reply(message.tensors)

    def go_on(self) -> None:
        """The answer is on its way."""
        self._dialogue.go_on()

    def abandon(self) -> None:
        """Ends the step where it still asks; nothing of it is applied."""
        self._dialogue.reply(ConnectionLost("The client went away in the midst of a step."))

    def _check_gradients(self, tensors: Sequence[np.ndarray], graded: Sequence[int]) -> None:
        wanted = [(self.said[at].shape, self.said[at].dtype) for at in graded]
        if [(each.shape, each.dtype) for each in tensors] != wanted:
            raise ProtocolError("The gradients do not fit the outputs that they belong to.")


def _check_measures(tensors: Sequence[np.ndarray], roles: Sequence[str]) -> None:
    found = dict(zip(roles, tensors, strict=False))
    fits = len(tensors) == len(roles) and all(
        each.dtype.name == MEASURES[role] and each.ndim == (role != "finite") for role, each in found.items()
    )
    # As many as there are variables with a gradient, which the client alone knows.
    if not fits or len({len(each) for each in found.values() if each.ndim}) > 1:
        raise ProtocolError(
            f"A client has to send {', '.join(roles)} of its gradients, as many norms as places. "
            f"Received: {len(tensors)} tensors."
        )
