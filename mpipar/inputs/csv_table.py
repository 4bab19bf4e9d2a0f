"""CSV files: their cells, and tables of them. Imports mpipar.core alone, of mpipar."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpipar.core.errors import BadInput
from mpipar.inputs.common import at_line, did_you_mean, listed, read_text


@dataclass(frozen=True, slots=True)
class Cells:
    """The text in a CSV file.

    Attributes
    ----------
    columns : tuple of str
        What is in the header line.
    rows : list of list of str
    lines : list of int
        Number of the (last) line of each row.
    """

    columns: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]


class CsvTable:
    """A CSV file as a :class:`~mpipar.inputs.table.Table`; each column has one type."""

    def __init__(self, path: Path) -> None:
        cells = read_cells(path)
        self.columns = cells.columns
        by_column = zip(*cells.rows, strict=True)
        self._values = {name: _typed(list(texts)) for name, texts in zip(self.columns, by_column, strict=True)}
        self._path = path

    def __len__(self) -> int:
        return len(self._values[self.columns[0]])

    def row(self, index: int) -> dict[str, Any]:
        """Return the values of a row."""
        return {name: values[index] for name, values in self._values.items()}

    def column(self, name: str) -> list[Any]:
        """Return the values of a column."""
        check_column(self._path, name, self.columns)
        return list(self._values[name])


def check_column(path: Path, name: str, columns: tuple[str, ...]) -> None:
    """Raise BadInput if there is no such column."""
    if name not in columns:
        hint = did_you_mean(name, columns)
        raise BadInput(f"{str(path)!r} has no column {name!r}{hint or f'; its columns are {listed(columns)}'}")


def read_cells(path: Path) -> Cells:
    """Read a CSV file with a header line; empty lines are skipped. Raises BadInput, with the line."""
    text = read_text(path)
    header = re.sub(r'"[^"]*"', "", text.lstrip().partition("\n")[0])
    reader = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=header.count), strict=True)
    found: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            if row:
                found.append((reader.line_num, [cell.strip() for cell in row]))
                if len(row) != len(found[0][1]):
                    raise at_line(path, reader.line_num, f"expected {len(found[0][1])} values, got {len(row)}")
    except csv.Error as error:
        raise at_line(path, reader.line_num, error) from None
    line, columns = found.pop(0)
    _check_header(path, line, columns)
    if not found:
        raise BadInput(f"{str(path)!r}: there are no rows under the header line")
    return Cells(tuple(columns), [row for _, row in found], [line for line, _ in found])


def _check_header(path: Path, line: int, columns: list[str]) -> None:
    if all(_float(name) is not None for name in columns):
        raise at_line(path, line, f"expected the names of the columns, got {columns[0]!r}; add a header line")
    for name in columns:
        if not name:
            raise at_line(path, line, "a column has no name")
        if columns.count(name) > 1:
            raise at_line(path, line, f"two columns have the name {name!r}")


def _typed(texts: list[str]) -> list[Any]:
    """Return the values of a column: all int, or float, or bool, or str."""
    for parse in (_int, _float_or_empty, _bool):
        values = [parse(text) for text in texts]
        if None not in values and (parse is not _float_or_empty or any(texts)):
            return values
    return texts


def _int(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,4000}", text) else None  # Python refuses longer ones


def _float(text: str) -> float | None:
    """Return a number, but not of what is one to Python alone: 1_000, or with digits of other scripts."""
    try:
        return float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None


def _float_or_empty(text: str) -> float | None:
    return _float(text) if text else float("nan")


def _bool(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())
