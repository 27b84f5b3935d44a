"""Attacks by topology and by compile settings, each by name, as the text that a server would send.

Every case is the honest offer below with one change. Pure JSON: no Keras is needed to write an attack.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

Config = dict[str, Any]
Edit = Callable[[Config], None]


def serialised(module: str | None, kind: str, /, registered: str | None = None, **config: Any) -> Config:
    """An object as Keras writes it."""
    return {"module": module, "class_name": kind, "config": config, "registered_name": registered}


def tensor(name: str, node: int = 0, at: int = 0, shape: Any = (None, 8)) -> Config:
    """A tensor among the arguments of a call."""
    config = {"shape": list(shape), "dtype": "float32", "keras_history": [name, node, at]}
    return {"class_name": "__keras_tensor__", "config": config}


def call(*args: Any, **kwargs: Any) -> Config:
    """One entry of `inbound_nodes`."""
    return {"args": list(args), "kwargs": kwargs}


def layer(kind: str, name: str, source: Any = None, /, **options: Any) -> Config:
    """A layer of a functional model, called once on the layer that it names, or on given arguments."""
    entry = serialised("keras.layers", kind, name=name, **options)
    node = source if isinstance(source, dict) else call(tensor(source)) if source else None
    return {**entry, "name": name, "inbound_nodes": [node] if node else []}


def operation(
    kind: str, name: str, node: Config, module: str = "keras.src.ops.numpy", **options: Any
) -> Config:
    """An operation of Keras between layers."""
    entry = serialised(module, kind, kind, name=name, **options)
    return {**entry, "name": name, "inbound_nodes": [node]}


def image(*shape: int | None, name: str = "raw", dtype: str = "float32") -> Config:
    """An input of some shape."""
    return layer("InputLayer", name, batch_shape=[None, *shape], dtype=dtype)


def model(*layers: Config, outputs: Any = None, inputs: Any = None) -> Config:
    """A functional model; its output is the last layer's unless others are named."""
    named = [[each["name"], 0, 0] for each in layers if each["class_name"] == "InputLayer"]
    return serialised(
        "keras.src.models.functional",
        "Functional",
        "Functional",
        name="head",
        trainable=True,
        layers=list(layers),
        input_layers=inputs or named,
        output_layers=outputs or [layers[-1]["name"], 0, 0],
    )


def described(*shape: int | None) -> Config:
    """A tensor of the frontier."""
    return {"shape": [None, *shape], "dtype": "float32", "mask": None, "is_output": False}


def offered(head: Config, frontier: list[Config] | None = None) -> Config:
    """What a server sends: its topology, and its compile settings."""
    part = {
        "layer_ranks": {"dense": 1},
        "weight_ranks": {"dense/0:kernel": 0},
        "frozen": [],
        "lora_alphas": {},
    }
    topology = {
        "name": "net",
        "cut": ["out"],
        "second_cut": [],
        "head": {
            "model": head,
            "calls": [
                [at, number]
                for at, each in enumerate(head["config"]["layers"])
                for number in range(len(each["inbound_nodes"]))
            ],
            **part,
        },
        "tail": None,
        "frontier": frontier or [described(4)],
        "second_frontier": [],
        "kept": 0,
        "output_names": ["classes"],
    }
    settings = {
        "optimizer": serialised("keras.optimizers", "Adam", "Adam", learning_rate=0.001),
        "loss": "mse",
        "loss_weights": None,
        "metrics": ["accuracy"],
    }
    return {"topology": topology, "settings": settings}


def honest() -> Config:
    """An offer without any attack."""
    return offered(model(image(8), layer("Dense", "dense", "raw", units=4, activation="relu")))


def _frozen(name: str) -> Callable[[], Config]:
    return _hostile(lambda found: found["topology"]["head"].update(frozen=[name]))


def _hostile(edit: Edit) -> Callable[[], Config]:
    def made() -> Config:
        found = copy.deepcopy(honest())
        edit(found)
        return found

    return made


def _head(edit: Edit) -> Callable[[], Config]:
    return _hostile(lambda found: edit(found["topology"]["head"]["model"]))


def _dense(**options: Any) -> Callable[[], Config]:
    return _head(lambda head: head["config"]["layers"][1]["config"].update(options))


def _entry(**changes: Any) -> Callable[[], Config]:
    return _head(lambda head: head["config"]["layers"][1].update(changes))


def _around(**changes: Any) -> Callable[[], Config]:
    return _hostile(lambda found: found["topology"].update(changes))


def _settings(name: str, value: Any) -> Callable[[], Config]:
    return _hostile(lambda found: found["settings"].update({name: value}))


def _calls(calls: Any) -> Callable[[], Config]:
    return _hostile(lambda found: found["topology"]["head"].update(calls=calls))


def _layers_called(calls: Any) -> Callable[[], Config]:
    """Two layers, one behind the other, and the order in which they are to be called."""

    def made() -> Config:
        two = (layer("Dense", "dense", "raw", units=8), layer("Dense", "out", "dense", units=4))
        found = offered(model(image(8), *two))
        found["topology"]["head"].update(calls=calls)
        return found

    return made


def _layers(*layers: Config, outputs: Any = None, inputs: Any = None) -> Callable[[], Config]:
    return lambda: offered(model(*layers, outputs=outputs, inputs=inputs))


def _initializer(kind: str, **options: Any) -> Config:
    return serialised("keras.initializers", kind, **options)


def _metric(kind: str, **options: Any) -> Config:
    return serialised("keras.metrics", kind, **options)


def _deep(levels: int) -> Any:
    return json.loads("[" * levels + "]" * levels)


def _wrapped(levels: int) -> Config:
    inner = serialised("keras.layers", "Dense", name="inner", units=4)
    for at in range(levels):
        inner = serialised("keras.layers", "TimeDistributed", name=f"w{at}", layer=inner)
    return {**inner, "name": inner["config"]["name"], "inbound_nodes": [call(tensor("raw"))]}


def _timed(kind: str, **options: Any) -> Config:
    inner = serialised("keras.layers", kind, name="inner", **options)
    return layer("TimeDistributed", "out", "raw", layer=inner)


def _slice(start: int | None, stop: int | None) -> Config:
    return {"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": None}}


def _picked(name: str, source: str, *key: Any) -> Config:
    return operation("GetItem", name, call(tensor(source), list(key)))


def _pixel_by_pixel() -> Config:
    """Every pixel alone through one shared Dense layer, and all of them joined again."""
    pixels = [_picked(f"p{at}", "raw", _slice(None, None), _slice(at, at + 1)) for at in range(8)]
    shared = layer("Dense", "shared", units=1)
    shared["inbound_nodes"] = [call(tensor(each["name"])) for each in pixels]
    joined = layer("Concatenate", "out", call([tensor("shared", at) for at in range(8)]))
    return offered(model(image(8), *pixels, shared, joined))


def _bomb_of_calls() -> Config:
    """A small inner model of a thousand tensors, called a thousand times."""
    inner = model(
        image(1, name="x"),
        layer("Concatenate", "many", call([tensor("x")] * 1000)),
        _picked("one", "many", _slice(None, None), _slice(0, 1)),
    )
    inner["config"]["name"] = "inner"
    nodes = [call(tensor("raw"))] + [call(tensor("inner", at)) for at in range(1000)]
    last = {**inner, "name": "inner", "inbound_nodes": nodes}
    # Keras counts the calls of a nested model from 1 here.
    return offered(model(image(1), last, outputs=["inner", 1001, 0]))


def _silhouette(mask: str, *before: Config) -> Callable[[], Config]:
    """An LSTM that answers zero where a mask of the attacker's choice is."""
    lstm = layer(
        "LSTM",
        "out",
        call(tensor("hidden"), mask=tensor(mask)),
        units=4,
        return_sequences=True,
        zero_output_for_mask=True,
    )
    hidden = layer("LSTM", "hidden", "raw", units=4, return_sequences=True)
    return _layers(image(50, 1), hidden, *before, lstm)


def _masked_model() -> Config:
    inner = model(
        image(50, 4, name="x"),
        layer("LSTM", "inner", "x", units=4, return_sequences=True, zero_output_for_mask=True),
    )
    inner["config"]["name"] = "out"
    node = call(tensor("hidden"), mask=tensor("bits"))
    hidden = layer("LSTM", "hidden", "raw", units=4, return_sequences=True)
    last = {**inner, "name": "out", "inbound_nodes": [node]}
    return offered(model(image(50, 1), hidden, *_BITS, last, outputs=["out", 1, 0]))


_BITS = (
    operation("Greater", "above", call(tensor("raw"), 0.5)),
    operation("Squeeze", "bits", call(tensor("above")), axis=-1),
)
_LAMBDA = {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}}
_FUNCTION = {"module": "builtins", "class_name": "function", "config": "open", "registered_name": "function"}
_COND = operation("Cond", "out", call(tensor("raw")), "keras.src.ops.core")

# From the threats that were seen, each on Keras itself: these the validator was written against.
SEEN: dict[str, Callable[[], Config]] = {
    "a Dense of 2e8 units in 721 bytes": _dense(units=200_000_000),
    "a Constant initialiser": _dense(kernel_initializer=_initializer("Constant", value=0.5)),
    "an Identity initialiser": _dense(kernel_initializer=_initializer("Identity", gain=1.0)),
    "a Lambda with ops.cond": _entry(
        class_name="Lambda",
        config={
            "name": "dense",
            "function": {**_FUNCTION, "module": "keras.ops", "config": "cond"},
            "arguments": {"true_fn": _FUNCTION, "false_fn": _FUNCTION},
        },
    ),
    "an operation that branches": _layers(image(8), _COND),
    "an operation that sets global state": _layers(
        image(8),
        operation("set_floatx", "out", call("float64"), "keras.config"),
    ),
    "a function as an operation": _layers(
        image(8), {**layer("Dense", "out", "raw"), **_FUNCTION, "config": "enable_unsafe_deserialization"}
    ),
    "a TFSMLayer": _entry(class_name="TFSMLayer", config={"name": "dense", "filepath": "/tmp/model"}),
    "a TFSMLayer for an activation": _dense(
        activation=serialised("keras.layers", "TFSMLayer", filepath="/tmp/model")
    ),
    "a TFSMLayer as a function": _dense(
        activation={
            **_FUNCTION,
            "module": "keras.layers",
            "config": "TFSMLayer",
            "registered_name": "TFSMLayer",
        }
    ),
}

SIZES: dict[str, Callable[[], Config]] = {
    "a wide product": _dense(units=1 << 24),
    "a boolean for a size": _dense(units=True),
    "a float for a size": _dense(units=4.0),
    "a negative size": _dense(units=-4),
    "an integer of 64 bits": _dense(units=1 << 62),
    "an integer of 4,000 digits": _dense(units=10**4000),
    "not a number": _dense(kernel_regularizer=serialised("keras.regularizers", "L2", l2=float("nan"))),
    "infinity": _dense(kernel_regularizer=serialised("keras.regularizers", "L2", l2=float("inf"))),
    "a huge vocabulary": _layers(
        image(8, dtype="int32"), layer("Embedding", "out", "raw", input_dim=1 << 24, output_dim=1 << 10)
    ),
    "a huge image": _layers(image(1 << 20, 1 << 20, 3), layer("Flatten", "out", "raw")),
    "upsampling": _layers(image(9, 9, 1), layer("UpSampling2D", "out", "raw", size=[4096, 4096])),
    "padding": _layers(image(9, 9, 1), layer("ZeroPadding2D", "out", "raw", padding=[[0, 1 << 20]] * 2)),
    "repetition": _layers(image(4096), layer("RepeatVector", "out", "raw", n=1 << 23)),
    "a dilation wider than memory": _layers(
        image(28, 28, 1),
        layer(
            "Conv2D",
            "out",
            "raw",
            filters=1,
            kernel_size=[3, 3],
            dilation_rate=[99999, 99999],
            padding="same",
        ),
    ),
    "categories one by one": _layers(
        image(1 << 20, dtype="int32"),
        layer("CategoryEncoding", "out", "raw", num_tokens=1 << 20, output_mode="multi_hot"),
    ),
    "a strip padded to a square": _layers(
        image(4096, 1, 3),
        layer("Resizing", "out", "raw", height=1, width=4096, pad_to_aspect_ratio=True),
        layer("Resizing", "again", "out", height=1 << 14, width=1, pad_to_aspect_ratio=True),
    ),
    "dropout of another shape": _layers(
        image(8), layer("Dropout", "out", "raw", rate=0.5, noise_shape=[1 << 24, 1 << 24])
    ),
    "a scale that enlarges": _layers(
        image(1, 1, 1),
        layer("Rescaling", "one", "raw", scale=[[[1.0]] * 4096]),
        layer("Dense", "out", "one", units=4),
    ),
    "a ragged array": _layers(image(8), layer("Rescaling", "out", "raw", scale=[[1.0], [1.0, 2.0]])),
    "statistics of another size": _layers(
        image(8), layer("Normalization", "out", "raw", axis=[-1], mean=[0.0] * 4096, variance=[1.0] * 4096)
    ),
    "a mask that enlarges": _layers(
        image(1, 4096),
        image(4096, 4, name="other"),
        layer("Dense", "column", "other", units=1),
        layer("Softmax", "out", call(tensor("raw"), mask=tensor("column"))),
    ),
    "a transposed batch": _layers(image(8), operation("Transpose", "out", call(tensor("raw")), axes=[1, 0])),
    "a batch against itself": _layers(
        image(1),
        operation("ExpandDims", "wide", call(tensor("raw")), axis=1),
        operation("Add", "out", call(tensor("raw"), tensor("wide"))),
    ),
    "a batch inside": _layers(image(8), operation("ExpandDims", "out", call(tensor("raw")), axis=0)),
    "a batch in one": _layers(image(8), operation("Sum", "out", call(tensor("raw")), axis=None)),
    "a batch reshaped away": _layers(
        image(8), operation("Reshape", "out", call(tensor("raw")), newshape=[8, -1])
    ),
    "a sample of the batch": _layers(image(8), _picked("out", "raw", 0)),
    "a rank without end": _layers(
        image(8),
        *(
            operation("ExpandDims", f"d{at}", call(tensor(f"d{at - 1}" if at else "raw")), axis=1)
            for at in range(40)
        ),
    ),
    "time steps without end": _layers(image(1 << 20, 8), _timed("Dense", units=2)),
    "calls without end": _bomb_of_calls,
    "a pattern that never ends": _layers(
        image(8), layer("EinsumDense", "out", "raw", equation="a" * 5000 + ",b->c", output_shape=[4])
    ),
}

TEXT: dict[str, Callable[[], Config]] = {
    "deep JSON": _dense(units=_deep(150)),
    "a list of half a million": _dense(units=[0] * 500_000),
    "empty dicts without end": _dense(units=[{}] * 150_000),
    "one-item dicts without end": _dense(units=[{"a": 0}] * 120_000),
    "a text of four million": _dense(activation="a" * (1 << 22)),
    "a class name of three million": _entry(class_name="D" * 3_000_000),
    "a key of three million": _dense(**{"k" * 3_000_000: 1}),
    "many keys": _dense(**{f"k{at}": at for at in range(60_000)}),
    "a name with a path": _dense(name="../../etc/passwd"),
    "a name with an escape": _dense(name="\x1b[2J\x1b]0;owned\x07"),
    "a name that runs backwards": _dense(name="\u202eesned"),
    "a name of half a character": _dense(name="\ud800"),
    "an empty name": _dense(name=""),
    "a model's name with an escape": _around(name="\x1b[31mnet"),
    "a cut with an escape": _around(cut=["\x1b[31mout"]),
    "an output's name with a new line": _around(output_names=["a\nb"]),
}

CODE: dict[str, Callable[[], Config]] = {
    "another module": _entry(module="os"),
    "a module inside Keras": _entry(module="keras.src.layers.core.dense"),
    "no module": _entry(module=None),
    "a module that is a list": _entry(module=["keras.layers"]),
    "a registered name": _entry(registered_name="mine>Dense"),
    "a registered name that is a list": _entry(registered_name=["mine>Dense"]),
    "a named class under another": _entry(
        module=None,
        class_name="__numpy__",
        registered_name="mine>Own",
        config={"name": "dense", "value": [1], "dtype": "int8"},
    ),
    "a named class as a function": _entry(
        module="os", class_name="function", registered_name="mine>Own", config={"name": "dense"}
    ),
    "a named class as a lambda": _entry(
        module=None,
        class_name="__lambda__",
        registered_name="mine>Own",
        config={"name": "dense", "value": "4w=="},
    ),
    "a registered class that was not named": _entry(
        module=None, class_name="Other", registered_name="mine>Other", config={"name": "dense"}
    ),
    "a function among a named class's options": _layers(
        image(8),
        {**layer("Own", "out", "raw", rule=_FUNCTION), "module": None, "registered_name": "mine>Own"},
    ),
    "known weights of a named class": _layers(
        image(8),
        {
            **layer("Own", "out", "raw", weights_initializer=_initializer("Ones")),
            "module": None,
            "registered_name": "mine>Own",
        },
    ),
    "a typespec": _entry(class_name="__typespec__", config={"name": "dense"}),
    "a shared object": _entry(shared_object_id=1),
    "a lambda for an activation": _dense(activation=_LAMBDA),
    "a function for an activation": _dense(activation=_FUNCTION),
    "an activation by a registered name": _dense(activation="mine>act"),
    "a lambda for an initialiser": _dense(kernel_initializer=_LAMBDA),
    "a lambda for a regulariser": _dense(kernel_regularizer=_LAMBDA),
    "a text for a regulariser": _dense(kernel_regularizer="l2" * 10_000),
    "a text for a constraint": _dense(kernel_constraint="mine>keep"),
    "a lambda for a constraint": _dense(kernel_constraint=_LAMBDA),
    "a dtype policy of another module": _dense(dtype=serialised("os", "DTypePolicy", name="float32")),
    "a quantised policy": _dense(dtype=serialised("keras", "QuantizedDTypePolicy", mode="int8")),
    "a dtype by name": _dense(dtype="string"),
    "a seed generator for a seed": _dense(
        kernel_initializer=_initializer("Constant", value=serialised("keras.random", "SeedGenerator", seed=1))
    ),
    "a seed generator as a layer": _entry(
        module="keras.random", class_name="SeedGenerator", config={"name": "dense", "seed": 1}
    ),
    "an operation in a wrapper": _layers(
        image(5, 8),
        layer(
            "TimeDistributed",
            "out",
            "raw",
            layer=serialised("keras.src.ops.numpy", "Tanh", "Tanh", name="inner"),
        ),
    ),
    "an input in a wrapper": _layers(
        image(5, 8), _timed("InputLayer", batch_shape=[None, 8], dtype="float32")
    ),
    "attention in a wrapper": _layers(image(5, 5, 8), _timed("MultiHeadAttention", num_heads=1, key_dim=2)),
    "wrappers without end": lambda: offered(model(image(5, 5, 5, 5, 8), _wrapped(40))),
    "a wrapper of a model that reads files": _layers(image(5, 8), _timed("TFSMLayer", filepath="/tmp/model")),
    "a vocabulary from a file": _entry(
        class_name="StringLookup", config={"name": "dense", "vocabulary": "/etc/passwd"}
    ),
    "a text vectorisation from a file": _entry(
        class_name="TextVectorization", config={"name": "dense", "vocabulary": "/etc/passwd"}
    ),
    "lora": _dense(lora_rank=4),
    "a stateful layer": _layers(image(5, 8), layer("LSTM", "out", "raw", units=4, stateful=True)),
    "a graph as long as its sequence": _layers(
        image(9999, 8), layer("LSTM", "out", "raw", units=4, unroll=True)
    ),
}

GRAPHS: dict[str, Callable[[], Config]] = {
    "a cycle": _layers(image(8), layer("Dense", "a", "b", units=8), layer("Dense", "b", "a", units=4)),
    "a layer that reads itself": _layers(image(8), layer("Dense", "out", "out", units=4)),
    "a call that is never made": _layers(image(8), layer("Dense", "out", call(tensor("raw", 3)), units=4)),
    "two layers of one name": _layers(image(8), *(layer("Dense", "out", "raw", units=4) for _ in "ab")),
    "a name and another one in the config": _entry(name="other"),
    "an inner tensor for an input": _layers(
        image(8),
        layer("Dense", "dense", "raw", units=8),
        operation("Split", "halves", call(tensor("dense")), indices_or_sections=2, axis=-1),
        outputs=["halves", 0, 1],
        inputs=[["raw", 0, 0], ["halves", 0, 1]],
    ),
    "an input twice": _layers(image(8), layer("Dense", "out", "raw", units=4), inputs=[["raw", 0, 0]] * 2),
    "a fixed batch": _layers(
        layer("InputLayer", "raw", batch_shape=[4, 8], dtype="float32"), layer("Dense", "out", "raw", units=4)
    ),
    "a model without layers": _head(lambda head: head["config"].update(layers=[])),
    "a single layer": _hostile(
        lambda found: found["topology"]["head"].update(model=serialised("keras.layers", "Dense", units=4))
    ),
    "a call without tensors": _layers(image(8), layer("Dense", "out", call(1.0), units=4)),
    "a tensor of values": _layers(
        image(8), layer("Dense", "out", call({"class_name": "__tensor__", "config": {"value": [1]}}), units=4)
    ),
    "a frontier that the head does not make": _around(frontier=[described(5)]),
    "a frontier of more tensors": _around(frontier=[described(4)] * 2),
    "a mask outside the frontier": _around(frontier=[{**described(4), "mask": 7}]),
    "a mask before the frontier": _around(frontier=[{**described(4), "mask": -1}]),
    "kept tensors that are not there": _around(kept=3),
    "fewer than no kept tensors": _around(kept=-3),
    "a kept tensor that is true": _around(kept=True),
    "a second cut without a tail": _around(second_cut=["late"]),
    "ranks that are text": _hostile(
        lambda found: found["topology"]["head"].update(layer_ranks={"dense": "1"})
    ),
    "a call that is left out": _calls([]),
    "a call of a layer that is not there": _calls([[2, 0]]),
    "a call twice": _calls([[1, 0], [1, 0]]),
    "calls without numbers": _calls([[1]]),
    "a call in front of what it reads": _layers_called([[2, 0], [1, 0]]),
    "frozen weights that are text": _hostile(lambda found: found["topology"]["head"].update(frozen="all")),
    "frozen weights that are not there": _frozen("dense/2:gamma"),
    "a factor for what has none": _hostile(
        lambda found: found["topology"]["head"].update(lora_alphas={"dense": 1e9})
    ),
    "an unknown key around the parts": _around(run_eagerly=True),
    "no head": _hostile(lambda found: found["topology"].pop("head")),
}

LEAKS: dict[str, Callable[[], Config]] = {
    "the input itself": _layers(image(8), layer("Dense", "dense", "raw", units=4), outputs=["raw", 0, 0]),
    "an identity layer": _layers(image(8), layer("Identity", "out", "raw")),
    "a permutation": _layers(image(4, 8), layer("Permute", "out", "raw", dims=[2, 1])),
    "a reversal": _layers(image(8), operation("Flip", "out", call(tensor("raw")), axis=-1)),
    "normalisation alone": _layers(image(8), layer("BatchNormalization", "out", "raw")),
    "a frozen layer": _dense(trainable=False),
    "a layer that is frozen besides": _frozen("dense"),
    "a frozen weight": _frozen("dense/0:kernel"),
    "a frozen model": _head(lambda head: head["config"].update(trainable=False)),
    "a skip around the layer": _layers(
        image(8),
        layer("Dense", "dense", "raw", units=8),
        layer("Add", "out", call([tensor("raw"), tensor("dense")])),
    ),
    "one channel": _layers(image(28, 28, 1), layer("Dense", "out", "raw", units=4)),
    "one step at a time": _layers(image(784, 1), _timed("Dense", units=1)),
    "pixel by pixel": _pixel_by_pixel,
    "two copies of a channel": _layers(
        image(28, 28, 1),
        layer("Concatenate", "twice", call([tensor("raw"), tensor("raw")])),
        layer("Conv2D", "out", "twice", filters=1, kernel_size=[1, 1]),
    ),
    "zeros beside a channel": _layers(
        image(28, 28, 1),
        operation("ZerosLike", "zeros", call(tensor("raw"))),
        layer("Concatenate", "twice", call([tensor("raw"), tensor("zeros")])),
        layer("Dense", "out", "twice", units=4),
    ),
    "each pixel four times": _layers(
        image(28, 28, 1),
        layer("UpSampling2D", "large", "raw", size=[2, 2]),
        layer("Conv2D", "out", "large", filters=1, kernel_size=[2, 2], strides=[2, 2]),
    ),
    "a separable layer of one channel": _layers(
        image(28, 28, 1),
        layer("SeparableConv2D", "out", "raw", filters=4, kernel_size=[1, 1], depth_multiplier=8),
    ),
    "a dilation past the border": _layers(
        image(28, 28, 1),
        layer("Conv2D", "out", "raw", filters=1, kernel_size=[3, 3], dilation_rate=[28, 28], padding="same"),
    ),
    "a window of one": _layers(
        image(50, 1),
        layer(
            "MultiHeadAttention",
            "out",
            call(tensor("raw"), tensor("raw")),
            num_heads=1,
            key_dim=1,
            sliding_window=1,
        ),
    ),
    "attention over one place": _layers(
        image(784, 1, 1),
        layer(
            "MultiHeadAttention",
            "out",
            call(tensor("raw"), tensor("raw")),
            num_heads=1,
            key_dim=1,
            attention_axes=[2],
        ),
    ),
    "a recurrence of one step": _layers(image(784, 1, 1), _timed("SimpleRNN", units=1)),
    "a recurrence that forgets": _layers(
        image(50, 1),
        layer("SimpleRNN", "out", "raw", units=1, return_sequences=True, recurrent_dropout=1.0),
    ),
    "a convolutional recurrence of one pixel": _layers(
        image(1, 28, 28, 1), layer("ConvLSTM2D", "out", "raw", filters=1, kernel_size=[1, 1])
    ),
    "an image through an embedding": _layers(
        image(28, 28, 1, dtype="uint8"), layer("Embedding", "out", "raw", input_dim=256, output_dim=1)
    ),
    "numbers through an embedding": _layers(
        image(28, 28), layer("Embedding", "out", "raw", input_dim=256, output_dim=1)
    ),
    "bits by a mask": _silhouette("bits", *_BITS),
    "bits by a model's mask": _masked_model,
    "bits by a mask of attention": _layers(
        image(50, 8),
        operation("Matmul", "pairs", call(tensor("raw"), tensor("turned"))),
        operation("Transpose", "turned", call(tensor("raw")), axes=[0, 2, 1]),
        operation("Greater", "above", call(tensor("pairs"), 0.5)),
        layer(
            "MultiHeadAttention",
            "out",
            call(tensor("raw"), tensor("raw"), attention_mask=tensor("above")),
            num_heads=1,
            key_dim=4,
        ),
    ),
    "a silhouette by Masking": _layers(
        image(28, 28, 1),
        layer("Reshape", "flat", "raw", target_shape=[784, 1]),
        layer("Masking", "masked", "flat", mask_value=0.0),
        layer("LSTM", "out", "masked", units=4, return_sequences=True, zero_output_for_mask=True),
    ),
    "a silhouette by comparison": _layers(
        image(28, 28, 1),
        operation("NotEqual", "bits", call(tensor("raw"), 0.0)),
        operation("Any", "out", call(tensor("bits")), axis=-1),
    ),
    "a value by each of two maskings": _layers(
        image(50, 1),
        layer("Masking", "one", "raw", mask_value=0.0),
        layer("Masking", "other", "raw", mask_value=1.0),
        *(
            layer("LSTM", f"{each}s", each, units=4, return_sequences=True, zero_output_for_mask=True)
            for each in ("one", "other")
        ),
        outputs=[["ones", 0, 0], ["others", 0, 0]],
    ),
    "a word by its mask": _layers(
        image(50, dtype="int32"),
        operation("Subtract", "moved", call(tensor("raw"), 7)),
        layer("Embedding", "words", "moved", input_dim=9, output_dim=4, mask_zero=True),
        layer("LSTM", "out", "words", units=4, return_sequences=True, zero_output_for_mask=True),
    ),
    "raw data for a state": _layers(
        image(4),
        layer("Dense", "dense", "raw", units=4),
        layer("Reshape", "step", "dense", target_shape=[1, 4]),
        layer("GRU", "out", call(tensor("step"), initial_state=tensor("raw")), units=4),
    ),
}

SETTINGS: dict[str, Callable[[], Config]] = {
    "a loss that is registered here": _settings("loss", "mine>loss"),
    "a metric that is registered here": _settings("metrics", ["mine>metric"]),
    "a loss that is a lambda": _settings("loss", _LAMBDA),
    "a function for a metric": _settings("metrics", [_FUNCTION]),
    "an optimizer of another module": _settings("optimizer", serialised("os", "Adam")),
    "an optimizer under a registered name": _settings(
        "optimizer", serialised("keras.optimizers", "Adam", "mine>A")
    ),
    "an optimizer that is built": _settings(
        "optimizer", {**serialised("keras.optimizers", "Adam"), "build_config": {"input_shape": [1 << 40]}}
    ),
    "a loss that is compiled": _settings(
        "loss", {**serialised("keras.losses", "Huber"), "compile_config": {"optimizer": "sgd"}}
    ),
    "a layer for a loss": _settings("loss", serialised("keras.layers", "Dense", units=1 << 30)),
    "an AUC of 1e9 thresholds": _settings("metrics", [_metric("AUC", num_thresholds=1_000_000_000)]),
    "an AUC of many labels": _settings("metrics", [_metric("AUC", num_labels=1 << 30, multi_label=True)]),
    "a recall of 1e8 thresholds": _settings(
        "metrics", [_metric("RecallAtPrecision", precision=0.5, num_thresholds=100_000_000)]
    ),
    "a MeanIoU of 1e6 classes": _settings("metrics", [_metric("MeanIoU", num_classes=1_000_000)]),
    "a pattern that never ends in Muon": _settings(
        "optimizer", serialised("keras.optimizers", "Muon", exclude_layers=["(a+)+$"])
    ),
    "steps without end in Muon": _settings(
        "optimizer", serialised("keras.optimizers", "Muon", ns_steps=10**8)
    ),
    "a rate of infinity": _settings(
        "optimizer", serialised("keras.optimizers", "SGD", learning_rate=float("inf"))
    ),
    "a rate of 400 digits": _settings(
        "optimizer", serialised("keras.optimizers", "SGD", learning_rate=10**400)
    ),
    "weights of 400 digits": _settings("loss_weights", 10**400),
    "metrics without end": _settings("metrics", {f"m{at}": "mse" for at in range(5000)}),
    "deep metrics": _settings("metrics", _deep(60)),
    "a name with an escape in an option": _settings(
        "optimizer", serialised("keras.optimizers", "SGD", name="\x1b[2J")
    ),
    "an option with an escape": _settings(
        "optimizer", serialised("keras.optimizers", "SGD", **{"\x1b[2J": []})
    ),
    "another setting": _settings("run_eagerly", True),
}

CASES: dict[str, Callable[[], Config]] = {
    **SEEN,
    **SIZES,
    **TEXT,
    **CODE,
    **GRAPHS,
    **LEAKS,
    **{f"settings: {name}": made for name, made in SETTINGS.items()},
}
