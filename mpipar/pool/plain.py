"""Values that any pickler pickles in the same way: numbers, strings and the like."""

from __future__ import annotations

import itertools
import sys
from typing import Any

_PLAIN: set[type] = {int, float, complex, str, bytes, bool, type(None)}


def are_plain(items: Any) -> bool:
    """Return whether some items are plain: a range, a list of numbers, strings and the like, or of
    tuples of such.
    """
    if type(items) is range:
        return True
    if type(items) is not list:
        return False
    kinds = set(map(type, items))
    if kinds == {tuple}:
        kinds = set(map(type, itertools.chain.from_iterable(items)))
    return kinds <= _PLAIN or all(map(_is_plain, kinds))


def _is_plain(kind: type) -> bool:
    if kind in _PLAIN:
        return True
    if kind.__module__ != "numpy":
        return False
    numpy = sys.modules["numpy"]
    return issubclass(kind, (numpy.number, numpy.bool_))
