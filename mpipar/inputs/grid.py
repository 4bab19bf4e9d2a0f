"""Grids of parameters in TOML files.

::

    temperature = [280.0, 300.0]    a list is an axis
    pressure    = [1, 2, 5]         the last axis varies fastest
    model       = "ideal"           anything else is the same in all rows

has 2 × 3 rows and the columns temperature, pressure and model.
"""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.core.parameters import LARGEST_INT
from mpipar.inputs.common import read_text, reason_of
from mpipar.inputs.csv_table import check_column

_KINDS = (bool, int, float, str)


class Grid:
    """All combinations of values, as a :class:`~mpipar.inputs.table.Table`.

    A row is made when it is asked for.
    """

    def __init__(self, path: Path) -> None:
        try:
            found = tomllib.loads(read_text(path))
        except BadInput:
            raise
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{str(path)!r}: not TOML: {reason_of(error)}") from None
        if not found:
            raise BadInput(f"{str(path)!r}: there are no keys in it")
        self.columns = tuple(found)
        self._axes = {key: _axis(path, key, value) for key, value in found.items()}
        self._rows = math.prod(map(len, self._axes.values()))
        if self._rows > LARGEST_INT:
            raise BadInput(f"{str(path)!r}: the grid has more than {LARGEST_INT} rows")
        self._path = path

    def __len__(self) -> int:
        return self._rows

    def row(self, index: int) -> dict[str, Any]:
        """Return the values of a row: the digits of its number, where each axis is a place."""
        if not -self._rows <= index < self._rows:
            raise IndexError(f"row {index} of {self._rows}")
        values = []
        for key in reversed(self.columns):
            axis = self._axes[key]
            index, place = divmod(index, len(axis))
            values.append(axis[place])
        values.reverse()
        return dict(zip(self.columns, values, strict=True))

    def column(self, name: str) -> list[Any]:
        """Return the values of a column, one for each row."""
        check_column(self._path, name, self.columns)
        place = self.columns.index(name)
        lengths = list(map(len, self._axes.values()))
        before = math.prod(lengths[:place])
        after = math.prod(lengths[place + 1 :])
        once: list[Any] = []
        for value in self._axes[name]:
            once += [value] * after
        return once * before


def _axis(path: Path, key: str, value: Any) -> list[Any]:
    """Return the values of a key, all of one type."""
    axis = value if isinstance(value, list) else [value]
    if not axis:
        raise BadInput(f"{str(path)!r}: {key!r} is an empty list")
    kinds = {type(item) for item in axis}
    for kind in kinds - set(_KINDS):
        expected = "a number, text, true or false, or a list"
        raise BadInput(f"{str(path)!r}: {key!r}: expected {expected}, got a {kind.__name__}")
    if kinds == {int, float}:
        return list(map(float, axis))
    if len(kinds) > 1:
        names = sorted(kind.__name__ for kind in kinds)
        raise BadInput(f"{str(path)!r}: {key!r} mixes {' and '.join(names)}")
    return axis
