"""A table as a CSV file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mpipar.base.errors import BadInput
from mpipar.store.files import flush_to_disk

FIRST_COLUMN = "row"
_AT_ONCE = 10_000
_CELLS_AT_ONCE = 5_000_000  # of tables of thousands of columns: some 200 MB of Python's objects


def check(path: Path) -> None:
    """Raise BadInput if a table can't be written there, or would replace what isn't one of ours."""
    if path.suffix.lower() != ".csv":
        raise BadInput(f"csv: expected a name that ends in .csv, got {str(path)!r}")
    folder = path.parent
    if not folder.is_dir():
        raise BadInput(f"csv: there is no folder {str(folder)!r}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"csv: the folder {str(folder)!r} can't be written to")
    if not path.exists():
        return
    if not path.is_file():
        raise BadInput(f"csv: {str(path)!r} is not a regular file")
    with path.open("rb") as file:
        begins = file.read(len(FIRST_COLUMN) + 1)
    if begins.rstrip(b",\r\n") != FIRST_COLUMN.encode():
        raise BadInput(
            f"csv: {str(path)!r} exists and is not a table of results; it stays untouched"
        )


def write(path: Path, rows: Any) -> None:
    """Write a table, an array with columns or what reads one, aside, and put it in its place.
    Raises OSError.

    Numbers have all of their digits; what isn't a number is nan, and text is in UTF-8.
    """
    path = Path(os.path.realpath(path))
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows(_lines(rows))
        flush_to_disk(aside)
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _lines(rows: Any) -> Iterator[list[Any]]:
    """Yield the names of the columns, and then each row."""
    names = rows.dtype.names
    yield list(names) if names else [FIRST_COLUMN]
    at_once = _AT_ONCE
    if names:
        at_once = max(1, min(at_once, _CELLS_AT_ONCE // len(names)))
    for start in range(0, len(rows), at_once):
        piece = np.asarray(rows[start : start + at_once])
        yield from zip(*(_cells(piece[name]) for name in piece.dtype.names or ()), strict=True)


def _cells(column: Any) -> list[Any]:
    """Return a column as what is written: floating-point numbers by the digits that tell them from
    others.
    """
    if column.dtype.kind == "f" and column.dtype.itemsize != 8:
        return [str(number) for number in column]
    cells: list[Any] = column.tolist()
    return cells
