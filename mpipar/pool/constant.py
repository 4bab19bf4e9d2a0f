"""Values in which nothing can change, as far as that is told quickly."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable
from typing import Any

_CONSTANT: set[type] = {int, float, complex, str, bytes, bool, type(None), type(...), range}
_CONSTANT_ELSEWHERE = {
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "pathlib": {"PosixPath", "PurePosixPath"},
    "pathlib._local": {"PosixPath", "PurePosixPath"},  # of Python 3.13
    "uuid": {"UUID"},
}
_SNAPSHOTS = "mpipar.pool.snapshot"  # nothing changes in what is of it


def are_constant(items: Iterable[Any]) -> bool:
    """Return whether nothing can change in any of some values, as far as that is told quickly."""
    kinds = set(map(type, items))
    if kinds == {tuple}:
        kinds = set(map(type, itertools.chain.from_iterable(items)))
    return all(map(is_constant_kind, kinds))


def is_constant(item: Any) -> bool:
    """Return whether nothing can change in a value, as far as that is told quickly."""
    kind = type(item)
    if kind is tuple:
        if len(item) >= 10:
            return are_constant(item)
        return all(map(is_constant, item))
    return kind in _CONSTANT or is_constant_kind(kind)


def is_constant_kind(kind: type) -> bool:
    """Return whether nothing can change in objects of a class, as far as that is told quickly."""
    if kind in _CONSTANT or kind.__module__ == _SNAPSHOTS:
        return True
    if kind.__module__ == "numpy":
        numpy = sys.modules["numpy"]
        return issubclass(kind, (numpy.number, numpy.bool_))
    return kind.__name__ in _CONSTANT_ELSEWHERE.get(kind.__module__, ())


def is_array(value: Any) -> bool:
    """Return whether a value is an array of NumPy."""
    return type(value).__module__ == "numpy" and type(value).__name__ == "ndarray"
