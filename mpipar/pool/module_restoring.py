"""In a worker: what the script has changed in modules, put where it belongs."""

from __future__ import annotations

import functools
import importlib
import io
import pickle
import sys
from collections import defaultdict, deque
from types import ModuleType
from typing import Any

from mpipar.pool import originals
from mpipar.pool.arrivals import on_arrival
from mpipar.pool.module_changes import Change
from mpipar.pool.module_homes import Homes
from mpipar.pool.module_pickles import StatePickler
from mpipar.pool.module_places import Place, taken
from mpipar.runtime.channel import Frames
from mpipar.runtime.outlets import note

_LISTS = (list, deque)
_TABLES = (dict, set)


_frames: list[Any] = []  # of what is large


def put_first(changes: list[Change], frames: Frames) -> None:
    """Put what doesn't need the main script's names where it belongs, once its module is there.

    Parameters
    ----------
    changes : list of Change
    frames : list
        Those of changes that are large.
    """
    _frames[:] = frames
    _put_all([each for each in changes if not each.needs_names])


def put_rest(changes: list[Change]) -> None:
    """Put what needs the main script's names where it belongs; as :func:`put_first`."""
    _put_all([each for each in changes if each.needs_names])


_undone: dict[tuple[str, str], Change] = {}


def _put_all(changes: list[Change]) -> None:
    of_module: defaultdict[str, list[Change]] = defaultdict(list)
    for each in changes:
        of_module[each.module].append(each)
        _undone[each.home] = each
    for name, its in of_module.items():
        on_arrival(name, functools.partial(_put_into, changes=its))


def _put_into(module: ModuleType, changes: list[Change]) -> None:
    for each in changes:
        _put_once(module, each)


def _put_once(module: ModuleType, change: Change) -> None:
    """Put a value where it belongs, unless another that refers to it has had that done."""
    if _undone.pop(change.home, None) is None:
        return
    try:
        _put(module, change, _homes(len(sys.modules)))
    except Exception as error:
        name = ".".join(change.home)
        note(f"mpipar: a worker can't have the script's {name}: {error!r}")


@functools.lru_cache(maxsize=1)
def _homes(_: int) -> Homes:
    """Return the homes of objects, for a number of modules."""
    return Homes()


def _put(module: ModuleType, change: Change, homes: Homes) -> None:
    *steps, last = [step.key for step in change.steps]
    holder: Any = module
    for name in steps:
        holder = getattr(holder, name)
    twin: Any = None
    try:
        twin = taken(holder, last)
        if not change.large and _pickled(twin, change, homes) == change.pickled:
            return
    except Exception:  # there is nothing, or it can't be pickled
        twin = None
    value = _value(change)
    others = set(homes.places_of(twin)) - {*change.also, (change.module, last)}
    if not (change.is_rebound or others) and _fill(twin, value):
        return
    originals.keep(*change.home, getattr(holder, last, None))
    setattr(holder, last, value)


def _value(change: Change) -> Any:
    frames: list[Any] = [change.pickled]
    if change.large:
        frames = _frames[change.large.start : change.large.stop]
    pickled, *buffers = frames
    return _Unpickler(io.BytesIO(pickled), buffers=buffers).load()


def _pickled(twin: Any, change: Change, homes: Homes) -> bytes:
    return StatePickler(homes, Place(change.module, change.steps, twin)).dumps(twin)


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, place: tuple[str, str]) -> Any:
        """Return the object that has its home there."""
        name, attribute = place
        module = importlib.import_module(name)
        if place in _undone:
            _put_once(module, _undone[place])
        return getattr(module, attribute)


def _fill(twin: Any, value: Any) -> bool:
    """Let an object have what another has, so that whoever has it sees it; return whether that can
    be done.
    """
    kind = type(twin)
    if kind is not type(value) or isinstance(twin, type):
        return False
    if isinstance(twin, _LISTS):
        twin.clear()
        twin.extend(value)
    elif isinstance(twin, _TABLES):
        twin.clear()
        twin.update(value)
    elif _is_array(twin):
        return _fill_array(twin, value)
    elif kind.__module__ not in sys.stdlib_module_names:
        return _fill_object(twin, value)
    else:
        return False
    if hasattr(twin, "__dict__"):
        _fill_object(twin, value)
    return True


def _fill_object(twin: Any, value: Any) -> bool:
    """Let an object have the attributes of another; not if it has slots, or is made otherwise."""
    kind: Any = type(twin)
    if (kind.__reduce_ex__, kind.__reduce__) != (object.__reduce_ex__, object.__reduce__):
        return False
    if any("__slots__" in vars(base) for base in kind.__mro__[:-1]):
        return False
    own = getattr(twin, "__dict__", None)
    if not isinstance(own, dict):
        return False
    own.clear()
    own.update(vars(value))
    return True


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray


def _fill_array(twin: Any, value: Any) -> bool:
    if twin.shape != value.shape or twin.dtype != value.dtype or not twin.flags.writeable:
        return False
    twin[...] = value
    return True
