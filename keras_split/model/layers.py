"""What Keras and its callbacks look up on a model: layers by their names, inputs, outputs, shapes."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import keras
from keras import tree

from keras_split.model.halves import Halves


class ClientLayers(keras.Model):
    """Shows the client's layers as the model's own, and says which are the server's."""

    head: keras.Model
    # In a function, or Keras would take a nest for one of its own.
    _symbolic: Callable[[], Any] | None = None
    tail: keras.Model | None
    decoder: keras.Model | None
    _halves: Halves

    @property
    def layers(self) -> list[Any]:
        """The client's layers, in the model's order: of the head, of the tail, and the decoder."""
        found = list(self.head.layers)
        if self._halves.hides_inputs:
            found = [each for each in found if not isinstance(each, keras.layers.InputLayer)]
        if self.tail is not None:
            # Its inputs stand for tensors of the other parts.
            found += [each for each in self.tail.layers if not isinstance(each, keras.layers.InputLayer)]
        return found if self.decoder is None else [*found, self.decoder]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """As `keras.Model.get_layer`, of the client's layers.

        Raises:
            ValueError: No such layer, or one that the server holds.
        """
        if name is not None and index is None and all(name != each.name for each in self.layers):
            theirs = self._halves.server_layers()
            if name in theirs:
                raise ValueError(
                    f"The layer {name!r} is on the server, which holds {', '.join(map(repr, theirs))}. "
                    "With a private server `whole_model().get_layer(...)` shows it as it has been trained. "
                    f"Received: name={name!r}."
                )
        return super().get_layer(name, index)

    @property
    def inputs(self) -> list[Any]:
        """Symbolic, the whole model's: `keras.Model(split.inputs, split.get_layer(...).output)` works."""
        return list(self.head.inputs)

    @property
    def input(self) -> Any:
        """Likewise, nested as the model takes them."""
        return self.head.input

    @property
    def outputs(self) -> list[Any]:
        """Symbolic, the whole model's, for which a layer asks the server on the way from `inputs`.

        With a second cut the way begins behind the server, at the inputs of `tail`.

        Raises:
            ConnectionLost: The server, whose outputs they are, is not connected.
        """
        return tree.flatten(self.output)

    @property
    def output(self) -> Any:
        """Likewise, nested as the model returns them."""
        if self.tail is not None:
            return self.tail.output
        if self._symbolic is None:
            # Layers of the model that was given will know this one, and must not keep the split model alive.
            infer = weakref.WeakMethod(self._refusing_gradients)
            ask = AsksServer(infer, self._halves.outputs(), f"{self.name}_server")
            found = ask([self.head.outputs, self.inputs])
            self._symbolic = lambda: found
        return self._symbolic()

    def _refusing_gradients(self, smashed: list[Any], inputs: Any) -> Any:
        raise NotImplementedError

    @property
    def input_shape(self) -> Any:
        """The inputs' shape, or shapes."""
        return _shapes(self.inputs)

    @property
    def output_shape(self) -> Any:
        """The outputs' shape, or shapes."""
        return _shapes(self.outputs)

    def __repr__(self) -> str:
        halves = self._halves
        cuts = "".join(
            f", {name}={_shown(halves.topology[name])}"
            for name in ("cut", "second_cut")
            if halves.topology[name]
        )
        return f"<SplitModel name={self.name!r}{cuts}, server={halves.server!r}>"


class AsksServer(keras.layers.Layer):
    """Stands for all of the server's layers where Keras follows a graph, to draw it or to take a part of it.

    Args:
        infer: Weak reference to what goes from frontier tensors and the model's inputs to the outputs.
        outputs: Nested symbolic tensors like these.
        name: Of the layer.
    """

    def __init__(self, infer: Callable[[], Callable[[list[Any], Any], Any] | None], outputs: Any, name: str):
        super().__init__(name=name, autocast=False)
        self.supports_masking = True
        self._infer = infer
        self._outputs_like = lambda: tree.map_structure(
            lambda each: keras.KerasTensor(each.shape, each.dtype), outputs
        )
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Inference."""
        del training
        smashed, given = inputs
        infer = self._infer()
        if infer is None:
            raise ValueError(f"The SplitModel that {self.name!r} asks for is gone; keep it.")
        return infer(list(smashed), given)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        """What it would return."""
        del inputs, training
        return self._outputs_like()

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None; masks are among the frontier tensors."""

    def get_config(self) -> dict[str, Any]:
        """Refused: a file cannot call a server."""
        raise ValueError(
            "A model made of a SplitModel's outputs cannot be saved, since part is a remote call. Save the "
            f"SplitModel itself. Received: layer {self.name!r}."
        )


def _shapes(tensors: list[Any]) -> Any:
    shapes = [tensor.shape for tensor in tensors]
    return shapes[0] if len(shapes) == 1 else shapes


def _shown(names: list[str]) -> str:
    return repr(names[0] if len(names) == 1 else names)
