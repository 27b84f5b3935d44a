"""A topology from a server is either refused, or rebuilt as what it says."""

from __future__ import annotations

import ast
import contextlib
import copy
import functools
import json
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import pytest
from keras import layers as klayers
from keras import ops

import keras_split.topology as room
from keras_split.errors import TopologyError
from keras_split.topology import Topology, TopologyLimits, validate

Config = dict[str, Any]


def serialised(model: keras.Model) -> Config:
    return json.loads(json.dumps(keras.saving.serialize_keras_object(model)))


def digits_head() -> keras.Model:
    inputs = keras.Input((28, 28, 1), name="image")
    x = klayers.Conv2D(6, 5, padding="same", activation="tanh", name="conv1")(inputs)
    x = klayers.AveragePooling2D(2, name="pool1")(x)
    x = klayers.Conv2D(16, 5, activation="tanh", kernel_regularizer="l2", name="conv2")(x)
    x = klayers.AveragePooling2D(2, name="pool2")(x)
    x = klayers.Flatten(name="flatten")(x)
    x = klayers.Dense(120, kernel_initializer=keras.initializers.HeNormal(7), name="dense")(x)
    return keras.Model(inputs, klayers.Dropout(0.5, seed=3, name="dropout")(x), name="lenet")


@functools.cache
def residual_head() -> keras.Model:
    resnet = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(64, 64, 3))
    frontier = [
        resnet.get_layer("conv3_block2_2_relu").output,
        resnet.get_layer("conv3_block1_out").output,
    ]
    return keras.Model(resnet.input, frontier)


def text_head() -> keras.Model:
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    embedded = klayers.Embedding(500, 16, mask_zero=True, name="embedding")(tokens)
    x = klayers.Bidirectional(klayers.LSTM(8, return_sequences=True), name="both")(embedded)
    x = klayers.TimeDistributed(klayers.Dense(5), name="steps")(x)
    return keras.Model(tokens, [x, x._keras_mask])


def u_net_encoder() -> keras.Model:
    inputs = keras.Input((32, 32, 3))
    x, skips = inputs, []
    for filters in (8, 16):
        for _ in range(2):
            x = klayers.Conv2D(filters, 3, padding="same")(x)
            x = klayers.BatchNormalization()(x)
            x = klayers.ReLU()(x)
        skips.append(x)
        x = klayers.MaxPooling2D(2)(x)
    x = klayers.Conv2DTranspose(8, 2, strides=2)(x)
    x = klayers.Concatenate()([x, skips[-1]])
    return keras.Model(inputs, {"bottom": x, "skip": skips[0]})


def tabular_head() -> keras.Model:
    age = keras.Input((1,), name="age")
    city = keras.Input((1,), dtype="int32", name="city")
    labs = keras.Input((12,), name="labs")
    x = klayers.Flatten()(klayers.Embedding(40, 4)(city))
    scaled = klayers.Normalization(mean=40.0, variance=100.0)(age)
    parts = [klayers.Dense(4)(scaled), x, klayers.Dense(8, activation="relu")(labs)]
    joined = klayers.Concatenate()(parts)
    return keras.Model({"age": age, "city": city, "labs": labs}, klayers.LayerNormalization()(joined))


def nested_head() -> keras.Model:
    encoder = keras.Sequential(
        [keras.Input((8,)), klayers.Dense(6, name="a"), klayers.Dropout(0.1)], name="encoder"
    )
    left, right = keras.Input((8,), name="left"), keras.Input((8,), name="right")
    pair = keras.Model(
        [left, right], [klayers.Add()([encoder(left), encoder(right)]), encoder(left)], name="pair"
    )
    inputs = keras.Input((8,), name="inputs")
    shared = klayers.Dense(8, name="shared")
    first, second = pair([shared(inputs), shared(shared(inputs))])
    return keras.Model(inputs, first * 2.0 + ops.relu(second[:, :6]), name="whole")


def video_head() -> keras.Model:
    frames = keras.Input((4, 16, 16, 3))
    image = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            klayers.Rescaling(1 / 255),
            klayers.RandomFlip(seed=5),
            klayers.SeparableConv2D(4, 3),
            klayers.GlobalAveragePooling2D(),
        ]
    )
    x = klayers.TimeDistributed(image)(frames)
    x = klayers.MultiHeadAttention(2, 4)(x, x)
    x = klayers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d")(x)
    return keras.Model(frames, x)


HONEST = [
    digits_head,
    residual_head,
    text_head,
    u_net_encoder,
    tabular_head,
    nested_head,
    video_head,
]


@pytest.mark.parametrize("make", HONEST, ids=lambda make: make.__name__)
def test_an_honest_head_is_rebuilt_with_the_same_variables(make: Callable[[], keras.Model]):
    model = make()
    topology = validate(serialised(model))
    rebuilt = keras.saving.deserialize_keras_object(topology.config)
    assert [(w.path, w.shape, w.dtype) for w in rebuilt.weights] == [
        (w.path, w.shape, w.dtype) for w in model.weights
    ]
    assert topology.parameters == model.count_params()
    assert [t.shape for t in rebuilt.outputs] == [t.shape for t in model.outputs]
    assert keras.tree.flatten(rebuilt.input_shape) == keras.tree.flatten(model.input_shape)


@pytest.mark.parametrize("make", HONEST, ids=lambda make: make.__name__)
def test_the_digest_survives_a_round_trip(make: Callable[[], keras.Model]):
    topology = validate(serialised(make()))
    rebuilt = keras.saving.deserialize_keras_object(topology.config)
    assert validate(keras.saving.serialize_keras_object(rebuilt)).digest == topology.digest
    assert validate(topology.config).digest == topology.digest


def test_what_keras_returns_before_json_is_accepted_too():
    config = keras.saving.serialize_keras_object(digits_head())
    assert validate(config).digest == validate(json.loads(json.dumps(config))).digest


def test_seeds_compile_settings_and_built_shapes_are_dropped():
    model = digits_head()
    model.compile(keras.optimizers.Adam(123.0), "mse")
    text = validate(serialised(model)).text
    for word in ("compile_config", "build_config", "Adam", '"seed":3', '"seed":7'):
        assert word not in text


def test_a_mask_leaves_as_a_mask_and_is_reported():
    assert validate(serialised(text_head())).exposed_masks == ("tokens",)
    assert validate(serialised(digits_head())).exposed_masks == ()


def test_layers_are_listed_for_display():
    listed = validate(serialised(nested_head())).layers
    assert ("shared", "Dense") in listed
    assert ("pair/encoder/a", "Dense") in listed


def test_config_is_a_fresh_copy_each_time():
    topology = validate(serialised(digits_head()))
    topology.config["config"].clear()
    assert topology.config["config"]["name"] == "lenet"


# Hostile configs: each is an honest one with a single change.


def layer(config: Config, name: str) -> Config:
    return next(each for each in config["config"]["layers"] if each["name"] == name)


def option(name: str, key: str, value: Any) -> Callable[[Config], None]:
    return lambda config: layer(config, name)["config"].update({key: value})


def initializer(kind: str, **options: Any) -> Config:
    return {
        "module": "keras.initializers",
        "class_name": kind,
        "config": options,
        "registered_name": None,
    }


def regularizer(kind: str, **options: Any) -> Config:
    return {**initializer(kind, **options), "module": "keras.regularizers"}


def become(name: str, /, **entry: Any) -> Callable[[Config], None]:
    return lambda config: layer(config, name).update(entry)


def rewire(name: str, *history: Any) -> Callable[[Config], None]:
    def edit(config: Config) -> None:
        tensor = layer(config, name)["inbound_nodes"][0]["args"][0]
        tensor["config"]["keras_history"] = list(history)

    return edit


def argument(name: str, key: str, value: Any) -> Callable[[Config], None]:
    return lambda config: layer(config, name)["inbound_nodes"][0]["kwargs"].update({key: value})


def output(*history: Any) -> Callable[[Config], None]:
    return lambda config: config["config"].update(output_layers=list(history))


def operation(kind: str, module: str = "keras.src.ops.numpy", **options: Any):
    """Puts an operation in the place of the last layer."""
    return become(
        "dropout",
        module=module,
        class_name=kind,
        registered_name=kind,
        config={"name": "dropout", **options},
    )


def copied(name: str, as_name: str) -> Callable[[Config], None]:
    def edit(config: Config) -> None:
        twin = copy.deepcopy(layer(config, name))
        twin["name"] = twin["config"]["name"] = as_name
        config["config"]["layers"].append(twin)

    return edit


def cycle(config: Config) -> None:
    rewire("conv2", "flatten", 0, 0)(config)


LAMBDA = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}
FUNCTION = {
    "module": "builtins",
    "class_name": "function",
    "config": "open",
    "registered_name": "function",
}

HOSTILE: dict[str, tuple[Callable[[Config], None], str]] = {
    # Sizes.
    "a dense of 2e8 units": (option("dense", "units", 200_000_000), "dense.*units.*16777216"),
    "moderate sizes, big product": (option("dense", "units", 2_000_000), "dense.*parameters"),
    "a float for a size": (option("dense", "units", 120.0), "units"),
    "a boolean for a size": (option("dense", "units", True), "units"),
    "a negative size": (option("conv1", "filters", -6), "filters"),
    "a zero size": (option("conv1", "strides", [0, 1]), "strides"),
    "a huge kernel": (option("conv1", "kernel_size", [16_000, 16_000]), "parameters"),
    "a kernel of too many dimensions": (option("conv1", "kernel_size", [5] * 3), "kernel_size"),
    "activations without parameters": (
        become("pool1", class_name="UpSampling2D", config={"name": "pool1", "size": [4096, 4096]}),
        "pool1.*activation",
    ),
    "a huge input": (option("image", "batch_shape", [None, 1 << 25, 28, 1]), "image"),
    "a wide input": (option("image", "batch_shape", [None, 1 << 20, 1 << 20, 1]), "activation"),
    "a fixed batch": (option("image", "batch_shape", [4, 28, 28, 1]), "batch size"),
    "a window larger than the image": (
        lambda config: layer(config, "conv2")["config"].update(kernel_size=[60, 60]),
        "conv2.*nothing of a dimension of 14",
    ),
    # Initial weights that the server would know.
    "a constant initialiser": (
        option("dense", "kernel_initializer", initializer("Constant", value=0.5)),
        "dense.*kernel_initializer.*Constant",
    ),
    "a constant bias": (
        option("dense", "bias_initializer", initializer("Constant", value=0.5)),
        "bias_initializer",
    ),
    "an identity": (
        option("dense", "kernel_initializer", initializer("Identity", gain=1.0)),
        "dense.*kernel_initializer.*Identity",
    ),
    "ones for a kernel": (option("dense", "kernel_initializer", initializer("Ones")), "Ones"),
    "zeros for a kernel": (option("conv1", "kernel_initializer", initializer("Zeros")), "Zeros"),
    "a normal without spread": (
        option("dense", "kernel_initializer", initializer("RandomNormal", mean=0, stddev=1e-9)),
        "stddev",
    ),
    "a normal far from zero": (
        option("dense", "kernel_initializer", initializer("RandomNormal", mean=5, stddev=0.001)),
        "too narrow",
    ),
    "a uniform of one value": (
        option("dense", "kernel_initializer", initializer("RandomUniform", minval=1, maxval=1)),
        "too narrow",
    ),
    "an initialiser by name": (option("dense", "kernel_initializer", "ones"), "initializers"),
    # Code and registries.
    "a lambda layer": (
        become("dropout", class_name="Lambda", config={"name": "dropout", "function": LAMBDA}),
        "dropout.*Lambda.*not accepted.*Allowed",
    ),
    "a saved model": (
        become("dropout", class_name="TFSMLayer", config={"name": "dropout", "filepath": "x"}),
        "TFSMLayer",
    ),
    "a lambda for an activation": (option("dense", "activation", LAMBDA), "activation"),
    "a function for an activation": (option("dense", "activation", FUNCTION), "activation"),
    "an unknown activation": (option("dense", "activation", "mine>open"), "activation"),
    "a layer with weights for an activation": (
        option(
            "dense",
            "activation",
            {**initializer("Dense", units=9), "module": "keras.layers"},
        ),
        "activation.*Dense",
    ),
    "another module": (become("dense", module="os.path"), "dense.*os.path"),
    "a module inside keras": (become("dense", module="keras.src.layers.core.dense"), "dense"),
    "a registered name": (become("dense", registered_name="mine>Dense"), "dense.*mine>Dense"),
    "a function as a layer": (
        become("dense", class_name="function", config="open"),
        "dense|config",
    ),
    "an unknown option": (option("dense", "lora_rank", 4), "dense.*lora_rank.*unknown.*units"),
    "a renamed option": (option("dense", "\u202eunits", 4), "unknown"),
    "quantisation": (option("dense", "quantization_config", {}), "quantization_config"),
    "a shared object": (become("dense", shared_object_id=1), "dense|keys"),
    "a policy of its own": (option("dense", "dtype", "int8"), "dtype"),
    "an operation outside the list": (operation("Einsum", subscripts="ab->a"), "Einsum"),
    "a control-flow operation": (operation("Cond", "keras.src.ops.core"), "Cond"),
    "an operation of another module": (operation("Add", "keras.src.backend.config"), "Add"),
    "an option of an operation": (
        operation("Transpose", axes=[0, 1], callback="open"),
        "callback.*unknown",
    ),
    # Numbers and text.
    "not a number": (option("dropout", "rate", float("nan")), "finite"),
    "infinity": (
        option("conv2", "kernel_regularizer", regularizer("L2", l2=float("inf"))),
        "finite",
    ),
    "an unbounded regulariser": (
        option("conv2", "kernel_regularizer", regularizer("L2", l2=1e30)),
        "conv2.*kernel_regularizer.l2",
    ),
    "an integer beyond 64 bits": (option("dense", "units", 10**6000), "64 bits"),
    "a key that is no text": (lambda config: config["config"].update({7: 1}), "key"),
    "bytes": (option("dense", "units", b"120"), "bytes"),
    "a name with a path": (option("dense", "name", "../dense"), "name|dense"),
    "a name with control characters": (become("dense", name="a\x1b[2J"), "dense"),
    "a huge list": (option("dense", "units", [1] * 1_500_000), "values"),
    "deep JSON": (option("dense", "units", json.loads("[" * 120 + "]" * 120)), "levels"),
    # Graphs.
    "a cycle": (cycle, "wait for one another"),
    "a missing layer": (rewire("conv2", "nowhere", 0, 0), "conv2.*nowhere"),
    "a missing call": (rewire("conv2", "pool1", 1, 0), "wait"),
    "a negative call": (rewire("conv2", "pool1", -1, 0), "conv2"),
    "a missing output": (rewire("conv2", "pool1", 0, 1), "pool1.*outputs"),
    "a tensor without history": (rewire("conv2"), "conv2"),
    "an object among the arguments": (argument("dropout", "training", FUNCTION), "training"),
    "a tensor's values among the arguments": (
        argument("dropout", "training", {"class_name": "__numpy__", "config": {}}),
        "training",
    ),
    "an unknown argument": (argument("dense", "kernel", 1), "dense.*kernel"),
    "a layer twice": (copied("dense", "dense"), "dense.*once"),
    "a layer that is never called": (become("dropout", inbound_nodes=[]), "dropout"),
    "an unknown output": (output("nowhere", 0, 0), "output_layers.*nowhere"),
    "an output of no call": (output("dense", 7, 0), "output_layers"),
    "an input that is no InputLayer": (
        lambda config: config["config"].update(input_layers=["dense", 0, 0]),
        "input_layers",
    ),
    "an unknown key of the model": (
        lambda config: config["config"].update(optimizer="sgd"),
        "optimizer.*unknown",
    ),
    "a dense option on a stateful layer": (
        become("dropout", class_name="LSTM", config={"name": "dropout", "units": 4, "stateful": True}),
        "stateful",
    ),
    # Raw data.
    "the input itself": (output("image", 0, 0), "raw input 'image'"),
    "the input beside a good output": (
        output(["dropout", 0, 0], ["image", 0, 0]),
        "Output 1.*raw input 'image'",
    ),
    "a head that cannot learn": (lambda config: config["config"].update(trainable=False), "raw"),
}


@pytest.fixture(scope="module")
def honest() -> Config:
    return serialised(digits_head())


@pytest.mark.parametrize(("edit", "pattern"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_head_is_refused(honest: Config, edit: Callable[[Config], None], pattern: str):
    config = copy.deepcopy(honest)
    edit(config)
    with pytest.raises(TopologyError, match=f"(?s){pattern}") as caught:
        validate(config)
    assert len(str(caught.value)) < 6000
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("config", [None, 7, "model", [], {}, {"class_name": "Functional"}, {"config": {}}])
def test_what_is_no_model_is_refused(config: object):
    with pytest.raises(TopologyError):
        validate(config)


def test_a_single_layer_is_no_model(honest: Config):
    with pytest.raises(TopologyError, match="Functional or Sequential"):
        validate(
            {
                key: layer(honest, "dense")[key]
                for key in ("module", "class_name", "config", "registered_name")
            }
        )


def head(*steps: Any, shape: tuple[int | None, ...] = (8,), dtype: str = "float32") -> Config:
    inputs = keras.Input(shape, dtype=dtype, name="raw")
    x = inputs
    for step in steps:
        x = step(x)
    return serialised(keras.Model(inputs, x))


def frozen(made: keras.layers.Layer) -> keras.layers.Layer:
    made.trainable = False
    return made


NOT_MIXING = {
    "nothing but noise": ([klayers.GaussianNoise(0.1), klayers.Dropout(0.5)], (8,)),
    "normalisation": ([klayers.BatchNormalization(), klayers.LayerNormalization()], (8,)),
    "pooling": ([klayers.AveragePooling2D(2), klayers.Flatten()], (8, 8, 3)),
    "arithmetic": ([lambda x: ops.tanh(x * 3.0 + 1.0)], (8,)),
    "a frozen layer": ([frozen(klayers.Dense(8))], (8,)),
    "a frozen model": ([frozen(keras.Sequential([keras.Input((8,)), klayers.Dense(4)]))], (8,)),
    "one value at a time": ([klayers.Conv2D(4, 1)], (8, 8, 1)),
    "one channel at a time": ([klayers.DepthwiseConv2D(1)], (8, 8, 3)),
    "pixels through a dense": ([klayers.Dense(4)], (8, 8, 1)),
    "elementwise weights": ([klayers.EinsumDense("ab,b->ab", (8,))], (8,)),
    "attention without weights": ([lambda x: klayers.Attention()([x, x])], (8, 4)),
    "a skip around the layer": ([lambda x: x + klayers.Dense(8)(x)], (8,)),
    "a state of raw data": (
        [lambda x: klayers.GRU(8)(klayers.Reshape((1, 8))(klayers.Dense(8)(x)), initial_state=x)],
        (8,),
    ),
    "bits by comparison": ([lambda x: ops.not_equal(x, 0.0)], (8,)),
    "a silhouette": ([lambda x: ops.cast(ops.not_equal(x, 0.0), "float32")], (28, 28, 1)),
    "order by comparison": ([lambda x: x > 0.5], (8,)),
}


@pytest.mark.parametrize(("steps", "shape"), NOT_MIXING.values(), ids=NOT_MIXING.keys())
def test_a_path_without_a_mixing_layer_is_refused(steps: list[Any], shape: tuple[int, ...]):
    with pytest.raises(TopologyError, match="raw input 'raw'"):
        validate(head(*steps, shape=shape))


def test_one_mask_value_for_each_input():
    def two_masks(tokens: Any) -> Any:
        vectors = klayers.Embedding(9, 4)(tokens)
        masks = [ops.not_equal(tokens, 0), ops.not_equal(tokens, 1)]
        return [vectors, *masks]

    with pytest.raises(TopologyError, match="one mask value"):
        validate(head(two_masks, shape=(5,), dtype="int32"))


def test_a_masking_layer_shows_its_mask_alone():
    def masked(x: Any) -> Any:
        padded = klayers.Masking(0.0)(x)
        return [klayers.LSTM(4, return_sequences=True)(padded), padded._keras_mask]

    assert validate(head(masked, shape=(5, 3))).exposed_masks == ("raw",)


def test_a_tail_needs_no_mixing():
    tail = head(klayers.Softmax())
    with pytest.raises(TopologyError):
        validate(tail)
    assert validate(tail, limits=TopologyLimits(mixing="none")).parameters == 0


def test_a_frozen_head_is_accepted_where_the_client_says_so():
    config = head(frozen(klayers.Dense(4)))
    assert validate(config, limits=TopologyLimits(mixing="any")).parameters == 36


FROZEN_BESIDES = {
    "a layer": (klayers.Dense(4, name="dense"), (8,), "dense"),
    "a kernel": (klayers.Dense(4, name="dense"), (8,), "dense/0:kernel"),
    "a kernel inside": (
        keras.Sequential([keras.Input((8,)), klayers.Dense(4, name="dense")], name="inner"),
        (8,),
        "inner/dense/0:kernel",
    ),
    "a wrapped kernel": (
        klayers.TimeDistributed(klayers.Dense(4, name="dense_7"), name="timed"),
        (5, 8),
        "timed/dense/0:kernel",
    ),
}


@pytest.mark.parametrize(("step", "shape", "name"), FROZEN_BESIDES.values(), ids=FROZEN_BESIDES.keys())
def test_what_is_frozen_besides_counts_as_frozen(step: Any, shape: tuple[int, ...], name: str):
    config = head(step, shape=shape)
    assert all(each.trainable for each in validate(config, frozen=["another"]).summaries)
    with pytest.raises(TopologyError, match="raw input 'raw'"):
        validate(config, frozen=[name])


def nested(depth: int) -> Config:
    inner = keras.Sequential([keras.Input((4,)), klayers.Dense(4)])
    for _ in range(depth):
        inner = keras.Sequential([keras.Input((4,)), inner])
    return serialised(inner)


def test_models_nest_up_to_a_ceiling():
    assert validate(nested(5)).parameters == 20
    with pytest.raises(TopologyError, match="nested more than"):
        validate(nested(10))


def test_nested_models_are_counted_as_often_as_they_run():
    """Each level calls the one below ten times: 10,000,000 calls from some hundred lines."""
    inner: Any = klayers.Dense(4)
    for level in range(7):
        inputs = keras.Input((4,))
        x = inputs
        for _ in range(10 if level < 2 else 1):
            x = inner(x)
        inner = keras.Model(inputs, x)
    config = serialised(inner)
    for model in walk_models(config):
        repeat_last_call(model, 10)
    with pytest.raises(TopologyError, match="calls of layers"):
        validate(config)


def walk_models(config: Config) -> list[Config]:
    inside = [each for each in config["config"]["layers"] if each["class_name"] == "Functional"]
    return [config, *(model for each in inside for model in walk_models(each))]


def repeat_last_call(model: Config, times: int) -> None:
    """Makes the model's last layer run so often, each time on the result before."""
    last = model["config"]["layers"][-1]
    tensor = last["inbound_nodes"][0]["args"][0]["config"]
    for at in range(len(last["inbound_nodes"]), times):
        history = [last["name"], at - 1, 0]
        again = {**tensor, "keras_history": history}
        last["inbound_nodes"].append(
            {"args": [{"class_name": "__keras_tensor__", "config": again}], "kwargs": {}}
        )
    is_model = last["class_name"] == "Functional"
    model["config"]["output_layers"] = [last["name"], times - 1 + is_model, 0]


def test_time_steps_count_too():
    def steps(x: Any) -> Any:
        return klayers.TimeDistributed(klayers.Dense(2))(x)

    assert validate(head(steps, shape=(100, 4))).parameters == 10
    with pytest.raises(TopologyError, match="calls of layers"):
        validate(head(steps, shape=(100_000, 4)))


def test_a_backwards_graph_does_not_cost_quadratic_time(honest: Config):
    config = copy.deepcopy(honest)
    tensor = layer(config, "dropout")["inbound_nodes"][0]["args"][0]
    before = "dropout"
    chain = []
    for at in range(1500):
        entry = copy.deepcopy(layer(honest, "dropout"))
        entry["name"] = entry["config"]["name"] = f"extra{at}"
        entry["inbound_nodes"][0]["args"][0] = copy.deepcopy(tensor)
        entry["inbound_nodes"][0]["args"][0]["config"]["keras_history"] = [before, 0, 0]
        chain.append(entry)
        before = f"extra{at}"
    config["config"]["layers"] += chain
    assert validate(config).parameters > 0
    config["config"]["layers"].reverse()
    with pytest.raises(TopologyError, match="order of their calls"):
        validate(config)


def test_too_many_layers_are_refused(honest: Config):
    limits = TopologyLimits(max_layers=5)
    with pytest.raises(TopologyError, match="more than 5 layers"):
        validate(honest, limits=limits)
    with pytest.raises(TopologyError, match="more than 3 calls"):
        validate(honest, limits=TopologyLimits(max_nodes=3))


def test_hostile_configs_stay_small_in_time_and_memory(honest: Config):
    configs = []
    for name in ("a dense of 2e8 units", "activations without parameters", "a huge kernel"):
        configs.append(copy.deepcopy(honest))
        HOSTILE[name][0](configs[-1])
    tracemalloc.start()
    started = time.thread_time()
    for config in configs:
        with pytest.raises(TopologyError):
            validate(config)
    computed, peak = time.thread_time() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    assert computed < 10


JUNK = [None, True, -1, 0, 3, 1 << 40, 0.5, 1e308, "", "relu", "a/b", [], [[]], [None], {}, LAMBDA]


def test_any_change_is_refused_cleanly_or_harmless():
    """No mutation makes the validator fail in another way than by refusing."""
    chance = random.Random(0)
    for make in (text_head, nested_head, tabular_head, u_net_encoder):
        config = serialised(make())
        for _ in range(120):
            changed = copy.deepcopy(config)
            holder, key = chance.choice(list(places(changed)))
            holder[key] = copy.deepcopy(chance.choice(JUNK))
            with contextlib.suppress(TopologyError):
                validate(changed)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in nested lists and dicts that holds something."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


class Gate(klayers.Layer):
    """A client's own layer."""

    mixes_inputs = True

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.dense = klayers.Dense(units)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)

    def get_config(self) -> Config:
        return {**super().get_config(), "units": self.units}


class Plain(Gate):
    mixes_inputs = False


def custom_head(made: keras.layers.Layer) -> Config:
    inputs = keras.Input((8,), name="raw")
    return serialised(keras.Model(inputs, klayers.ReLU()(made(inputs))))


def test_a_custom_layer_must_be_named_by_the_client():
    config = custom_head(Gate(4))
    with pytest.raises(TopologyError, match="Gate.*not accepted"):
        validate(config)
    topology = validate(config, custom_layers={"Gate": Gate})
    with keras.saving.custom_object_scope({"Gate": Gate}):
        rebuilt = keras.saving.deserialize_keras_object(topology.config)
    assert rebuilt.output_shape == (None, 4)


def test_a_custom_layer_counts_as_mixing_only_if_it_says_so():
    with pytest.raises(TopologyError, match="raw input"):
        validate(custom_head(Plain(4)), custom_layers={"Plain": Plain})


@pytest.mark.parametrize("units", [1 << 20, FUNCTION, LAMBDA, float("inf")])
def test_options_of_a_custom_layer_are_bounded(units: Any):
    config = custom_head(Gate(4))
    next(each for each in config["config"]["layers"] if each["class_name"] == "Gate")["config"]["units"] = (
        units
    )
    with pytest.raises(TopologyError):
        validate(config, custom_layers={"Gate": Gate})


def test_the_room_imports_neither_keras_nor_tensorflow():
    for path in Path(room.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                root, _, rest = name.partition(".")
                assert root not in ("keras", "tensorflow", "numpy"), path
                if root == "keras_split":
                    assert rest.split(".")[0] in ("topology", "errors", "digest"), path


def test_a_topology_is_a_value():
    first, second = (validate(serialised(digits_head())) for _ in range(2))
    assert isinstance(first, Topology)
    assert first == second
