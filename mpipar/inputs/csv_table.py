"""CSV files: their cells, and tables of them."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.base.text import did_you_mean, several
from mpipar.inputs.cells import (
    converted,
    fit_in_64_bits,
    looks_like_number,
    parsed,
    prints_back,
)
from mpipar.inputs.common import at_line, listed, read_text_as_is, shortened
from mpipar.inputs.guesses import guessed

_Rows = list[list[str]]
_BLANKS = " \t"


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
    rows: _Rows
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
        self._lines = cells.lines
        self._decimal = reading.decimal
        for name, _ in reading.types:
            check_column(path, name, self.columns)
        types = dict(reading.hints) | dict(reading.types)
        self._values: dict[str, list[Any]] = {}
        by_column = zip(*cells.rows, strict=True)
        for name, texts in zip(self.columns, by_column, strict=True):
            kind = types.get(name)
            self._values[name] = self._values_of(name, list(texts), kind)

    def __len__(self) -> int:
        return len(self._values[self.columns[0]])

    def row(self, index: int) -> dict[str, Any]:
        """Return the values of a row."""
        return {name: values[index] for name, values in self._values.items()}

    def column(self, name: str) -> list[Any]:
        """Return the values of a column."""
        check_column(self._path, name, self.columns)
        return list(self._values[name])

    def _values_of(
        self,
        name: str,
        texts: list[str],
        kind: str | None,
    ) -> list[Any]:
        """Return the values of a column, and note what to tell of it. Raises BadInput.

        Blanks around numbers don't count; text is as it stands in the file.
        """
        if kind == "str":
            return texts
        stripped = [text.strip(_BLANKS) for text in texts]
        if kind is None:
            values = guessed(stripped, self._decimal)
            if isinstance(values[0], str):
                self._note_text(name, stripped)
                return texts
            return values
        values = self._converted(name, kind, stripped)
        if kind in ("int", "int?"):
            self._check_ints(name, values)
        return values

    def _converted(
        self,
        name: str,
        kind: str,
        texts: list[str],
    ) -> list[Any]:
        """Return the values of a column whose type is known. Raises BadInput, with the line."""
        values = []
        for text, line in zip(texts, self._lines, strict=True):
            try:
                values.append(converted(text, kind, self._decimal))
            except ValueError as error:
                raise at_line(self._path, line, f"column {name!r}: {error}") from None
        return values

    def _check_ints(self, name: str, values: list[Any]) -> None:
        """Raise BadInput unless one type holds all whole numbers of a column, and its gaps."""
        numbers = [value for value in values if value is not None]
        if not numbers:
            return
        where = f"{str(self._path)!r}, column {name!r}"
        if not fit_in_64_bits(numbers):
            raise BadInput(f"{where}: no type of 64 bits holds all of its numbers")
        has_gaps = len(numbers) < len(values)
        if has_gaps and max(map(abs, numbers)) > 2**53:
            raise BadInput(f"{where}: with empty cells, numbers over 2**53 can't be stored")

    def _note_text(self, name: str, texts: list[str]) -> None:
        """Tell of a column that stays text, if most of it looks like numbers."""
        filled = [text for text in texts if text]
        like_numbers = sum(map(looks_like_number, filled))
        if not filled or 2 * like_numbers < len(filled):
            return
        why = self._why_text(texts)
        how = f"for numbers, --types {name}=float"
        if "," in "".join(filled):
            how = "--decimal , reads decimal commas"
        self.notes.append(f"{str(self._path)!r}: column {name!r} is text{why}; {how}")

    def _why_text(self, texts: list[str]) -> str:
        """Return which cell keeps a column from being numbers, or nothing if no single one does."""
        for text, line in zip(texts, self._lines, strict=True):
            if not text:
                return f", as the cell in line {line} is empty"
            if parsed(text) is None:
                return f", as {shortened(text)} in line {line} is no number"
            if not prints_back(text):
                return f", as {shortened(text)} in line {line} would not print back as it was"
        return ""


def check_column(path: Path, name: str, columns: tuple[str, ...]) -> None:
    """Raise BadInput if there is no such column."""
    if name not in columns:
        hint = did_you_mean(name, columns) or f"; its columns are {listed(columns)}"
        raise BadInput(f"{str(path)!r} has no column {name!r}{hint}")


def read_cells(path: Path, reading: Reading | None = None) -> Cells:
    """Read a CSV file with a header line, and skip empty lines. Raises BadInput, with the line."""
    reading = reading or Reading()
    text = read_text_as_is(path)  # line ends in quoted cells stay as they are
    if reading.comment:
        text = _without_comments(text, reading.comment)
        if not text.strip():
            raise BadInput(f"{str(path)!r}: there are only comments in it")
    delimiter = reading.delimiter or _delimiter_of(path, text)
    rows, lines = _split(path, text, delimiter)
    columns = [name.strip() for name in rows.pop(0)]
    _check_header(path, lines.pop(0), columns)
    if not rows:
        raise BadInput(f"{str(path)!r}: there are no rows under the header line")
    return Cells(tuple(columns), rows, lines)


def _without_comments(text: str, comment: str) -> str:
    """Return a text in which lines of comments are empty, so that lines keep their numbers."""
    kept = []
    for line in io.StringIO(text, newline=""):
        is_comment = line.lstrip().startswith(comment)
        kept.append("\n" if is_comment else line)
    return "".join(kept)


def _split(
    path: Path,
    text: str,
    delimiter: str,
) -> tuple[_Rows, list[int]]:
    """Return the rows, all of one length, and the line of each. Raises BadInput."""
    limit = csv.field_size_limit(len(text) + 1)  # else some 128 KiB
    try:
        return _rows_of(path, text, delimiter)
    finally:
        csv.field_size_limit(limit)


def _rows_of(
    path: Path,
    text: str,
    delimiter: str,
) -> tuple[_Rows, list[int]]:
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        strict=True,
        skipinitialspace=delimiter != " ",
    )
    rows: _Rows = []
    lines = []
    try:
        for row in filter(None, reader):
            rows.append(row)
            lines.append(reader.line_num)
            expected = len(rows[0])
            if len(row) != expected:
                what = f"expected {several(expected, 'value')}, got {len(row)}"
                hint = "; --comment '#' leaves comments out" if text.startswith("#") else ""
                raise at_line(path, reader.line_num, what + hint)
    except csv.Error as error:
        raise at_line(path, reader.line_num, error) from None
    return rows, lines


def _delimiter_of(path: Path, text: str) -> str:
    """Return what separates the names in the header line. Raises BadInput if that can't be told."""
    header = re.split("[\r\n]", text.lstrip(), maxsplit=1)[0]
    header = re.sub(r'"[^"]*"', "", header)
    found = [delimiter for delimiter in ",;\t" if delimiter in header]
    if not found:
        return ","
    if len(found) > 1:
        which = " or ".join(map(repr, found))
        raise BadInput(
            f"{str(path)!r}: separated by {which}? Put names that have one of them in quotes"
        )
    return found[0]


def _check_header(path: Path, line: int, columns: list[str]) -> None:
    if all(parsed(name) is not None for name in columns):
        what = f"expected the names of the columns, got {columns[0]!r}; add a header line"
        raise at_line(path, line, what)
    for name, count in Counter(columns).items():
        if not name:
            raise at_line(path, line, "a column has no name")
        if count > 1:
            raise at_line(path, line, f"two columns have the name {name!r}")
