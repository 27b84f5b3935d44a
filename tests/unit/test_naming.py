"""What is kept and compared does not depend on what Keras has counted, and people read names as they are."""

from __future__ import annotations

import copy
import json
import random

import keras
import pytest
from keras import layers

import keras_split
from keras_split.naming import distinct_names, lasting_names, topology_digest
from keras_split.partition import Part, named_variables, partition, same_places, shown_names


def counted(width: int = 4, last: str | None = None) -> keras.Model:
    """Every kind of name that Keras makes up: nested, wrapped, of operations, inputs, outputs and models."""
    inner = keras.Input((4,))
    hidden = layers.Dense(4)(inner)
    nested = keras.Model(inner, keras.ops.add(hidden, layers.Dense(4)(hidden)))
    one, other = keras.Input((3, 2)), keras.Input((4,))
    steps = layers.Bidirectional(layers.LSTM(2))(layers.TimeDistributed(layers.Dense(width))(one))
    joined = keras.ops.add(nested(steps), nested(other))
    merged = keras.ops.add(joined, keras.ops.multiply(joined, 2.0))
    dense = layers.Dense(4, name="named")(layers.Dropout(0.1)(merged))
    return keras.Model([one, other], [layers.Dense(2)(dense), layers.Dense(2, name=last)(dense)])


def parts_of(model: keras.Model):
    """Cut at a sum without a name of its own, and again at the layer with one."""
    sums = [each.name for each in model.operations if each.name.startswith("add")]
    return partition(model, sums[0], "named")


def received(parts) -> dict:
    return json.loads(json.dumps(parts.topology()))


def test_a_topology_has_one_digest_however_far_keras_has_counted():
    parts = [parts_of(counted()) for _ in range(3)]
    assert len({str(received(each)) for each in parts}) == 3
    assert len({topology_digest(received(each)) for each in parts}) == 1
    # Nor does it matter whether a number at the end was counted or given.
    assert topology_digest(received(parts_of(counted(last="dense_99")))) == topology_digest(
        received(parts[0])
    )


def test_a_topology_of_other_layers_names_or_calls_has_another_digest():
    found = received(parts_of(counted()))
    others = [received(parts_of(counted(width=5))), received(parts_of(counted(last="mine")))]
    for key, value in [("kept", 1), ("cut", ["other"]), ("second_cut", []), ("output_names", ["a", "b"])]:
        others.append({**found, key: value})
    for edit in (
        lambda head: head["calls"].reverse(),
        lambda head: head["model"]["config"]["output_layers"].pop(),
        lambda head: head["model"]["config"]["layers"][-1]["config"].update(name="mine"),
        lambda head: head["layer_ranks"].popitem(),
    ):
        others.append(copy.deepcopy(found))
        edit(others[-1]["head"])
    digests = [topology_digest(each) for each in (found, *others)]
    assert len(set(digests)) == len(digests)


def test_any_json_has_a_digest():
    draw = random.Random(5)
    found = received(parts_of(counted()))

    def places(value, path=()):
        yield path
        pairs = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, each in pairs:
            yield from places(each, (*path, key))

    every = [path for path in places(found) if path]
    for _ in range(300):
        hostile = copy.deepcopy(found)
        *before, last = draw.choice(every)
        at = hostile
        for step in before:
            at = at[step]
        at[last] = draw.choice([None, 3, "", "dense_1", [], [[]], {}, {"layers": [1]}, ["a", 1], True])
        assert len(topology_digest(hostile)) == 64
    deep: dict = {"class_name": "A", "config": {"layers": []}}
    for _ in range(48):  # As deep as JSON from a peer may be.
        deep = {"class_name": "A", "config": {"layers": [deep]}}
    assert len(topology_digest({"head": {"model": deep}})) == 64


def test_variables_have_one_name_in_every_process_and_are_shown_under_their_own():
    first, second = (parts_of(counted()) for _ in range(2))
    for one, other in ((first.head, second.head), (first.body, second.body), (first.tail, second.tail)):
        names = list(named_variables(one.model))
        assert names == list(named_variables(other.model))
        rebuilt = Part.from_config(json.loads(json.dumps(other.to_config())))
        assert names == list(named_variables(rebuilt.model))
        assert names == list(shown_names(one.model))
    given = keras.Sequential(
        [keras.Input((2,)), layers.Dense(2, name="low_5"), layers.Dense(2, name="low_3")]
    )
    assert list(shown_names(given)) == [
        f"low_{at}/{each}" for at in (1, 2) for each in ("0:kernel", "1:bias")
    ]
    assert [*shown_names(given).values()][::2] == ["low_5/0:kernel", "low_3/0:kernel"]


def test_a_layer_is_found_again_in_a_model_that_is_built_anew():
    first, second = counted(), counted()
    inner = next(each for each in first.operations if isinstance(each, keras.Model))
    paths = [first.operations[-1].name, f"{inner.name}/{inner.layers[-1].name}", "nosuch"]
    last, path, unknown = same_places(paths, first, second)
    assert (last, unknown) == (second.operations[-1].name, "nosuch")
    assert path == same_places([path], second, second)[0] != paths[1]


@pytest.mark.parametrize(
    ("names", "lasting"),
    [
        (["conv", "dense_7", "dense", "dense_9"], ["conv", "dense_1", "dense_2", "dense_3"]),
        (["dense_7"], ["dense"]),
        (["a_1_2", "a", "_1", "_1", "1", "b_"], ["a_1", "a_2", "_1_1", "_1_2", "1", "b_"]),
    ],
)
def test_lasting_names_are_distinct_and_stay_as_they_are(names, lasting):
    assert lasting_names(names) == lasting == lasting_names(lasting)


def test_distinct_names_change_no_lasting_name():
    names = ["low", "high", "low", "low_1", "low"]
    assert distinct_names(names) == ["low", "high", "low_2", "low_1", "low_3"]
    assert lasting_names(distinct_names(names)) == lasting_names(names)


def test_a_half_of_an_earlier_version_loads_and_is_of_another_topology():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="low"), layers.Dense(2)])
    split = keras_split.SplitModel(model, "low")
    split.close()
    topology = split._halves.topology
    earlier = copy.deepcopy(topology)
    del earlier["head"]["calls"]
    half = keras_split.SplitModel.from_config({"topology": json.dumps(earlier), "decoder": None})
    assert [each.name for each in half.head.layers[1:]] == ["low"]
    assert topology_digest(earlier) != topology_digest(topology)
