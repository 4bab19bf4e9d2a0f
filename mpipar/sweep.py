"""A function for each row of a table.   mpirun -np 4 python -m mpipar.sweep --function f.py:f
--table t.csv …
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from mpipar import BadInput, Block, Dataset, driver
from mpipar.core.mixed import table_of
from mpipar.core.partials import has_mask
from mpipar.core.reduction import Array
from mpipar.core.row_types import storable
from mpipar.inputs.arguments import annotated_types, check_arguments, types_of
from mpipar.inputs.function import load_callable
from mpipar.inputs.table import Reading, Table, read_table, rows_in_slice

Row = dict[str, Any]


@functools.cache
def rows_of(
    function: str,
    table: str,
    types: str,
    delimiter: str,
    decimal: str,
    comment: str,
) -> Table:
    """Return the table, with the types of its columns as the function's annotations and ``types``
    say.
    """
    return read_table(table, _reading(function, table, types, delimiter, decimal, comment))


def number_of_rows(
    function: str,
    table: str,
    slice: str,
    types: str,
    delimiter: str,
    decimal: str,
    comment: str,
) -> int:
    """Return how many rows the slice of the table has."""
    rows = rows_of(function, table, types, delimiter, decimal, comment)
    return len(rows_in_slice(len(rows), slice))


@driver(
    n=number_of_rows,
    reduction=Dataset(
        "results",
        one_each=False,
        description="columns of the table, and of what the function returned",
    ),
    block=1,
)
def sweep(
    block: Block,
    *,
    function: str,
    table: str,
    slice: str = "1/1",
    types: str = "",
    delimiter: str = "",
    decimal: str = ".",
    comment: str = "",
) -> Array:
    """Call a function with the columns of each row of a table, and collect what it returns in a
    table.

    A column of a CSV file is numbers where the function's annotation says so, or where one format
    prints all values back as they were: 007, +1 and 1e5 stay text. Results are what the function
    returns, beside the columns and the row's number.

    Parameters
    ----------
    function : str
        module:function or path/file.py:function, called as f(**row). It returns a dict of numbers
        and text, or one.
    table : str
        A .csv file, a .toml grid (lists are axes of a Cartesian product), or a table in an HDF5
        file, FILE.h5:/NAME.
    slice : str
        I/N takes the I-th of N slices of the rows alone, from 1/N to N/N, as tasks of a job array
        do.
    types : str
        Types of columns of a CSV file, such as id=str,x=float: int, float, str, bool, date,
        datetime, date:%d.%m.%Y.
    delimiter : str
        What separates the columns of a CSV file; by default comma, semicolon or tab, as the header
        line has it.
    decimal : str
        The decimal point of a CSV file: a point or a comma.
    comment : str
        What lines of a CSV file begin with that are left out, such as #.

    Examples
    --------
    mpirun -np 2 python -m mpipar.sweep --function model.py:model --table grid.toml --output
    results.h5
    """
    call = load_callable(function)
    rows = rows_of(function, table, types, delimiter, decimal, comment)
    numbers = rows_in_slice(len(rows), slice)[block.start : block.stop]
    return table_of([record(number, rows.row(number), call) for number in numbers])


sweep.is_table = True


@sweep.check
def check(
    *,
    function: str,
    table: str,
    slice: str,
    types: str,
    delimiter: str,
    decimal: str,
    comment: str,
) -> list[str]:
    """Refuse a function, a table or a slice that isn't there, or that don't fit, and tell what may
    not be meant.
    """
    if len(delimiter) > 1 or delimiter in ('"', "\n", "\r"):
        raise BadInput(f"delimiter: expected one character, got {delimiter!r}")
    if decimal not in (".", ","):
        raise BadInput(f"decimal: expected a point or a comma, got {decimal!r}")
    call = load_callable(function)
    rows = rows_of(function, table, types, delimiter, decimal, comment)
    rows_in_slice(len(rows), slice)
    if "row" in rows.columns:
        raise BadInput(
            f"{table!r}: the results have a column 'row', the row's number;"
            " rename that of the table"
        )
    if "" in rows.columns:
        raise BadInput(f"{table!r}: a column has no name")
    check_arguments(call, function, table, rows.columns)
    return list(getattr(rows, "notes", ()))


def _reading(
    function: str,
    table: str,
    types: str,
    delimiter: str,
    decimal: str,
    comment: str,
) -> Reading | None:
    is_csv = table.lower().endswith(".csv")
    if not is_csv and (types or delimiter or comment or decimal != "."):
        raise BadInput(f"{table!r}: types, delimiter, decimal and comment are of CSV files")
    if not is_csv:
        return None
    hints = tuple(annotated_types(load_callable(function)).items())
    return Reading(tuple(types_of(types).items()), hints, delimiter, decimal, comment)


def record(item: int, row: Row, call: Any) -> dict[str, Array]:
    """Return the cells of one row: its number, its columns, and those that the function
    returned.
    """
    columns = _columns_of(call(**row))
    cells = {name: cell(name, value) for name, value in {"row": item, **row}.items()}
    own = set(cells)
    for key, value in columns.items():
        name = storable(str(key))
        made = cell(name, value)
        if not name:
            raise ValueError("a column that the function returned has no name")
        is_repeated = name in own and _is_same(made, cells[name])
        if name in cells and not is_repeated:
            raise ValueError(
                f"the function returned {name!r}, and there is such a column, of another value;"
                " rename it"
            )
        cells[name] = made
    return cells


def _columns_of(returned: Any) -> Mapping[Any, Any]:
    if returned is None:
        return {}
    if isinstance(returned, Mapping):
        return returned
    return {"value": returned}


def _is_same(one: Array, other: Array) -> bool:
    """Return whether a value says the same as another, and of the same kind."""
    is_text = one.dtype.kind == "U"
    return is_text == (other.dtype.kind == "U") and np.array_equal(
        one, other, equal_nan=not is_text
    )


def cell(name: str, value: Any) -> Array:
    """Return a value as an array of no dimension: a number or text; dates are text as ISO 8601 has
    it.
    """
    if type(value) in (float, bool, int):  # most are, and this takes less time
        array = np.asarray(value)
        if array.dtype.kind != "O":
            return array
    if isinstance(value, datetime.date):
        value = value.isoformat()
    is_missing = value is None or (np.ndim(value) == 0 and has_mask(value))
    if is_missing:
        value = np.nan
    elif isinstance(value, str):
        value = storable(value)
    array = np.asarray(value)
    if array.ndim or array.dtype.kind not in "biufcU":
        raise TypeError(
            f"column {name!r} should be a number or text, got {type(value).__name__} {value!r:.60}"
        )
    return array


if __name__ == "__main__":
    sweep.main()
