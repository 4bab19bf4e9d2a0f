"""Values and tables in the words of people; what comes from a file is made printable in tables
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpipar.base.text import printable, several

_LONGEST_TEXT = 300
_FEW_ITEMS = 8


def one_line(value: Any) -> str:
    """Return a value in one line that isn't too long."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        value = _list_in_line(value)
    words = " ".join(str(value).split())
    if len(words) > _LONGEST_TEXT:
        return f"{words[:_LONGEST_TEXT]}…"
    return words


def _list_in_line(items: list[Any]) -> str:
    first = ", ".join(map(str, items[:_FEW_ITEMS]))
    if len(items) > _FEW_ITEMS:
        return f"[{first}, … ({len(items)} in all)]"
    return f"[{first}]"


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return several(count, "byte")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines whose columns are under each other: numbers to the right, words to the left."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = []
    are_numbers = []
    for column in range(max(map(len, rows))):
        cells = [row[column] for row in rows if column < len(row)]
        widths.append(max(map(len, cells)))
        are_numbers.append(all(map(_is_number, cells[1:])))
    lines = []
    for row in rows:
        padded = []
        for cell, width, is_number in zip(row, widths, are_numbers, strict=False):
            padded.append(cell.rjust(width) if is_number else cell.ljust(width))
        lines.append("  ".join(padded).rstrip())
    return lines


def _is_number(cell: str) -> bool:
    digits = cell
    for sign in ("_", ".", "-", "e+"):
        digits = digits.replace(sign, "")
    return digits.isdigit() or cell in ("", "nan")
