"""What is pickled without further ado: values whose pickle is the same whoever makes it."""

import datetime
import enum

import numpy as np
import pytest

from mpipar.pool import by_value
from mpipar.pool.plain import are_plain

PLAIN = [
    range(3),
    [],
    [1, 2.5, 1j, "text", b"bytes", True, None],
    [np.float64(1), np.bool_(0)],
    [(1, "a"), (), (2.5,)],
]


class Level(enum.IntEnum):
    LOW = 1


class Number(int):
    pass


OTHERS = [
    (1, 2),
    {1: 2},
    1,
    [[1]],
    [1, (2,)],
    [((1,),)],
    [print],
    [Level.LOW],
    [Number(1)],
    [np.zeros(2)],
    [np.dtype("f8")],
]
OTHERS += [
    [datetime.datetime(2000, 1, 1)],
    [bytearray(1)],
    [(1, [2])],
    [np.void(3)],
    [np.str_("a")],
]


@pytest.mark.parametrize("items", PLAIN, ids=repr)
def test_plain_values(items):
    assert are_plain(items)
    (frame,) = by_value.dumps(items).frames
    assert list(by_value.loads([frame])) == list(items)


@pytest.mark.parametrize("items", OTHERS, ids=repr)
def test_others(items):
    assert not are_plain(items)
