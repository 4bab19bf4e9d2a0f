"""What was handed in stays as it was then, whatever becomes of it; what can't change isn't
copied.
"""

import datetime
import decimal
import pickle
import random
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from mpipar.pool import by_value
from mpipar.pool.calls import Calls
from mpipar.pool.constant import are_constant, is_constant
from mpipar.pool.definitions import Definitions
from mpipar.pool.limited import Limited, TooLarge
from mpipar.pool.snapshot import packed
from mpipar.pool.snapshot_maker import Snapshots


@pytest.fixture
def snapshots():
    return Snapshots(Definitions())


def sent(value):
    """Return what a worker gets."""
    return by_value.loads([bytearray(frame) for frame in by_value.dumps(value).frames])


CONSTANT = [
    *(1, 2.5, 1j, "text", b"bytes", True, None, range(3), (), (1, ("a", (None,))), (1,) * 20),
    *(
        np.float64(1),
        np.int8(1),
        np.bool_(1),
        datetime.date(2000, 1, 1),
        decimal.Decimal("0.1"),
        Path("/a/b"),
    ),
]


@pytest.mark.parametrize("value", CONSTANT, ids=repr)
def test_what_cannot_change_is_not_pickled(value, snapshots):
    assert is_constant(value)
    assert snapshots.item(value) is value
    items = [value] * 3
    assert snapshots.items(items) is items or not are_constant(items)


@pytest.mark.parametrize(
    "value", [[1], {}, {1}, (1, [2]), np.zeros(2), bytearray(2), np.array([[]])], ids=repr
)
def test_what_may_change_is_known(value):
    assert not is_constant(value)
    assert not are_constant([1, value])
    assert not are_constant([(1, value)])


class Counter:
    def __init__(self):
        self.n = 0

    def get(self, x):
        return self.n + x


def plus(a, b=0):
    return a[0] + b


@pytest.mark.parametrize("size", [3, 100_000])
def test_arrays_are_as_they_were(size, snapshots):
    array = np.zeros(size)
    taken = []
    for value in range(5):
        array[:] = value
        taken.append(snapshots.item(array))
    found = [sent(each) for each in taken]
    assert (
        [float(each.max()) for each in found]
        == [float(each.min()) for each in found]
        == [0, 1, 2, 3, 4]
    )
    assert all(each.flags.writeable for each in found)


def test_calls_are_as_they_were(snapshots):
    counter, values, calls = Counter(), [0], []
    for value in range(4):
        counter.n = values[0] = value
        calls.append(snapshots.call(counter.get, (10,), {}))
        calls.append(snapshots.call(plus, (values,), {"b": 20}))
        calls.append(snapshots.call(lambda x: values[0] + x, (30,), {}))
    outcomes = []
    for function, arguments, keywords in map(sent, calls[:2] + calls[3:5]):
        outcomes.append(function(*arguments, **keywords))
    assert outcomes == [10, 20, 11, 21]


def test_a_large_array_that_does_not_change_is_kept_once(snapshots):
    array = np.arange(100_000)
    first, second = snapshots.item((array, 1)), snapshots.item((array, 2))
    assert first._copies[0] is second._copies[0]
    array[-1] = 0
    third = snapshots.item((array, 3))
    assert third._copies[0] is not first._copies[0]
    assert [int(sent(each)[0][-1]) for each in (first, second, third)] == [99_999, 99_999, 0]


@pytest.mark.parametrize("size", [1, 100, 5000, 100_000])
@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_items_are_as_they_were(size, count, snapshots):
    items = [[index] * (size if index % 10 else 1) for index in range(count)]
    taken = snapshots.items(list(items))
    for item in items:
        item[0] = -1
    assert (
        [sent(each)[0] for each in taken] == [each[0] for each in sent(taken)] == list(range(count))
    )


def test_small_items_and_what_items_have_in_common_are_pickled_once(snapshots):
    def groups(items):
        return len({id(each.together) for each in snapshots.items(items)})

    common = ["x" * 10 for _ in range(50_000)]
    assert groups([[index] for index in range(1000)]) < 15
    assert groups([(common, index) for index in range(1000)]) < 15
    assert groups([[index] * 50_000 for index in range(20)]) >= 19
    assert (
        groups([*([index] for index in range(1000)), *([index] * 50_000 for index in range(10))])
        > 20
    )


def test_objects_of_an_item_that_are_the_same_stay_so(snapshots):
    node = Counter()
    graph = [node, Counter()]
    taken = snapshots.items([(graph, node)] * 5)
    for found, same in map(sent, taken):
        assert found[0] is same


def test_what_cannot_be_pickled_is_left_to_who_sends_it(snapshots):
    lock = threading.Lock()
    taken = snapshots.items([[1], [2], lock, [3]])
    assert taken[2] is lock
    assert [sent(each) for each in taken if each is not lock] == [[1], [2], [3]]


def test_a_closure_that_changes_inside_is_sent_again():
    definitions = Definitions()
    values = [0]

    def nested():
        return values

    assert definitions.remember(nested)
    assert not definitions.remember(nested)
    values.append(1)
    assert definitions.remember(nested)
    assert not definitions.remember(nested)


def test_containers_are_taken_at_once_and_iterators_as_they_yield(snapshots):
    values = [[1], [2]]
    taken = snapshots.container(values, 1)
    assert taken.snapshot is None
    values[0][0] = 5
    assert [sent(each) for each in taken.iterable] == [[1], [2]]
    iterator = iter(values)
    assert snapshots.container(iterator, 1)[:2] == (iterator, snapshots.item)


def test_a_batch_of_snapshots_is_the_list_of_their_items(snapshots):
    values = [[1], {"a": 2}, np.zeros(100_000), [3], 4, (5, [6])]
    taken = [*map(snapshots.item, values), *list(snapshots.items([[7], [8], [9]]))[1:], 10]
    found = sent(packed(taken))
    assert np.array_equal(found.pop(2), values.pop(2))
    assert found == [*values, [8], [9], 10]
    assert packed([1, 2]) == [1, 2]
    assert packed(range(3)) == range(3)


class Nested:
    """What pickles something else while it is pickled."""

    def __init__(self, snapshots):
        self.snapshots = snapshots

    def __reduce__(self):
        return sent, (self.snapshots.item([1, 2]),)


def test_what_takes_snapshots_while_one_is_taken_is_taken(snapshots):
    assert sent(snapshots.item([Nested(snapshots), 3])) == [[1, 2], 3]


def test_a_value_after_one_that_cannot_be_pickled(snapshots):
    shared = [1]
    refused = [shared, threading.Lock()]
    assert snapshots.item(refused) is refused
    assert sent(snapshots.item((shared, shared, Counter))) == ([1], [1], Counter)


def test_any_part_of_many_items_is_what_it_was(snapshots):
    order = random.Random(1)
    items = [order.choice([[n], [n] * 9000, {n}, np.full(n % 9, n), "text"]) for n in range(3000)]
    items[1500] = items[77] = threading.Lock()  # can't be pickled, which is told when it is sent
    expected = [repr(item) for item in items]
    kept = snapshots.items(list(items))
    assert len(kept) == len(list(kept)) == len(items)
    for item in items:
        if type(item) in (list, dict):
            item.clear()
    for _ in range(50):
        start = order.randrange(1501, len(items))
        stop = min(len(items), start + order.choice([1, 2, 30, 1000]))
        assert [repr(item) for item in sent(packed(kept[start:stop]))] == expected[start:stop]
        assert len(kept[start:stop]) == stop - start
        assert repr(sent(packed([kept[start]]))[0]) == expected[start]
    with pytest.raises(TypeError, match="pickle"):
        sent(packed(kept[1490:1510]))
    with pytest.raises(IndexError):
        kept[len(items)]


def test_calls_of_a_named_function_with_plain_arguments(snapshots):
    calls = [snapshots.call(textwrap.indent, ("a",), {"prefix": "-" * n}) for n in range(3)]
    pickled = Calls.pickled(calls)
    outcomes = [
        each(*arguments, **keywords) for each, arguments, keywords in by_value.loads(pickled.frames)
    ]
    assert outcomes == ["a", "-a", "--a"]
    assert pickled.needed == set()
    assert pickled.stamps == [{}]


OTHER_CALLS = {
    "another function": (textwrap.dedent, ("",), {}),
    "what may change": (textwrap.indent, ([1],), {}),
    "not plain": (textwrap.indent, (Path("/"),), {}),
    "not plain by name": (textwrap.indent, (), {"text": Path("/")}),
}


@pytest.mark.parametrize("name", OTHER_CALLS)
def test_other_calls(name, snapshots):
    first, other = (
        snapshots.call(textwrap.indent, ("a", "b"), {}),
        snapshots.call(*OTHER_CALLS[name]),
    )
    assert Calls.pickled([first]) is not None
    assert Calls.pickled([first, other]) is None
    assert Calls.pickled([other, first]) is None
    assert (
        Calls.pickled([[1]])
        is Calls.pickled(range(3))
        is Calls.pickled([(1, 2)])
        is Calls.pickled([()])
        is None
    )


def test_a_large_array_is_too_large_where_a_pickle_is_limited():
    file = Limited(1000)
    pickle.Pickler(file, 5).dump(np.arange(9))
    assert pickle.loads(file.getvalue()).tolist() == list(range(9))
    with pytest.raises(TooLarge):
        pickle.Pickler(Limited(1000), 5).dump(np.zeros(100_000))
