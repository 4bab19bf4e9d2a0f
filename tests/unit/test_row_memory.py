"""Copies of arrays one after the other in large pieces of memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpipar.runtime.row_memory import LARGEST_PIECE, RowMemory

TYPES = st.sampled_from(["f8", "i2", "?", "c16", "S3", "U5", "M8[s]", "f4,(2,3)i1", "g", "3f8"])
SHAPES = st.sampled_from([(0,), (1,), (7,), (3, 5), (2, 0), (4, 1, 33)])


@given(st.lists(st.tuples(TYPES, SHAPES), max_size=9))
def test_copies_are_what_was_copied_and_stay_so(kinds):
    memory = RowMemory()
    arrays = []
    for number, (kind, shape) in enumerate(kinds):
        array = np.zeros(shape, kind)
        array.view(np.uint8).fill(number + 1)
        arrays.append(array)
    copies = [memory.copy(array) for array in arrays]
    before = [(array.tobytes(), array.dtype, array.shape) for array in arrays]
    for array in arrays:
        array.view(np.uint8).fill(0)
    assert [(copy.tobytes(), copy.dtype, copy.shape) for copy in copies] == before
    assert all(copy.flags.c_contiguous and copy.flags.writeable for copy in copies)
    assert all(copy.flags.aligned for copy in copies)


def test_objects_and_arrays_with_gaps_are_copied():
    memory = RowMemory()
    objects = np.array([1, "two", None], object)
    assert memory.copy(objects).tolist() == [1, "two", None]
    assert memory.copy(np.arange(10)[::-3]).tolist() == [9, 6, 3, 0]


@pytest.mark.parametrize("size", [1, LARGEST_PIECE + 1])
def test_no_copy_shares_memory_with_another(size):
    memory = RowMemory()
    copies = [memory.copy(np.full(size, number, np.uint8)) for number in range(5)]
    assert [copy[-1] for copy in copies] == [0, 1, 2, 3, 4]
    assert not np.shares_memory(copies[0], copies[1])
