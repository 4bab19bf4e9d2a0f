"""Whether values have an object in common that can change: then they aren't independent of each
other.

What pickling a value would meet is found by the garbage collector's means, level by level.
"""

from __future__ import annotations

import enum
import gc
import logging
from collections.abc import Sequence
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from mpipar.pool.constant import are_constant, is_array, is_constant_kind

# pickled by name, or the same for all processes
_BY_NAME = (
    type,
    FunctionType,
    BuiltinFunctionType,
    CodeType,
    ModuleType,
    enum.Enum,
    logging.Logger,
)
_THERE_IS_ONE = ("multiprocessing.", "mpipar.pool.")  # of a lock, a queue, a proxy
_CONTAINERS = {list, tuple, dict, set}  # told quickly
# values that are looked at, fewer if there is much in them, and objects in all of these
_LOOKS = (
    (2**12, 2**14),
    (2**6, 2**16),
)


class _TooMany(Exception):
    """There are more objects than are looked at."""


def have_common(values: Sequence[Any]) -> bool:
    """Return whether some values, of the first ones, have an object in common that can change, or
    so much in them that it would take long to tell.
    """
    if isinstance(values, range):
        return False
    for count, most in _LOOKS:
        first = values[:count]
        if are_constant(first):
            return False
        try:
            return _meet_again(first, most) and _have(first, most)
        except _TooMany:
            continue
    return True


def _meet_again(values: Sequence[Any], most: int) -> bool:
    """Return whether an object that can change is met twice in some values, by whatever way.

    Raises
    ------
    _TooMany
        If they have more than ``most``.
    """
    seen: set[int] = set()
    expected = 0
    level = _changeable(values)
    while level:
        if expected + len(level) > most:
            raise _TooMany
        met = _with_identity(level)
        seen.update(map(id, met))
        expected += len(met)
        if len(seen) < expected:
            return True
        level = _changeable(_inside(level))
    return False


def _have(values: Sequence[Any], most: int) -> bool:
    """Return whether a value has an object that another has, too: one may well meet itself. Raises
    as above.
    """
    seen: set[int] = set()
    for value in values:
        own = _all_of(value, most - len(seen))
        if not seen.isdisjoint(own):
            return True
        seen |= own
    return False


def _all_of(value: Any, most: int) -> set[int]:
    """Return the identities of all objects in a value that can change. Raises as above."""
    entered: set[int] = set()
    own: set[int] = set()
    level = _changeable([value])
    while level:
        new = {id(each): each for each in level if id(each) not in entered}
        entered.update(new)
        if len(entered) > most:
            raise _TooMany
        level = list(new.values())
        own.update(map(id, _with_identity(level)))
        level = _changeable(_inside(level))
    return own


def _inside(values: Sequence[Any]) -> list[Any]:
    """Return what values refer to."""
    found = gc.get_referents(*values)
    found += _in_arrays(values)  # which the collector doesn't look into
    return found


def _in_arrays(values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    kinds = set(map(type, values))
    names = {kind.__name__ for kind in kinds}
    if "ndarray" not in names:
        return found
    for value in filter(is_array, values):
        if value.dtype.hasobject:
            found += value.ravel().tolist()
    return found


def _changeable(values: Sequence[Any]) -> Sequence[Any]:
    """Return those of some values in which something can change."""
    kinds = set(map(type, values))
    changeable = set(filter(_can_change, kinds))
    if len(changeable) == len(kinds):
        return values
    if not changeable:
        return ()
    return [value for value in values if type(value) in changeable]


def _with_identity(values: Sequence[Any]) -> Sequence[Any]:
    """Return values without those of which only what is in them can change."""
    kinds = set(map(type, values))
    transparent = set(filter(_is_transparent, kinds))
    if not transparent:
        return values
    return [value for value in values if type(value) not in transparent]


def _is_transparent(kind: type) -> bool:
    if kind is frozenset:
        return True
    return issubclass(kind, tuple) and not kind.__dictoffset__


def _can_change(kind: type) -> bool:
    if kind in _CONTAINERS:
        return True
    if is_constant_kind(kind) or issubclass(kind, _BY_NAME):
        return False
    return not any(base.__module__.startswith(_THERE_IS_ONE) for base in kind.__mro__)
