"""Of a list that can't be unpickled all is had but the items that need what can't."""

import collections
import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpipar.pool import by_value
from mpipar.pool.salvage import Broken, salvage


def refuse(*_):
    raise RuntimeError("not here")


class Refusing:
    def __reduce__(self):
        return refuse, (1,)


class RefusingState:
    def __init__(self):
        self.a = 1

    def __setstate__(self, state):
        raise ValueError("not this state")


class RefusingList(list):
    def extend(self, _):
        raise ValueError("no items")

    append = extend


class Unhashable:
    __hash__ = None


@dataclasses.dataclass
class Held:
    value: object = None


BAD = {
    "a call": Refusing(),
    "a state": RefusingState(),
    "in a list": [1, [Refusing()]],
    "in a tuple": (1, 2, 3, 4, Refusing()),
    "in small tuples": ((Refusing(),), (1, Refusing()), (1, 2, Refusing())),
    "a value of a dict": {1: 2, "a": Refusing()},
    "several values": {1: Refusing(), 2: Refusing(), 3: 4},
    "in an attribute": Held([Held(RefusingState())]),
    "in a deque": collections.deque([Refusing()]),
    "in an array of objects": np.array([Refusing(), 1], dtype=object),
    "in an argument": collections.OrderedDict(a=Refusing()),
    "a default": collections.defaultdict(list, a=Refusing()),
}
GOOD = [
    1,
    "text",
    [1, 2],
    {"a": (1, 2, 3, 4)},
    {3},
    frozenset((4,)),
    None,
    (),
    Held(5),
    bytes(300),
    [],
    {},
]


def salvaged(items):
    buffers = []
    pickled = pickle.dumps(items, protocol=5, buffer_callback=buffers.append)
    with pytest.raises(Exception):  # noqa: B017 (whichever)
        pickle.loads(pickled, buffers=buffers)
    return salvage(pickled, buffers)


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("place", [0, 5, len(GOOD)])
def test_the_neighbours_are_had(bad, place):
    found = salvaged([*GOOD[:place], bad, *GOOD[place:]])
    assert type(found.pop(place)) is Broken
    assert found == GOOD


def test_a_list_of_one_and_of_many():
    (found,) = salvaged([Refusing()])
    assert isinstance(found.error, RuntimeError)
    found = salvaged(
        [Refusing() if index in (999, 1000, 2500) else [index] for index in range(3000)]
    )
    assert [index for index, item in enumerate(found) if type(item) is Broken] == [999, 1000, 2500]
    assert all(item == [index] for index, item in enumerate(found) if type(item) is not Broken)


def test_what_refers_to_something_broken_is_broken():
    shared, state, good = [Refusing()], RefusingState(), [1]
    found = salvaged([shared, (shared, 1), state, Held(state), good, Held(good)])
    assert [type(item) is Broken for item in found] == [True, True, True, True, False, False]
    assert found[5].value is found[4]


def test_arrays_beside_it_are_had():
    array = np.arange(100_000)
    found = salvaged([array, Refusing(), array[::-1], (array, 2)])
    assert np.array_equal(found[0], array)
    assert np.array_equal(found[2], array[::-1])
    assert np.array_equal(found[3][0], array)


def test_an_object_that_takes_no_items_is_broken():
    found = (
        salvaged([1, RefusingList([1, 2]), RefusingList([1]), 2])
        if pickle.dumps(RefusingList([1]))
        else []
    )
    assert [type(item) is Broken for item in found] == [False, True, True, False]


leaves = st.one_of(st.integers(), st.text(), st.none(), st.binary(), st.builds(Refusing))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.tuples(inner, inner),
        st.lists(inner, min_size=4, max_size=6).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=4),
        st.builds(Held, inner),
    ),
)


def is_bad(tree):
    if isinstance(tree, Held):
        return is_bad(tree.value)
    if isinstance(tree, dict):
        return any(map(is_bad, tree.values()))
    return isinstance(tree, Refusing) or (
        isinstance(tree, (list, tuple)) and any(map(is_bad, tree))
    )


@given(st.lists(trees, max_size=30))
def test_exactly_what_needs_it_is_broken(items):
    frames = [bytearray(frame) for frame in by_value.dumps(items).frames]
    found = by_value.loads_each(frames)
    assert [type(item) is Broken for item in found] == [is_bad(item) for item in items]
    assert all(item == tree for item, tree in zip(found, items, strict=True) if not is_bad(tree))


READ_ONLY = {
    "small": np.zeros(10),
    "large": np.arange(100_000),
    "columns first": np.asfortranarray(np.arange(90_000.0).reshape(300, 300)),
    "records": np.zeros(20_000, dtype=[("a", "f8"), ("b", "i4")]),
    "dates": np.arange(20_000).astype("M8[s]"),
    "text": np.array(["abc", "d"] * 10_000),
    "no axes": np.array(3.5),
    "empty": np.zeros((0, 3)),
    "with steps": np.arange(200_000)[::2],
    "objects": np.array([1, "a", None], dtype=object),
    "bytes": np.frombuffer(bytes(100_000), np.uint8),
}


@pytest.mark.parametrize("array", READ_ONLY.values(), ids=READ_ONLY)
def test_a_read_only_array_arrives_writable_as_from_protocol_4(array):
    array = array.view()
    array.flags.writeable = False
    (found,) = by_value.loads([bytearray(frame) for frame in by_value.dumps([array]).frames])
    expected = pickle.loads(pickle.dumps(array, protocol=4))
    assert found.flags.writeable
    assert expected.flags.writeable
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array)
    assert found.flags.f_contiguous == expected.flags.f_contiguous
