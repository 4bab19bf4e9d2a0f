"""Pickles of what is defined in the main script, which workers can't import.

The script may not be imported again: without ``if __name__ == "__main__"`` it would run again. So
what is pickled names its functions and classes, and the *definitions* of these names, pickled by
value, follow once for each worker::

    root                                              worker
    f(x) uses g, DATA ──▶ pickle: "main's f"     ──▶  looks f up in its copy of main's names
                          definitions: f, g, DATA ──▶ puts them there, unless it has them

A name is sent again when another object is bound to it; an object that is changed in place is not,
as for the workers of multiprocessing, which are copies of the script from when the pool was made. A
worker's own changes (an initializer that sets a global variable) stay, until the script binds that
name again.

Functions without a name in the script (lambdas, closures) get one here when they are handed to a
pool.
"""

from __future__ import annotations

import copyreg
import functools
import io
import pickle
import sys
import threading
from collections import ChainMap
from types import CodeType, FunctionType, MethodType
from typing import Any, NamedTuple

import cloudpickle
from cloudpickle.cloudpickle import _extract_code_globals, _function_setstate

from mpipar.pool import (
    main_names,
    mapped_files,
    originals,
    reductions,
    remaking,
    shared_memory,
    sharing,
)
from mpipar.pool.main_names import GIVEN, own_names
from mpipar.pool.salvage import salvage
from mpipar.pool.structures import metaclass, without_fields
from mpipar.runtime.channel import Frames

_LARGE = 2**16  # bytes; buffers from here on travel as frames of their own

_MOST_WRAPPERS = 4

_Cached: Any = type(functools.cache(len))
_DEFINED = (type, _Cached, functools.cached_property)
_DISPATCHER = functools.singledispatch(len).__code__  # type: ignore[attr-defined]
_LOOK_UP = {"eval", "exec", "globals", "__main__"}  # a function that uses these may use any name


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles by name what the main script has a name for.

    Attributes
    ----------
    needed : set of str
        The main script's names that are used.
    stamps : list of dict
        What names stood for when the snapshots that are in it were made.
    lent : list or None
        What must be kept until the pickle isn't needed any more; None if nothing is shared with
        those who unpickle it.
    """

    def __init__(
        self,
        file: io.BytesIO,
        given: dict[int, str] | None = None,
        defined: str | None = None,
        *,
        lends: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(file, protocol=5, **options)
        self.needed: set[str] = set()
        self.stamps: list[Any] = []
        self.lent: list[Any] | None = [] if lends else None
        self._given = {} if given is None else given
        self._defined = defined  # the name whose definition this is
        # what is handed in is as plain pickle takes it
        self._defines_global = defined is not None and GIVEN not in defined
        self._main = own_names()

    dispatch_table = ChainMap(reductions.OF_TYPES, cloudpickle.Pickler.dispatch_table)  # noqa: RUF012

    def reducer_override(self, obj: Any) -> Any:  # noqa: D102 (called for almost every object)
        kind = type(obj)
        if originals.has_any:
            original = originals.reduced(obj)
            if original is not None:
                return original
        module = kind.__module__
        if module == "mpipar.pool.snapshot":
            self.stamps += getattr(obj, "stamps", None) or [getattr(obj, "stamp", {})]
        if self._defines_global:
            reduced = self._reduced_in_global(obj)
            if reduced is not None:
                return reduced
        if module == "numpy" and kind.__name__ == "ndarray" and not obj.flags.writeable:
            return reductions.writable(obj)
        if sharing.is_shared(kind):
            return self._reduced_shared(obj)
        if kind is MethodType and _is_of_class(obj):
            # by name, as multiprocessing does, where its class is
            return getattr, (obj.__self__, obj.__name__)
        if kind is FunctionType or isinstance(obj, _DEFINED):
            return self._reduced_definable(obj)
        return NotImplemented

    def _reduced_in_global(self, obj: Any) -> Any:
        """Reduce what forked workers share, or have anew, in a global variable; None for all
        else.
        """
        reduced = (
            shared_memory.reduced(obj, self.lent)
            or mapped_files.reduced(obj)
            or reductions.of_global(obj)
            or remaking.reduced(obj)
        )
        if reduced is not None:
            return reduced
        if type(obj) is object:
            return self._reduced_sentinel(obj)
        return self._reduced_to_name(obj)

    def _reduced_shared(self, obj: Any) -> Any:
        if type(obj).__module__ == "multiprocessing.synchronize" and _is_tqdms(obj):
            return threading.RLock, ()  # process_map of tqdm hands its lock to all workers
        return sharing.reduced(obj, self.lent)

    def _reduced_definable(self, obj: Any) -> Any:
        """Reduce a function, class or the like: to its name, if the main script has one for it."""
        if isinstance(obj, functools.cached_property):
            return reductions.cached_property, (obj.func, obj.attrname)  # it may have a lock
        path = self._path(obj)
        if path is None:
            return self._reduced(obj)
        name = path.partition("\0")[0]
        if name != self._defined:  # neither what is being defined, nor something inside it
            self.needed.add(name)
            return main_names.named, (path,)
        reduced = self._reduced(obj)
        if path == name and isinstance(reduced, tuple):
            return main_names.begun, (name, *reduced[:2]), *reduced[2:]
        return reduced

    def _reduced(self, obj: Any) -> Any:
        """Reduce a function, class or the like by value."""
        if isinstance(obj, _Cached):
            if getattr(obj, "__module__", None) != "__main__":
                return NotImplemented  # by name
            return reductions.cached, (obj.__wrapped__, obj.cache_parameters())
        if type(obj) is FunctionType:
            return self._reduced_function(obj)
        if not isinstance(obj, type):
            return super().reducer_override(obj)
        reduced = metaclass(obj) or without_fields(obj, super().reducer_override(obj))
        return reductions.by_value(obj, reduced)

    def _reduced_function(self, obj: FunctionType) -> Any:
        if obj.__code__ is _DISPATCHER:
            return reductions.single_dispatch, (dict(obj.registry),)  # type: ignore[attr-defined]
        if obj.__globals__ is not self._main:
            return reductions.by_method(obj) or super().reducer_override(obj)
        _, arguments, (state, slots), *_ = self._dynamic_function_reduce(obj)
        # also those that have no value yet
        self.needed.update(_extract_code_globals(obj.__code__))
        if _uses(obj.__code__, _LOOK_UP):
            self.needed.update(name for name in list(self._main) if not name.startswith("__"))
        slots["__globals__"] = {}
        made_of = arguments[0], arguments[4]
        return main_names.function, made_of, (state, slots), None, None, _function_setstate

    def _reduced_sentinel(self, obj: Any) -> Any:
        """Reduce an object that is nothing but itself: to its name, if it has one."""
        name = self._name_of(obj)
        if name is None or name == self._defined:
            return NotImplemented
        self.needed.add(name)
        return main_names.named, (name,)

    def _reduced_to_name(self, obj: Any) -> Any:
        """Reduce an object that tells its own name, as a user's sentinel does, or a NewType; None
        for those that pickle knows itself.
        """
        kind = type(obj)
        if kind in self.dispatch_table or sharing.is_shared(kind):
            return None
        if type(kind.__reduce__) is not FunctionType:
            return None
        reduced = obj.__reduce_ex__(5)
        if not isinstance(reduced, str):
            return reduced
        if self._main.get(reduced) is not obj:
            return reduced
        if reduced == self._defined:
            return copyreg.__newobj__, (kind,), obj.__getstate__()  # type: ignore[attr-defined]
        self.needed.add(reduced)
        return main_names.named, (reduced,)

    def _name_of(self, obj: Any) -> str | None:
        for name, value in list(self._main.items()):
            if value is obj:
                return name
        return None

    def _path(self, obj: Any) -> str | None:
        """Return the name of a function or class, if it is in the main script and has one there."""
        if getattr(obj, "__module__", None) == "__main__":
            first, *rest = obj.__qualname__.split(".")
            found = self._main.get(first)
            for attribute in rest:
                found = getattr(found, attribute, None)
            for _ in range(_MOST_WRAPPERS):
                if found is obj:
                    return "\0".join((first, *rest))
                found = getattr(found, "__wrapped__", None)  # of a function that is decorated
                rest.append("__wrapped__")
        return self._given.get(id(obj))


def _is_of_class(method: MethodType) -> bool:
    """Return whether a method is of a class itself, which has it under its name."""
    owner = method.__self__
    return isinstance(owner, type) and getattr(owner, method.__name__, None) == method


def _is_tqdms(lock: Any) -> bool:
    tqdm = sys.modules.get("tqdm.std")
    return tqdm is not None and lock is getattr(tqdm.TqdmDefaultWriteLock, "mp_lock", None)


def _uses(code: CodeType, names: set[str]) -> bool:
    """Return whether a function, or one inside it, uses one of some names."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return not names.isdisjoint(code.co_names) or any(_uses(each, names) for each in inner)


class Pickled(NamedTuple):
    """A pickle.

    Attributes
    ----------
    frames : list
        The pickle itself, and its large buffers.
    needed : set of str
        The names of the main script in it.
    stamps : list of dict
        {name: definition} of the snapshots in it.
    lent : list
        What must be kept until it isn't needed any more.
    """

    frames: Frames
    needed: set[str]
    stamps: list[Any]
    lent: list[Any]


def dumps(
    value: Any,
    given: dict[int, str] | None = None,
    *,
    defined: str | None = None,
    lends: bool = False,
) -> Pickled:
    """Pickle a value.

    Parameters
    ----------
    value : object
    given : dict, optional
        {id of a function: the name that it was given}.
    defined : str, optional
        The global variable that it is the value of.
    lends : bool
        Whether those who unpickle it share this process's locks, queues and the like.

    Raises
    ------
    Exception
        If it can't be pickled.
    """
    file = io.BytesIO()
    buffers = _Buffers()
    pickler = Pickler(
        file,
        given,
        defined,
        lends=lends,
        buffer_callback=buffers.keep_apart,
    )
    _dump(pickler, value)
    # No getbuffer(): Python 3.13 complains where such a view is part of a cycle that it clears.
    frames: Frames = [file.getvalue(), *buffers.found]
    return Pickled(frames, pickler.needed, pickler.stamps, pickler.lent or [])


class _Buffers:
    """The large buffers that a pickler meets, which become frames of their own."""

    def __init__(self) -> None:
        self.found: list[memoryview] = []

    def keep_apart(self, buffer: pickle.PickleBuffer) -> bool:
        """Return whether a buffer is to be within the pickle."""
        with buffer.raw() as view:
            if view.nbytes < _LARGE:
                return True
        self.found.append(buffer.raw())
        return False


def _dump(pickler: Pickler, value: Any) -> None:
    try:
        pickler.dump(value)
    except RuntimeError as error:
        if "inheritance" in str(error):
            error.add_note(
                "it reaches only processes that inherit it, on one node; take one of a Manager()"
            )
        raise


class Reused:
    """Pickles values one after the other, for one thread: a pickler of its own would take longer
    than small ones.
    """

    def __init__(self, given: dict[int, str]) -> None:
        self._given = given
        self._is_busy = False
        self._renew()

    def _renew(self) -> None:
        self._file, self._buffers = io.BytesIO(), _Buffers()
        self._pickler = Pickler(
            self._file, self._given, lends=True, buffer_callback=self._buffers.keep_apart
        )

    def dumps(self, value: Any) -> Pickled | None:
        """Pickle a value; None if this is pickling already."""
        if self._is_busy:
            return None
        pickler = self._pickler
        self._is_busy = True
        try:
            _dump(pickler, value)
            frames: Frames = [self._file.getvalue(), *self._buffers.found]
            return Pickled(frames, pickler.needed, pickler.stamps, pickler.lent or [])
        finally:
            if self._file.tell() > _LARGE:  # its memo would be long to clear each time
                self._renew()
            else:
                self._forget()
            self._is_busy = False

    def _forget(self) -> None:
        self._buffers.found = []
        self._file.seek(0)
        self._file.truncate()
        self._pickler.clear_memo()
        self._pickler.globals_ref.clear()
        self._pickler.needed = set()
        self._pickler.stamps = []
        self._pickler.lent = []


def loads(frames: Frames) -> Any:
    """Return the value of a pickle; its arrays use the memory of the frames."""
    return pickle.loads(frames[0], buffers=frames[1:])


def loads_each(frames: Frames) -> list[Any]:
    """Return the values of a pickled list; those that can't be unpickled are Broken.

    Raises
    ------
    Exception
        If none can.
    """
    try:
        return loads(frames)  # type: ignore[no-any-return]
    except Exception:
        return salvage(frames[0], frames[1:])
