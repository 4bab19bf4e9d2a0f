"""Where in the script's modules is what processes share: global variables, in classes, in
containers.

A *place* is a module and the steps from there to what holds a value: attributes of classes, objects
and functions (of which closures and defaults are attributes, too), and items of lists and dicts. A
tuple or a set can't be given other members, so it counts as the value itself.
"""

from __future__ import annotations

import argparse
import functools
import mmap
import sys
from collections import UserDict, UserList, deque
from collections.abc import Iterator
from types import (
    BuiltinFunctionType,
    CellType,
    FunctionType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from mpipar.base.own_files import is_own
from mpipar.pool import shared_memory, sharing
from mpipar.pool.reductions import is_manager

_LONGEST = 4096  # longer containers hold data
_PLAIN = {int, float, complex, str, bytes, bytearray, bool, type(None), range}
_ARE_LOOKED_INTO = (SimpleNamespace, argparse.Namespace, UserDict, UserList)  # of Python's classes
_CONTAINERS = (dict, list, tuple, deque)
_Cached: Any = type(functools.cache(len))
_WRAPPERS = (staticmethod, classmethod, property, functools.cached_property, _Cached)
_WRAPPED = ("__func__", "fget", "fset", "fdel", "func", "__wrapped__")
_OF_PARTIAL = ("func", "args", "keywords")

ATTRIBUTE = "attribute"
ITEM = "item"


class Step(NamedTuple):
    """From what holds a value to the value.

    Attributes
    ----------
    kind : str
        ATTRIBUTE or ITEM.
    key : object
        The attribute's name, an index, or a key.
    """

    kind: str
    key: Any


Steps: TypeAlias = tuple[Step, ...]
Members: TypeAlias = list[tuple[Step, Any]]


class Place(NamedTuple):
    """Where something is that processes share.

    Attributes
    ----------
    module : str
    steps : tuple of Step
        From the module to the value.
    value : object
    """

    module: str
    steps: Steps
    value: Any

    @property
    def name(self) -> str:
        """Return what a reader would write for it."""
        return self.module + "".join(
            f".{key}" if kind == ATTRIBUTE else f"[{key!r}]" for kind, key in self.steps
        )

    @property
    def path(self) -> tuple[str, str]:
        """Return the module, and the attributes that lead to the value."""
        return self.module, ".".join(str(step.key) for step in self.steps)


Value = TypeVar("Value")


class ForWorkers(Generic[Value]):
    """What modules have, for workers.

    Attributes
    ----------
    values : list
    needed : set of str
        The names of the main script that these need.
    lent : list
        What they need of this process.
    """

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.needed: set[str] = set()
        self.lent: list[Any] = []


def taken(holder: Any, name: str) -> Any:
    """Return an attribute as it is, not what a descriptor makes of it."""
    if isinstance(holder, type):
        return vars(holder)[name]
    return getattr(holder, name)


def places_of_modules() -> Iterator[Place]:
    """Yield all places in the user's own modules, but for the main one."""
    search = _Search()
    for name, module in list(sys.modules.items()):
        if name in ("__main__", "__mp_main__") or type(module) is not ModuleType:
            continue
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and is_own_file(file):
            yield from search.through(name, module)


is_own_file = functools.cache(is_own)
"""The same, remembered."""


class _Search:
    """Looks through modules, and at each object once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._kept: list[Any] = []  # what was made here, so that no other object has its id

    def through(self, name: str, module: ModuleType) -> Iterator[Place]:
        """Yield the places in a module."""
        todo: list[tuple[Members, Steps]] = [(_attributes(module), ())]
        while todo:
            inside, steps = todo.pop()
            for step, value in inside:
                if type(value) in _PLAIN:
                    continue
                there = (*steps, step)
                if _is_seen_to_be_shared(value):
                    yield Place(name, there, value)
                elif id(value) not in self._seen:
                    todo += self._inside(value, there)

    def _inside(self, value: Any, steps: Steps) -> list[tuple[Members, Steps]]:
        """Return what is in a value that is there, to be looked through; nothing if it isn't."""
        try:
            found = _members(value)
        except Exception:  # of the user's own class, which doesn't want to be looked at
            return []
        if found is None:
            return []
        self._seen.add(id(value))
        self._kept.append(value)
        return [(found, steps)]


def _members(value: Any) -> Members | None:
    """Return what is in a value, with the step to each; None if it isn't looked into."""
    kind = type(value)  # isinstance would ask proxies what they stand for
    if issubclass(kind, type):
        return _of_class(value)
    if issubclass(kind, FunctionType):
        return _of_function(value)
    if kind is CellType:
        return _of_cell(value)
    if kind is MethodType:
        return [(Step(ATTRIBUTE, "__self__"), value.__self__)]
    if issubclass(kind, functools.partial):
        return [(Step(ATTRIBUTE, name), getattr(value, name)) for name in _OF_PARTIAL]
    if issubclass(kind, _WRAPPERS):
        return _of_wrapper(value)
    return _of_instance(value)


def _of_class(kind: type) -> Members | None:
    if not is_of_user(kind):
        return None
    return _attributes(kind)


def _of_instance(value: Any) -> Members | None:
    """Return what is in an object, and in a container; None if it isn't looked into."""
    kind = type(value)
    found = None
    if kind in _ARE_LOOKED_INTO or any(map(is_of_user, kind.__mro__)):
        found = of_object(value)
    if issubclass(kind, _CONTAINERS) and len(value) <= _LONGEST:
        return (found or []) + items_of(value)
    return found


def items_of(container: Any) -> Members:
    """Return what is in a container."""
    pairs = enumerate(container)
    if issubclass(type(container), dict):
        pairs = container.items()
    return [(Step(ITEM, key), each) for key, each in list(pairs)]


def _attributes(holder: Any) -> Members:
    return [(Step(ATTRIBUTE, name), value) for name, value in list(vars(holder).items())]


def _of_function(function: FunctionType) -> Members:
    found = _attributes(function)
    for name in ("__defaults__", "__kwdefaults__", "__closure__"):
        value = getattr(function, name)
        if value is not None:
            found.append((Step(ATTRIBUTE, name), value))
    return found


def _of_cell(cell: CellType) -> Members:
    try:
        return [(Step(ATTRIBUTE, "cell_contents"), cell.cell_contents)]
    except ValueError:  # it is empty
        return []


def _of_wrapper(wrapper: Any) -> Members:
    found = []
    for name in _WRAPPED:
        value = getattr(wrapper, name, None)
        if isinstance(value, FunctionType):
            found.append((Step(ATTRIBUTE, name), value))
    return found


def of_object(value: Any) -> Members:
    """Return what an object has of its own, in its slots, too."""
    found = []
    if isinstance(getattr(value, "__dict__", None), dict):
        found = _attributes(value)
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        if isinstance(slots, str):
            slots = (slots,)
        for name in tuple(slots):
            inside = getattr(value, name, None)
            if inside is not None and name not in ("__dict__", "__weakref__"):
                found.append((Step(ATTRIBUTE, name), inside))
    return found


def is_of_user(kind: type) -> bool:
    """Return whether a class is defined in one of the user's own modules."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and is_own_file(file)


def _is_seen_to_be_shared(value: Any) -> bool:
    try:
        return _is_shared(value)
    except Exception:  # of the user's own class, which doesn't want to be looked at
        return False


def _is_shared(value: Any) -> bool:
    """Return whether processes share a value, or one that it can't be without."""
    kind = type(value)
    if kind is BuiltinFunctionType:
        return type(value.__self__).__name__ == "SemLock"  # lock.acquire, say
    if kind is MethodType:
        return _is_shared(value.__self__)
    if issubclass(kind, functools.partial):
        return any(map(_is_shared, (*value.args, *value.keywords.values(), value.func)))
    if issubclass(kind, tuple):
        return len(value) <= _LONGEST and any(map(_is_shared, value))
    if issubclass(kind, (set, frozenset)):
        return len(value) <= _LONGEST and any(map(_reaches_shared, value))
    if issubclass(kind, mmap.mmap):
        return shared_memory.is_anonymous(value)
    return sharing.is_shared_by_itself(value) or _is_of_manager(kind)


def _is_of_manager(kind: type) -> bool:
    managers = sys.modules.get("multiprocessing.managers")
    return managers is not None and (issubclass(kind, managers.BaseProxy) or is_manager(kind))


def _reaches_shared(value: Any) -> bool:
    """Return whether there are steps from a value to what is shared."""
    holder = ModuleType("")
    vars(holder)["value"] = value
    return next(_Search().through("", holder), None) is not None
