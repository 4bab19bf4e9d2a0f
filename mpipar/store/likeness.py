"""Whether values of any kind are those of a run before: digests of them.

Objects are looked at as pickle does: by what makes them and what they are made of. Functions and
classes are what their source is, with what of the user's own that uses
(:mod:`mpipar.store.source`).
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import types
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpipar.base.json_text import json_text
from mpipar.store.source import digests_of
from mpipar.store.values import Dumper, Unstorable, full_name

_MOST_GROUPS = 64
_FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    np.ufunc,
    type(len),
    type(str.upper),
    type(str.__len__),
)


def digest(value: Any) -> str:
    """Return a digest of what a value is. Raises Unstorable, naming the type that can't be told
    from others.
    """
    return hashlib.sha256(_Describer().dump(value)).hexdigest()


def digests_of_items(items: Sequence[Any]) -> dict[str, str]:
    """Return digests of items in at most 64 groups of neighbours, {"items 0 to 9": digest}. Raises
    Unstorable.
    """
    size = max(1, -(-len(items) // _MOST_GROUPS))
    digests = {}
    for start in range(0, len(items), size):
        group = items[start : start + size]
        name = f"item {start}" if len(group) == 1 else f"items {start} to {start + len(group) - 1}"
        digests[name] = digest(list(group))
    return digests


def named(function: Any) -> str:
    """Return what a function is called, with its module."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    module = getattr(function, "__module__", None) or type(function).__module__
    in_script = module in ("__main__", "__mp_main__")
    return str(name) if in_script else f"{module}.{name}"


def state_of(function: Any) -> str:
    """Return a digest of what a function has beside its source: defaults, what it is bound to,
    partial's arguments.
    """
    described = _Describer().dump(_Beside(function))
    return hashlib.sha256(described).hexdigest()


class _Beside:
    def __init__(self, function: Any) -> None:
        self.function = function


class _Describer(Dumper):
    """Makes bytes of values that tell them apart; nothing can be made of these again."""

    def __init__(self) -> None:
        super().__init__()
        self._around: list[int] = []  # the objects that this is within

    def other(self, value: Any) -> Any:
        if id(value) in self._around:
            return ["around", self._around.index(id(value))]
        self._around.append(id(value))
        try:
            return self._described(value)
        finally:
            self._around.pop()

    def _described(self, value: Any) -> Any:
        if isinstance(value, _Beside):
            return ["function", self._beside(value.function)]
        if isinstance(value, _FUNCTIONS):
            return ["function", named(value), self.plain(digests_of([value])), self._beside(value)]
        if isinstance(value, type):
            return [
                "class",
                full_name(value).replace("__mp_main__", "__main__"),
                self.plain(digests_of([value])),
            ]
        if isinstance(value, types.ModuleType):
            return ["module", value.__name__]
        if isinstance(value, np.ndarray) and value.dtype == object:
            return ["objects", list(value.shape), *map(self.plain, value.flat)]
        return ["object", *self._parts(value)]

    def _beside(self, function: Any) -> Any:
        """Return what stands for all that a function has beside its source."""
        if isinstance(function, functools.partial):
            return [
                self.plain(function.func),
                self.plain(function.args),
                self.plain(dict(function.keywords)),
            ]
        if isinstance(function, types.FunctionType):
            cells = [cell.cell_contents for cell in function.__closure__ or () if _is_full(cell)]
            beside = [function.__defaults__, function.__kwdefaults__, cells]
            return [self.plain(part) for part in beside]
        bound_to = getattr(function, "__self__", None)
        if bound_to is not None and not isinstance(bound_to, types.ModuleType):
            return self.plain(bound_to)
        if isinstance(function, (type, *_FUNCTIONS)) or inspect.isbuiltin(function):
            return None
        return self.plain(function)

    def _parts(self, value: Any) -> list[Any]:
        """Return what stands for what a value is made by, and of."""
        try:
            reduced = value.__reduce_ex__(4)
        except Exception:
            raise Unstorable(
                f"{full_name(type(value))} can't be compared with that of another run"
            ) from None
        if isinstance(reduced, str):
            return ["global", full_name(type(value)), reduced]
        parts = list(reduced[:3])
        for items in reduced[3:5]:  # iterators over those of a list, and of a dict
            parts.append(None if items is None else list(items))
        return [self.plain(part) for part in parts]

    def sorted(self, values: Any) -> list[Any]:
        digests = [["digest", digest(value)] for value in values]
        return sorted(digests, key=json_text)


def _is_full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 (it raises if there is nothing)
    except ValueError:
        return False
    return True
