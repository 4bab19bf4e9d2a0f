"""Chunks whose tasks have an object in common: it is found, and each chunk has its own."""

import dataclasses
import decimal
import enum
import logging
import math
import random
import threading

import numpy as np
import pytest
from test_evaluation import Kept, Nobody, batch, over

from mpipar.pool import by_value
from mpipar.pool.chunks import Chunks, Parcel, sizes_of
from mpipar.pool.common import have_common
from mpipar.pool.definitions import Definitions
from mpipar.pool.evaluation import Evaluation
from mpipar.pool.snapshot_maker import Snapshots


class Slotted:
    __slots__ = ("held",)

    def __init__(self, held):
        self.held = held


@dataclasses.dataclass
class Node:
    held: object
    parent: object = None


class Colour(enum.Enum):
    RED = 1


def in_an_array(value):
    array = np.empty(1, object)
    array[0] = value
    return array


WRAPPERS = [
    lambda value: value,
    lambda value: [value],
    lambda value: (1, (2, value)),
    lambda value: {"key": (value,)},
    Slotted,
    Node,
    in_an_array,
    lambda value: frozenset({(1, id(value))}) and (value,),
    lambda value: [[[value]]],
]
OBJECTS = [
    list,
    dict,
    lambda: np.zeros(3),
    lambda: np.random.default_rng(1),
    lambda: random.Random(1),
    lambda: iter([1]),
    lambda: Node(1),
    lambda: bytearray(2),
]


@pytest.mark.parametrize("make", OBJECTS)
def test_an_object_that_several_hold_is_found(make):
    for wrap in WRAPPERS:
        common = make()
        assert have_common([wrap(common), *map(wrap, [make() for _ in range(3)]), wrap(common)])
        assert not have_common([wrap(make()) for _ in range(1000)])


@pytest.mark.parametrize(
    "constant",
    [
        1,
        "a",
        (1, 2.0),
        None,
        decimal.Decimal(1),
        np.float64(1),
        Colour.RED,
        logging.getLogger(),
        len,
    ],
)
def test_what_cant_change_is_nothing_in_common(constant):
    assert not have_common([constant] * 3)
    assert not have_common([[constant], {1: constant}, (constant,)])


def test_what_meets_itself_has_nothing_in_common_with_others():
    nodes = []
    for _ in range(3):
        parent = Node([])
        parent.held.append(Node(1, parent))
        nodes.append(parent)
    assert not have_common(nodes)
    nodes[2].held.append(nodes[0].held[0])
    assert have_common(nodes)


def test_what_is_in_common_may_come_late_or_lie_deep():
    assert have_common([(each, 1) for each in [[] for _ in range(1000)] * 2])
    common = Node(1)
    heavy = [[[Node(Node([0])) for _ in range(40)], [[[common]]]] for _ in range(300)]
    assert have_common(heavy)
    for each in heavy:
        each.pop()
    assert not have_common(heavy)


def test_of_too_much_to_look_at_something_is_taken_to_be_in_common():
    assert have_common([[[] for _ in range(2**15)] for _ in range(3)])


def test_generators_of_one_seed_have_nothing_in_common():
    children = np.random.SeedSequence(1).spawn(5)
    assert not have_common(list(map(np.random.default_rng, children)))


def evaluated(items, unit, function, is_kept, interfere=None):
    definitions = Definitions()
    if is_kept:
        items = Snapshots(definitions).chunks(items, unit)[:]
    parcel = Parcel(definitions.dumps)
    items = list(items)
    indices = range(len(items))
    start = 0
    for size in sizes_of(indices, unit):
        parcel.add(items[start : start + size])
        start += size
    frames = [bytearray(frame) for frame in parcel.pickled().frames]
    kept = Kept()
    evaluation = Evaluation(
        batch(len(items)), Chunks(frames), over(function), None, has_broken=True
    )
    if interfere is not None:
        interfere(evaluation, kept)
    else:
        evaluation.run(Nobody(kept))
    return kept, frames


@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("unit", [1, 3, 10, 100])
def test_each_chunk_has_its_own(unit, is_kept):
    array = np.zeros(20_000)  # which travels apart

    def change(item):
        item += 1
        return int(item[-1])

    kept, frames = evaluated([array] * 20, unit, change, is_kept)
    assert kept.values == [index % unit + 1 for index in range(20)]
    assert len(frames) <= 1 + 2 * math.ceil(20 / unit)
    assert not array.any()


def test_only_whole_chunks_are_told_and_given_back():
    begun, go_on = threading.Event(), threading.Event()

    def long_task(item):
        item.append(1)
        if len(item) == 2 and not begun.is_set() and first:
            begun.set()
            go_on.wait(30)
        first.append(1)
        return len(item)

    first = []

    def interfere(evaluation, kept):
        thread = threading.Thread(target=evaluation.run, args=(Nobody(kept),))
        thread.start()
        begun.wait(30)
        evaluation.give_back(kept)
        assert (kept.values, kept.returned) == ([], 6)
        go_on.set()
        thread.join()

    kept, _ = evaluated([[]] * 9, 3, long_task, False, interfere)
    assert (kept.values, kept.returned, kept.ended) == ([1, 2, 3], 6, True)


def test_a_chunk_that_cant_be_unpickled_harms_no_other():
    class Bad:
        def __reduce__(self):
            return int, ("x",)

    common = []
    items = [(common, 1), (common, 2), (common, Bad()), (common, 3), (common, 4)]
    kept, _ = evaluated(items, 2, lambda item: item[1], False)
    assert kept.failed == [2]
    assert [kept.values[index] for index in (0, 1, 3, 4)] == [1, 2, 3, 4]
    assert by_value.loads_each([bytes(by_value.dumps([common]).frames[0])]) == [[]]
