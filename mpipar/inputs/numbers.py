"""Lists of numbers in files of text, CSV or HDF5."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mpipar.base.errors import BadInput
from mpipar.core.parameters import parse_int
from mpipar.core.reduction import Array
from mpipar.inputs.common import at_line, is_hdf5, listed, read_text
from mpipar.inputs.csv_table import check_column, read_cells

_Kind = type[int] | type[float]


def read_numbers(
    path: str,
    kind: _Kind,
    column: str | None = None,
) -> Array:
    """Return the numbers in a file.

    Parameters
    ----------
    path : str
        A file of text with one or more numbers on a line, where ``#`` starts a comment; a ``.csv``
        file; or ``file.h5:/name``, whose numbers are taken row by row.
    kind : type
        int or float.
    column : str, optional
        Column of the CSV file. Not needed if it has one.

    Returns
    -------
    ndarray
        float64 for float. For int it is int64, or uint64 if a number needs that: no bit is lost.

    Raises
    ------
    BadInput
        If a text isn't such a number, with its line; if there are no numbers; if it can't be read.
    """
    if is_hdf5(path):
        return _from_hdf5(path, kind, column)
    if Path(path).suffix.lower() == ".csv":
        texts = _texts_in_csv(Path(path), column)
    elif column is not None:
        raise BadInput(f"{path!r}: only CSV files have columns, such as {column!r}")
    else:
        texts = _texts_in_lines(Path(path))
    numbers = []
    for line, text in texts:
        numbers.append(_number(Path(path), kind, line, text))
    if not numbers:
        raise BadInput(f"{path!r}: there are no numbers in it")
    if kind is float:
        return np.array(numbers, np.float64)
    return _integers(path, numbers)


def _texts_in_lines(path: Path) -> Iterator[tuple[int, str]]:
    for line, text in enumerate(read_text(path).split("\n"), 1):
        for word in text.partition("#")[0].split():
            yield line, word


def _texts_in_csv(path: Path, column: str | None) -> Iterator[tuple[int, str]]:
    cells = read_cells(path)
    if column is None and len(cells.columns) > 1:
        raise BadInput(f"{str(path)!r}: which column? It has {listed(cells.columns)}")
    name = cells.columns[0] if column is None else column
    check_column(path, name, cells.columns)
    place = cells.columns.index(name)
    for line, row in zip(cells.lines, cells.rows, strict=True):
        yield line, row[place].strip()


def _number(path: Path, kind: _Kind, line: int, text: str) -> int | float:
    if kind is int:
        try:
            return parse_int(text)
        except ValueError as error:
            raise at_line(path, line, error) from None
    try:
        number = float(text)
    except ValueError:
        raise at_line(path, line, f"expected a number, got {text!r:.60}") from None
    if math.isinf(number) and text[-1].isdigit():
        raise at_line(path, line, f"expected a number that 64 bits hold, got {text!r:.60}")
    return number


def _integers(path: str, numbers: list[Any]) -> Array:
    """Return whole numbers as an array in which none loses a bit."""
    smallest = min(numbers)
    largest = max(numbers)
    for kind in (np.int64, np.uint64):
        limits = np.iinfo(kind)
        if limits.min <= smallest and largest <= limits.max:
            return np.array(numbers, kind)
    raise BadInput(f"{path!r}: no type of 64 bits holds both {smallest} and {largest}")


def _from_hdf5(path: str, kind: _Kind, column: str | None) -> Array:
    from mpipar.inputs.dataset import open_dataset, reading  # HDF5 takes time to load

    if column is not None:
        raise BadInput(
            f"{path!r}: only CSV files have columns, such as {column!r};"
            " write the dataset's name after a colon"
        )
    dataset = open_dataset(path)
    if kind is int and dataset.dtype.kind not in "iu":
        raise BadInput(f"{path!r}: expected whole numbers, got {dataset.dtype}")
    if dataset.dtype.kind not in "iuf":
        raise BadInput(f"{path!r}: expected numbers, got {dataset.dtype}")
    with reading(dataset):
        numbers: Array = dataset[()].ravel()
    if kind is float:
        return numbers.astype(np.float64)
    if numbers.max() > np.iinfo(np.int64).max:
        return numbers.astype(np.uint64)
    return numbers.astype(np.int64)
