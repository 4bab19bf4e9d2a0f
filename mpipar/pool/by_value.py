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

import builtins
import functools
import io
import pickle
import sys
import threading
from collections import ChainMap
from collections.abc import Callable, Iterable
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import cloudpickle
from cloudpickle.cloudpickle import _extract_code_globals, _function_setstate

from mpipar.pool import reductions, sharing
from mpipar.pool.salvage import salvage
from mpipar.pool.structures import metaclass, without_fields
from mpipar.runtime.channel import Frames

_LARGE = 2**16  # bytes; buffers from here on travel as frames of their own

_PASSES = 3

_MOST_WRAPPERS = 4

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
        Where it comes among others: functions first, then classes, bases before what is derived,
        then all other values, which may need these to be unpickled.
    pickled : bytes
        Nothing if it can't be pickled.
    reason : str
        Why.
    shape : str, optional
        Tells whether a worker that has imported the script has the same already.
    attributes : dict, optional
        Of a class that it has: {name: pickled value}.
    """

    name: str
    version: int
    place: int
    pickled: bytes
    reason: str = ""
    shape: str | None = None
    attributes: dict[str, bytes | None] = {}  # noqa: RUF012 (never changed)


class Unsendable(Exception):
    """What a name of the script means can't be sent, and the worker's own isn't the same."""


_own_names: dict[str, Any] | None = None  # a worker's copy of the main script's names
_undone: dict[str, Definition] = {}  # definitions that have just come
_begun: set[str] = set()  # those of them whose value is there, though perhaps not complete
_failed: dict[str, Exception] = {}  # why names have no value in a worker
_waiting: list[Definition] = []  # of names that no code of a task has shown
_found: dict[str, int] = {}  # versions of those that were looked for
_given_names: dict[str, Any] = {}  # {name given here: function}, in a worker
_kept: Callable[[Definition], bool] | None = None  # whether a worker has what is to be defined


def become_worker(
    definitions: Iterable[Definition] = (),
    main: ModuleType | None = None,
    kept: Callable[[Definition], bool] | None = None,
) -> None:
    """Let names of the main script mean what is defined by :func:`define`, in this process.

    Parameters
    ----------
    definitions : iterable of Definition
    main : module, optional
        The script as it was imported; with ``kept``, which tells whether what is to be defined is
        there already.
    kept : callable, optional
    """
    global _own_names, _kept
    if main is None:
        main = _Main("__main__")
    else:
        _kept = kept
    sys.modules["__main__"] = main  # for what is pickled by other means
    _own_names = vars(main)
    _own_names["__builtins__"] = builtins
    define(definitions)


class _Main(ModuleType):
    """A main module by value: whoever looks into it otherwise than by the names in tasks' code
    finds all of it.
    """

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__" and _waiting:
            _define_waiting()
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        if _waiting:
            _define_waiting()
            if name in own_names():
                return own_names()[name]
        raise AttributeError(f"module '__main__' has no attribute {name!r}")


def define_when_looked_for(definitions: Iterable[Definition]) -> None:
    """Take in definitions of names that nobody may need."""
    _waiting.extend(definitions)


def _define_waiting() -> None:
    waiting = [each for each in _waiting if each.name not in own_names()]
    _waiting.clear()
    _found.update((each.name, each.version) for each in waiting)
    _define_all(waiting)


def define(definitions: Iterable[Definition]) -> None:
    """Take in definitions, in a worker. One that can't be unpickled has no name:
    :func:`why_missing` tells why.
    """
    _define_all(each for each in definitions if _found.pop(each.name, None) != each.version)


def _define_all(definitions: Iterable[Definition]) -> None:
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
    """Return why a name of the main script has no value in this worker, if that is known here
    alone.
    """
    error = _failed.get(name)
    return None if isinstance(error, Unsendable) else error


def define_given(definitions: Iterable[Definition]) -> None:
    """Take in definitions in a thread of a process that has the script's names already, but not
    those given here.
    """
    define(definition for definition in definitions if GIVEN in definition.name)


def _define(name: str) -> None:
    # Of classes that refer to each other, one is met again while it is being made, and made then:
    # that both are the same, cloudpickle sees to.
    definition = _undone[name]
    if _kept is not None and GIVEN not in name and _kept(definition):
        _undone.pop(name, None)
        return
    if not definition.pickled:
        raise Unsendable(definition.reason)
    value = pickle.loads(definition.pickled)
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
    """Return a class or function that is being made, and let its name mean it already: others may
    refer to it.
    """
    value = make(*arguments)
    if _own_names is not None:
        _own_names[name] = value
        _begun.add(name)
    return value


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
        self._main = own_names()

    dispatch_table = ChainMap(reductions.OF_TYPES, cloudpickle.Pickler.dispatch_table)  # noqa: RUF012

    def reducer_override(self, obj: Any) -> Any:  # noqa: D102
        kind = type(obj)
        if kind.__module__ == "mpipar.pool.snapshot":
            self.stamps += getattr(obj, "stamps", None) or [getattr(obj, "stamp", {})]
        if kind.__name__ == "ndarray" and kind.__module__ == "numpy" and not obj.flags.writeable:
            return reductions.writable(obj)
        if self._defined is not None:
            is_global = GIVEN not in self._defined  # what is handed in is as plain pickle takes it
            reduced = reductions.of_global(obj) if is_global else None
            if reduced is not None:
                return reduced
            if kind is object:
                return self._reduced_sentinel(obj)
        if kind.__module__ == "multiprocessing.synchronize" and _is_tqdms(obj):
            return threading.RLock, ()  # process_map of tqdm hands its lock to all workers
        if sharing.is_shared(kind):
            return sharing.reduced(obj, self.lent)
        if (
            kind is MethodType
            and isinstance(obj.__self__, type)
            and getattr(obj.__self__, obj.__name__, None) == obj
        ):
            return getattr, (
                obj.__self__,
                obj.__name__,
            )  # by name, as multiprocessing does, where its class is
        is_function = kind is FunctionType
        if not is_function and not isinstance(obj, (type, _Cached, functools.cached_property)):
            return NotImplemented
        if isinstance(obj, functools.cached_property):
            return reductions.cached_property, (obj.func, obj.attrname)  # it may have a lock
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
            return (
                NotImplemented
                if by_name
                else (reductions.cached, (obj.__wrapped__, obj.cache_parameters()))
            )
        if is_function and obj.__code__ is _DISPATCHER:
            return reductions.single_dispatch, (dict(obj.registry),)
        if is_function and obj.__globals__ is self._main:
            _, arguments, (state, slots), *_ = self._dynamic_function_reduce(obj)
            self.needed.update(
                _extract_code_globals(obj.__code__)
            )  # also those that have no value yet
            if _uses(obj.__code__, _LOOK_UP):
                self.needed.update(name for name in list(self._main) if not name.startswith("__"))
            slots["__globals__"] = {}
            return (
                _function,
                (arguments[0], arguments[4]),
                (state, slots),
                None,
                None,
                _function_setstate,
            )
        if not isinstance(obj, type):
            return super().reducer_override(obj)
        reduced = metaclass(obj) or without_fields(obj, super().reducer_override(obj))
        return reductions.by_value(obj, reduced)

    def _reduced_sentinel(self, obj: Any) -> Any:
        """Reduce an object that is nothing but itself: to its name, if it has one."""
        name = next(
            (name for name, value in list(self._main.items()) if value is obj), self._defined
        )
        if name is None or name == self._defined:
            return NotImplemented
        self.needed.add(name)
        return _named, (name,)

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
    file, buffers = io.BytesIO(), _Buffers()
    pickler = Pickler(file, given, lends=lends, buffer_callback=buffers.keep_apart)
    _dump(pickler, value)
    return Pickled(
        [file.getbuffer(), *buffers.found], pickler.needed, pickler.stamps, pickler.lent or []
    )


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
        pickler, self._is_busy = self._pickler, True
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
        self._pickler.needed, self._pickler.stamps, self._pickler.lent = set(), [], []


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
