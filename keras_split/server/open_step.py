"""A step that is being computed, as the conversation with its client sees it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_split.codec import Message
from keras_split.errors import ConnectionLost, ProtocolError
from keras_split.server.dialogue import Dialogue


class OpenStep:
    """One step between its request and its answer, which in label-free steps asks for gradients.

    Args:
        dialogue: With the thread that computes it.
        message: The client's request.
    """

    def __init__(self, dialogue: Dialogue, message: Message):
        self.outputs: list[np.ndarray] = []
        self.reply: list[np.ndarray] = []
        self._dialogue = dialogue
        self.signature = message.header.step.signature
        self._step = message.header.step.step

    def listen(self) -> bool:
        """Whether the step asks; if not, it has answered."""
        is_answer, tensors = self._dialogue.listen()
        if is_answer:
            self.reply = tensors
        else:
            self.outputs = tensors
        return not is_answer

    def give(self, message: Message, graded: Sequence[int]) -> None:
        """Gives the gradients that were asked for.

        Args:
            message: The client's.
            graded: Places of the outputs to which they belong.

        Raises:
            ProtocolError: They belong to another step, or do not fit the outputs.
        """
        if message.header.backward.step != self._step:
            raise ProtocolError("Gradients came for another step than the one that waits for them.")
        wanted = [(self.outputs[at].shape, self.outputs[at].dtype) for at in graded]
        if [(each.shape, each.dtype) for each in message.tensors] != wanted:
            raise ProtocolError("The gradients do not fit the outputs that they belong to.")
        self._dialogue.reply(message.tensors)

    def go_on(self) -> None:
        """The answer is on its way."""
        self._dialogue.go_on()

    def abandon(self) -> None:
        """Ends the step where it still asks; nothing of it is applied."""
        self._dialogue.reply(ConnectionLost("The client went away in the midst of a step."))
