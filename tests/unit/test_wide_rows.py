"""Tables of more columns than HDF5 can describe are refused with their first rows, and not at the end."""

import numpy as np
import pytest

from mpipar.store.rows import _check_type


@pytest.mark.parametrize("count", [1, 1000])
def test_so_many_columns_are_held(count):
    _check_type(np.dtype([(f"column_{number}", "f8") for number in range(count)]))


def test_more_are_refused():
    with pytest.raises(TypeError, match="a table of 10000 columns"):
        _check_type(np.dtype([(f"column_{number}", "f8") for number in range(10_000)]))
