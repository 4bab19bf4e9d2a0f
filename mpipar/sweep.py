"""A function for each row of a table.   mpirun -np 4 python -m mpipar.sweep --function f.py:f --table t.csv …"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mpipar import Block, Dataset, driver
from mpipar.core.dataset import storable
from mpipar.core.partials import has_mask
from mpipar.core.reduction import Array
from mpipar.inputs.function import load_callable
from mpipar.inputs.table import read_table, rows_in_slice

Row = dict[str, Any]


@driver(
    n=lambda table, slice: len(rows_in_slice(table, slice)),
    reduction=Dataset("results", one_each=False, description="columns of the table, and of what the function returned"),
    block=1,
)
def sweep(block: Block, *, function: str, table: str, slice: str = "1/1") -> Array:
    """Call a function with the columns of each row of a table, and collect what it returns in a table.

    Parameters
    ----------
    function : str
        module:function or path/file.py:function, called as f(**row). It returns a dict of numbers and text, or one.
    table : str
        A .csv file, a .toml grid (lists are axes of a Cartesian product), or a table in an HDF5 file, FILE.h5:/NAME.
    slice : str
        I/N takes the I-th of N slices of the rows alone, from 1/N to N/N, as tasks of a job array do.

    Examples
    --------
    mpirun -np 2 python -m mpipar.sweep --function model.py:model --table grid.toml --output results.h5
    """
    call, rows = load_callable(function), read_table(table)
    numbers = rows_in_slice(table, slice)[block.start : block.stop]
    return np.concatenate([record(number, rows.row(number), call) for number in numbers])


@sweep.check
def check(*, function: str, table: str, slice: str) -> None:
    """Refuse a function, a table or a slice that isn't there."""
    load_callable(function)
    rows_in_slice(table, slice)


def record(item: int, row: Row, call: Any) -> Array:
    """Return the table of one row: its number, its columns, and those that the function returned."""
    returned = call(**row)
    columns = returned if isinstance(returned, Mapping) else {} if returned is None else {"value": returned}
    values = {"row": item, **row, **{storable(str(name)): value for name, value in columns.items()}}
    cells = {name: cell(name, value) for name, value in values.items()}
    table = np.zeros(1, [(name, array.dtype) for name, array in cells.items()])
    for name, array in cells.items():
        table[name] = array
    return table


def cell(name: str, value: Any) -> Array:
    """Return a value as an array of no dimension: a number or text."""
    missing = value is None or (np.ndim(value) == 0 and has_mask(value))
    array = np.asarray(np.nan if missing else storable(value) if isinstance(value, str) else value)
    if array.ndim or array.dtype.kind not in "biufcU":
        raise TypeError(f"column {name!r} should be a number or text, got {type(value).__name__} {value!r:.60}")
    return array


if __name__ == "__main__":
    sweep.main()
