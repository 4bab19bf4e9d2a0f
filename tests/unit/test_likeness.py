"""Whether values are told from others, and found to be the same, in another process too."""

import collections
import dataclasses
import functools
import subprocess
import sys
import threading

import numpy as np
import pytest

from mpipar.store.likeness import digest, digests_of_items, named, state_of
from mpipar.store.values import Unstorable


@dataclasses.dataclass
class Point:
    x: float
    y: object = None


class Scale:
    def __init__(self, by):
        self.by = by

    def __call__(self, x):
        return self.by * x

    def method(self, x):
        return self.by + x


def times(k):
    return lambda x: k * x


def round_about():
    point = Point(1.0)
    point.y = point
    return point


SAME = [
    lambda: Point(1.0, [2]),
    lambda: {"a": Point(1.0)},
    lambda: collections.Counter("abca"),
    lambda: np.array([1, "a", None], object),
    lambda: {"c", "b", "a"},
    lambda: collections.deque([1, 2], maxlen=3),
    lambda: np.random.default_rng(7),
    lambda: (len, np.sin, Point, functools.partial(pow, 2)),
    round_about,
]
OTHER = [
    (1, 1.0),
    (1, True),
    ("1", 1),
    ([1], (1,)),
    (Point(1.0), Point(2.0)),
    (np.zeros(2), np.zeros(2, np.float32)),
    (np.random.default_rng(7), np.random.default_rng(8)),
    (functools.partial(pow, 2), functools.partial(pow, 3)),
    (collections.deque([1], maxlen=3), collections.deque([1], maxlen=4)),
    (len, sum),
]


@pytest.mark.parametrize("make", SAME)
def test_equal_values_are_the_same(make):
    assert digest(make()) == digest(make())


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_others_are_told_apart(one, other):
    assert digest(one) != digest(other)


def test_text_in_sets_has_no_order_in_other_processes():
    program = (
        "from mpipar.store.likeness import digest; print(digest([{'a', 'b', ('c', 1)},"
        " frozenset('xyz')]))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert seen == {f"{digest([{'a', 'b', ('c', 1)}, frozenset('xyz')])}\n".encode()}


def test_what_cant_be_told_apart_is_refused_by_its_type():
    with pytest.raises(Unstorable, match=r"_thread.lock can't be compared"):
        digest([threading.Lock()])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (times(2), times(3)),
        (Scale(2), Scale(3)),
        (Scale(2).method, Scale(3).method),
        (functools.partial(pow, 2), functools.partial(pow, 3)),
        (functools.partial(Scale(2), 1), functools.partial(Scale(3), 1)),
        *([(lambda x, k=k: k * x) for k in (2, 3)],),
        *([(lambda x, *, k=k: k * x) for k in (2, 3)],),
    ],
)
def test_the_state_of_a_function_counts(one, other):
    assert state_of(one) != state_of(other)
    assert state_of(one) == state_of(one)


def test_functions_have_names():
    assert named(np.linalg.norm) == "numpy.linalg.norm"
    assert named(functools.partial(pow, 2)) == "builtins.pow"
    assert named(Scale(2)).endswith("test_likeness.Scale")


def test_items_are_told_apart_in_groups():
    one, other = list(range(1000)), list(range(1000))
    other[500] = -1
    before, after = digests_of_items(one), digests_of_items(other)
    assert len(before) <= 64
    assert [name for name in before if before[name] != after[name]] == ["items 496 to 511"]
    assert list(digests_of_items([5])) == ["item 0"]
