"""CSV files: their cells, and tables of them."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.base.text import did_you_mean
from mpipar.inputs.cells import (
    converted,
    fit_in_64_bits,
    guessed,
    looks_like_number,
    parsed,
    prints_back,
)
from mpipar.inputs.common import at_line, listed, read_text, shortened


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


@dataclass(frozen=True, slots=True)
class Reading:
    """How a CSV file is read.

    Attributes
    ----------
    types : tuple of (str, str)
        Columns whose types are known, and these; see :mod:`mpipar.inputs.cells`. The others are
        guessed.
    hints : tuple of (str, str)
        The same, of columns that need not be there.
    delimiter : str
        What separates cells; if empty, comma, semicolon or tab, whichever the header line has.
    decimal : str
        The decimal point.
    comment : str
        What lines begin with that are left out; if empty, there are none.
    """

    types: tuple[tuple[str, str], ...] = ()
    hints: tuple[tuple[str, str], ...] = ()
    delimiter: str = ""
    decimal: str = "."
    comment: str = ""


class CsvTable:
    """A CSV file as a :class:`~mpipar.inputs.table.Table`; each column has one type."""

    def __init__(self, path: Path, reading: Reading | None = None) -> None:
        reading = reading or Reading()
        cells = read_cells(path, reading)
        self.columns = cells.columns
        self.notes: list[str] = []
        self._path = path
        types = dict(reading.types)
        for name in types:
            check_column(path, name, self.columns)
        types = dict(reading.hints) | types
        by_column = zip(*cells.rows, strict=True)
        self._values: dict[str, list[Any]] = {}
        for name, texts in zip(self.columns, by_column, strict=True):
            if name in types:
                self._values[name] = self._converted(
                    name, types[name], list(texts), cells.lines, reading.decimal
                )
            else:
                self._values[name] = guessed(list(texts), reading.decimal)
                self._note(name, list(texts), cells.lines)

    def __len__(self) -> int:
        return len(self._values[self.columns[0]])

    def row(self, index: int) -> dict[str, Any]:
        """Return the values of a row."""
        return {name: values[index] for name, values in self._values.items()}

    def column(self, name: str) -> list[Any]:
        """Return the values of a column."""
        check_column(self._path, name, self.columns)
        return list(self._values[name])

    def _converted(
        self, name: str, kind: str, texts: list[str], lines: list[int], decimal: str
    ) -> list[Any]:
        """Return the values of a column whose type is known. Raises BadInput, with the line."""
        values = []
        for text, line in zip(texts, lines, strict=True):
            try:
                values.append(converted(text, kind, decimal))
            except ValueError as error:
                raise at_line(self._path, line, f"column {name!r}: {error}") from None
        numbers = [value for value in values if value is not None]
        if kind in ("int", "int?") and numbers and not fit_in_64_bits(numbers):
            raise BadInput(
                f"{str(self._path)!r}, column {name!r}: no type of 64 bits holds all of its numbers"
            )
        if (
            kind == "int?"
            and len(numbers) < len(values)
            and max(map(abs, numbers), default=0) > 2**53
        ):
            raise BadInput(
                f"{str(self._path)!r}, column {name!r}: with empty cells, numbers over 2**53 can't"
                " be stored"
            )
        return values

    def _note(self, name: str, texts: list[str], lines: list[int]) -> None:
        """Tell of a column that stays text, though most of it looks like numbers."""
        if not isinstance(self._values[name][0], str):
            return
        filled = [text for text in texts if text]
        if 2 * sum(map(looks_like_number, filled)) < max(1, len(filled)):
            return
        odd = next((place for place, text in enumerate(texts) if not prints_back(text)), None)
        if odd is None:
            why = ""
        elif texts[odd]:
            why = (
                f", as {shortened(texts[odd])} in line {lines[odd]} would not print back as it was"
            )
        else:
            why = f", as the cell in line {lines[odd]} is empty"
        has_comma = any("," in text for text in filled)
        how = (
            "--decimal , reads decimal commas"
            if has_comma
            else f"for numbers, --types {name}=float"
        )
        self.notes.append(f"{str(self._path)!r}: column {name!r} is text{why}; {how}")


def check_column(path: Path, name: str, columns: tuple[str, ...]) -> None:
    """Raise BadInput if there is no such column."""
    if name not in columns:
        hint = did_you_mean(name, columns)
        raise BadInput(
            f"{str(path)!r} has no column {name!r}{hint or f'; its columns are {listed(columns)}'}"
        )


def read_cells(path: Path, reading: Reading | None = None) -> Cells:
    """Read a CSV file with a header line; empty lines are skipped. Raises BadInput, with the
    line.
    """
    reading = reading or Reading()
    text = read_text(path)
    if reading.comment:
        kept = [
            "" if line.lstrip().startswith(reading.comment) else line for line in text.split("\n")
        ]
        text = "\n".join(kept)
        if not text.strip():
            raise BadInput(f"{str(path)!r}: there are only comments in it")
    delimiter = reading.delimiter or _delimiter_of(path, text)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    found: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            if row:
                found.append((reader.line_num, [cell.strip() for cell in row]))
                if len(row) != len(found[0][1]):
                    raise at_line(
                        path, reader.line_num, f"expected {len(found[0][1])} values, got {len(row)}"
                    )
    except csv.Error as error:
        raise at_line(path, reader.line_num, error) from None
    line, columns = found.pop(0)
    _check_header(path, line, columns)
    if not found:
        raise BadInput(f"{str(path)!r}: there are no rows under the header line")
    return Cells(tuple(columns), [row for _, row in found], [line for line, _ in found])


def _delimiter_of(path: Path, text: str) -> str:
    """Return what separates the names in the header line. Raises BadInput if that can't be told."""
    header = re.sub(r'"[^"]*"', "", text.lstrip().partition("\n")[0])
    found = [delimiter for delimiter in ",;\t" if delimiter in header]
    if len(found) > 1:
        raise BadInput(
            f"{str(path)!r}: separated by {' or '.join(map(repr, found))}? Put names that have one"
            " of them in quotes"
        )
    return found[0] if found else ","


def _check_header(path: Path, line: int, columns: list[str]) -> None:
    if all(parsed(name) is not None for name in columns):
        raise at_line(
            path, line, f"expected the names of the columns, got {columns[0]!r}; add a header line"
        )
    for name in columns:
        if not name:
            raise at_line(path, line, "a column has no name")
        if columns.count(name) > 1:
            raise at_line(path, line, f"two columns have the name {name!r}")
