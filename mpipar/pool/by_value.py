"""Pickles of what is defined in the main script, which workers can't import. Imports modules beside it.

The script may not be imported again: without ``if __name__ == "__main__"`` it would run again. So what is pickled names
its functions and classes, and the *definitions* of these names, pickled by value, follow once for each worker::

    root                                              worker
    f(x) uses g, DATA ──▶ pickle: "main's f"     ──▶  looks f up in its copy of main's names
                          definitions: f, g, DATA ──▶ puts them there, unless it has them

A name is sent again when another object is bound to it; an object that is changed in place is not, as for the workers
of multiprocessing, which are copies of the script from when the pool was made. A worker's own changes (an initializer
that sets a global variable) stay, until the script binds that name again.

Functions without a name in the script (lambdas, closures) get one here when they are handed to a pool.
"""

from __future__ import annotations

import builtins
import functools
import io
import pickle
import sys
import threading
from collections.abc import Callable, Iterable
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import cloudpickle
from cloudpickle.cloudpickle import _function_setstate

from mpipar.pool import sharing
from mpipar.pool.salvage import salvage
from mpipar.pool.structures import metaclass, without_fields
from mpipar.runtime.channel import Frames

_LARGE = 2**16  # bytes; buffers from here on travel as frames of their own

_PASSES = 3

GIVEN = "#"
"""In names that functions without a name are given."""

_ABSENT = object()


class Definition(NamedTuple):
    """What a name of the main script stands for.

    Attributes
    ----------
    name : str
    version : int
        Grows with each definition that is made.
    place : int
        Where it comes among others: functions first, then classes, bases before what is derived, then all other values,
        which may need these to be unpickled.
    pickled : bytes
    """

    name: str
    version: int
    place: int
    pickled: bytes


_own_names: dict[str, Any] | None = None  # a worker's copy of the main script's names
_undone: dict[str, Definition] = {}  # definitions that have just come
_begun: set[str] = set()  # those of them whose value is there, though perhaps not complete
_failed: dict[str, Exception] = {}  # why names have no value in a worker
_given_names: dict[str, Any] = {}  # {name given here: function}, in a worker


def become_worker(definitions: Iterable[Definition] = ()) -> None:
    """Let names of the main script mean what is defined by :func:`define`, in this process."""
    global _own_names
    main = sys.modules["__main__"] = ModuleType("__main__")  # for what is pickled by other means
    _own_names = vars(main)
    _own_names["__builtins__"] = builtins
    define(definitions)


def define(definitions: Iterable[Definition]) -> None:
    """Take in definitions, in a worker. One that can't be unpickled has no name: :func:`why_missing` tells why."""
    todo = sorted(definitions, key=lambda each: each.place)
    for _ in range(_PASSES):  # to unpickle an object may need the value of another name
        _undone.update((each.name, each) for each in todo)
        while _undone:
            name = next(iter(_undone))
            _failed.pop(name, None)
            try:
                _define(name)
            except Exception as error:
                _undone.pop(name, None)
                own_names().pop(name, None)
                _failed[name] = error
        _begun.clear()
        todo = [each for each in todo if each.name in _failed]


def why_missing(name: str) -> Exception | None:
    """Return why a name of the main script has no value in this worker, if that is known."""
    return _failed.get(name)


def define_given(definitions: Iterable[Definition]) -> None:
    """Take in definitions in a thread of a process that has the script's names already, but not those given here."""
    define(definition for definition in definitions if GIVEN in definition.name)


def _define(name: str) -> None:
    # Of classes that refer to each other, one is met again while it is being made, and made then: that both are the
    # same, cloudpickle sees to.
    value = pickle.loads(_undone[name].pickled)
    (_given_names if GIVEN in name else own_names())[name] = value
    _undone.pop(name, None)
    _begun.discard(name)


def own_names() -> dict[str, Any]:
    """Return the names of the main script, as they are in this process."""
    return vars(sys.modules["__main__"]) if _own_names is None else _own_names


def _named(path: str) -> Any:
    """Return what a name of the main script stands for: what such a pickle calls."""
    name, *attributes = path.split("\0")
    if name in _undone and name not in _begun:
        _define(name)
    value = (_given_names if GIVEN in name else own_names()).get(name, _ABSENT)
    if value is _ABSENT:
        if name in _failed:
            raise _failed[name]
        raise AttributeError(f"the main script has no {name!r}")
    for attribute in attributes:
        value = getattr(value, attribute)
    return value


# What pickles of functions and the like call.


def _function(code: Any, closure: Any) -> FunctionType:
    """Return a function that uses the names of the main script."""
    return FunctionType(code, own_names(), None, None, closure)


def _begin(name: str, make: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Return a class or function that is being made, and let its name mean it already: others may refer to it."""
    value = make(*arguments)
    if _own_names is not None:
        _own_names[name] = value
        _begun.add(name)
    return value


def _cached(function: Any, parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _cached_property(function: Any, name: str | None) -> Any:
    made = functools.cached_property(function)
    made.attrname = name
    return made


def _single_dispatch(registry: dict[Any, Any]) -> Any:
    made = functools.singledispatch(registry[object])
    for kind, function in registry.items():
        made.register(kind, function)
    return made


class _Memory:
    """The memory of an array that is read-only, for one that isn't."""

    def __init__(self, array: Any) -> None:
        self._array = array
        address = array.__array_interface__["data"][0]
        self.__array_interface__ = {"version": 3, "typestr": "|u1", "shape": (array.nbytes,), "data": (address, False)}


def _writable(array: Any) -> Any:
    """Reduce an array that is read-only to one that can be written to, as pickles of protocol 4 do."""
    flags = array.flags
    if array.dtype.hasobject or not (flags.c_contiguous or flags.f_contiguous):
        return NotImplemented
    if array.nbytes < _LARGE:
        return array.copy(order="K").__reduce_ex__(5)
    memory = sys.modules["numpy"].asarray(_Memory(array))  # nobody writes to it here
    order = "C" if flags.c_contiguous else "F"
    return type(array)(array.shape, array.dtype, memory, order=order).__reduce_ex__(5)


_Cached: Any = type(functools.cache(len))
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
        What must be kept until the pickle isn't needed any more; None if nothing is shared with those who unpickle it.
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
        self._given = given or {}
        self._defined = defined  # the name whose definition this is
        self._main = own_names()

    def reducer_override(self, obj: Any) -> Any:  # noqa: D102
        kind = type(obj)
        if kind.__module__ == "mpipar.pool.snapshot":
            self.stamps += getattr(obj, "stamps", None) or [getattr(obj, "stamp", {})]
        if kind.__name__ == "ndarray" and kind.__module__ == "numpy" and not obj.flags.writeable:
            return _writable(obj)
        if kind.__module__ == "multiprocessing.synchronize" and _is_tqdms(obj):
            return threading.RLock, ()  # process_map of tqdm hands its lock to all workers
        if sharing.is_shared(kind):
            return sharing.reduced(obj, self.lent)
        if kind is MethodType and isinstance(obj.__self__, type) and getattr(obj.__self__, obj.__name__, None) == obj:
            return getattr, (obj.__self__, obj.__name__)  # by name, as multiprocessing does, where its class is
        is_function = kind is FunctionType
        if not is_function and not isinstance(obj, (type, _Cached, functools.cached_property)):
            return NotImplemented
        if isinstance(obj, functools.cached_property):
            return _cached_property, (obj.func, obj.attrname)  # it may have a lock
        path = self._path(obj)
        if path is not None:
            name = path.partition("\0")[0]
            if name != self._defined:  # neither what is being defined, nor something inside it
                self.needed.add(name)
                return _named, (path,)
            reduced = self._reduced(obj, is_function=is_function)
            if path == name and isinstance(reduced, tuple):
                return _begin, (name, *reduced[:2]), *reduced[2:]
            return reduced
        return self._reduced(obj, is_function=is_function)

    def _reduced(self, obj: Any, *, is_function: bool) -> Any:
        """Reduce a function, class or the like by value."""
        if isinstance(obj, _Cached):
            by_name = getattr(obj, "__module__", None) != "__main__"
            return NotImplemented if by_name else (_cached, (obj.__wrapped__, obj.cache_parameters()))
        if is_function and obj.__code__ is _DISPATCHER:
            return _single_dispatch, (dict(obj.registry),)
        if is_function and obj.__globals__ is self._main:
            _, arguments, (state, slots), *_ = self._dynamic_function_reduce(obj)
            self.needed.update(slots["__globals__"])
            if _uses(obj.__code__, _LOOK_UP):
                self.needed.update(name for name in list(self._main) if not name.startswith("__"))
            slots["__globals__"] = {}
            return _function, (arguments[0], arguments[4]), (state, slots), None, None, _function_setstate
        return metaclass(obj) or without_fields(obj, super().reducer_override(obj))

    def _path(self, obj: Any) -> str | None:
        """Return the name of a function or class, if it is in the main script and has one there."""
        if getattr(obj, "__module__", None) == "__main__":
            first, *rest = obj.__qualname__.split(".")
            found = self._main.get(first)
            for attribute in rest:
                found = getattr(found, attribute, None)
            if found is obj:
                return "\0".join((first, *rest))
        return self._given.get(id(obj))


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


def dumps(value: Any, given: dict[int, str] | None = None, *, lends: bool = False) -> Pickled:
    """Pickle a value.

    Parameters
    ----------
    value : object
    given : dict, optional
        {id of a function: the name that it was given}.
    lends : bool
        Whether those who unpickle it share this process's locks, queues and the like.

    Raises
    ------
    Exception
        If it can't be pickled.
    """
    file, buffers = io.BytesIO(), []

    def keep_apart(buffer: pickle.PickleBuffer) -> bool:
        with buffer.raw() as view:
            if view.nbytes < _LARGE:
                return True
        buffers.append(buffer.raw())
        return False

    pickler = Pickler(file, given, lends=lends, buffer_callback=keep_apart)
    try:
        pickler.dump(value)
    except RuntimeError as error:
        if "inheritance" in str(error):
            error.add_note("it reaches only processes that inherit it, on one node; take one of a Manager()")
        raise
    return Pickled([file.getbuffer(), *buffers], pickler.needed, pickler.stamps, pickler.lent or [])


class _TooLarge(Exception):
    """A buffer is to travel as a frame of its own."""


def _refuse_large(buffer: pickle.PickleBuffer) -> bool:
    with buffer.raw() as view:
        if view.nbytes >= _LARGE:
            raise _TooLarge
    return True


class Reused:
    """Pickles small values one after the other, for one thread: a pickler of its own would take longer than most."""

    def __init__(self, given: dict[int, str]) -> None:
        self._file = io.BytesIO()
        self._pickler = Pickler(self._file, given, lends=True, buffer_callback=_refuse_large)
        self._is_busy = False

    def dumps(self, value: Any) -> Pickled | None:
        """Pickle a value, in one frame; None if this is pickling already, or the value is large."""
        if self._is_busy:
            return None
        pickler, self._is_busy = self._pickler, True
        try:
            pickler.dump(value)
            if self._file.tell() > _LARGE:
                return None
            return Pickled([self._file.getvalue()], pickler.needed, pickler.stamps, pickler.lent or [])
        except _TooLarge:
            return None
        finally:
            self._file.seek(0)
            self._file.truncate()
            pickler.clear_memo()
            pickler.globals_ref.clear()
            pickler.needed, pickler.stamps, pickler.lent = set(), [], []
            self._is_busy = False


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
