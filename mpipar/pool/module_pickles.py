"""Pickles of what the user's own modules have: functions and classes of modules go by name alone.

Of the same value there are three: one that is small and like that of each worker, by which it is
told from what the worker has; one of all of it, for workers that have something else; and a digest,
by which this process can tell later whether it has changed.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import pickle
import sys
import weakref
from types import FunctionType
from typing import Any, NamedTuple

from cloudpickle.cloudpickle import _function_setstate

from mpipar.pool import originals
from mpipar.pool.by_value import Pickler
from mpipar.pool.limited import Limited
from mpipar.pool.module_homes import Homes, found_by_name
from mpipar.pool.module_places import Place, is_of_user, items_of, of_object
from mpipar.pool.refused import refused
from mpipar.runtime.channel import Frames

MOST_BYTES = 2**20
"""What is larger isn't compared with what workers have."""

_WITHOUT_NAMES = (
    "__main__",
    "builtins",
)  # of what these have, the pickler knows how to send it
_CONTAINERS = (dict, list, tuple, set, frozenset)
_STATELESS = {"abc", "collections.abc", "enum", "typing"}
"""Modules whose classes keep nothing for themselves."""


class _ByName(Pickler):
    """Pickles functions and classes of modules by name."""

    def reducer_override(self, obj: Any) -> Any:
        if _is_nameless(obj):
            return self.reduced_nameless(obj)
        return super().reducer_override(obj)

    def reduced_nameless(self, obj: Any) -> Any:
        """Reduce a function or class that no name leads to."""
        raise TypeError(f"there is no name that leads to {obj!r}")  # a copy isn't the same


def _is_nameless(obj: Any) -> bool:
    """Return whether something is a function or class that no name leads to."""
    if not isinstance(obj, (FunctionType, type)):
        return False
    if obj.__module__ in _WITHOUT_NAMES:
        return False
    if found_by_name(obj) is obj:
        return False
    return originals.reduced(obj) is None


class _WithHomes(_ByName):
    """Refers to objects of modules by their homes.

    Parameters
    ----------
    file : BytesIO
    homes : Homes
    place : Place
        Whose value is pickled.
    """

    def __init__(
        self,
        file: io.BytesIO,
        homes: Homes,
        place: Place,
        **options: Any,
    ) -> None:
        super().__init__(
            file,
            defined="",
            lends=True,
            **options,
        )
        self._homes = homes
        self._own = place.module, place.steps[0].key
        self._is_whole = len(place.steps) == 1

    def persistent_id(self, obj: Any) -> Any:
        """Return the home of an object of a module, unless it is this which is pickled."""
        places = self._homes.places_of(obj)
        if not places:
            return None
        home = places[0]
        if self._is_whole and home == self._own:
            return None
        return home


class StatePickler(_WithHomes):
    """Pickles what is small, and can be pickled without a difference.

    Parameters
    ----------
    homes : Homes
    place : Place
        Whose value is pickled.
    """

    def __init__(self, homes: Homes, place: Place) -> None:
        self._file = Limited(MOST_BYTES)
        super().__init__(self._file, homes, place)

    def dumps(self, value: Any) -> bytes:
        """Return the pickle of a value. Raises if it can't be pickled."""
        self.dump(value)
        return self._file.getvalue()


class _Whole(_ByName):
    """Pickles what can be pickled of a value, and something in place of what can't."""

    def reducer_override(self, obj: Any) -> Any:
        try:
            reduced = super().reducer_override(obj)
            if reduced is NotImplemented:
                reduced = self._reduced_by_default(obj)
        except Exception as error:
            return self.instead(obj, error)
        return reduced

    def _reduced_by_default(self, obj: Any) -> Any:
        kind = type(obj)
        reduce = self.dispatch_table.get(kind)
        if reduce is not None:
            return reduce(obj)
        if issubclass(kind, (type, FunctionType)):
            return NotImplemented
        return obj.__reduce_ex__(5)

    def instead(self, obj: Any, error: Exception) -> Any:
        """Reduce what stands where an object can't be."""
        raise NotImplementedError


class WholePickler(_Whole, _WithHomes):
    """Pickles all of a value, however large; what can't be pickled refuses to be used.

    Parameters
    ----------
    homes : Homes
    place : Place
        Whose value is pickled.
    is_strict : bool
        Whether it raises where something can't be pickled.
    """

    def __init__(
        self,
        homes: Homes,
        place: Place,
        *,
        is_strict: bool,
    ) -> None:
        self._file = io.BytesIO()
        self._buffers: list[pickle.PickleBuffer] = []
        super().__init__(
            self._file,
            homes,
            place,
            buffer_callback=self._buffers.append,
        )
        self._name = place.name
        self._is_strict = is_strict

    def dumps(self, value: Any) -> Frames:
        """Return the pickle of a value, and its buffers, which are the value's own."""
        self.dump(value)
        frames: list[Any] = [self._file.getvalue()]
        for buffer in self._buffers:
            frames.append(buffer.raw())
        return frames

    def reduced_nameless(self, obj: Any) -> Any:
        """Reduce a function by value; what it uses is its module's."""
        if self._is_strict:
            return super().reduced_nameless(obj)
        module = sys.modules.get(obj.__module__)
        if not isinstance(obj, FunctionType):
            return Pickler.reducer_override(self, obj)
        if module is None or obj.__globals__ is not vars(module):
            return Pickler.reducer_override(self, obj)
        _, arguments, (state, slots), *_ = self._dynamic_function_reduce(obj)
        slots["__globals__"] = {}
        made_of = obj.__module__, arguments[0], arguments[4]
        return (
            _function_of,
            made_of,
            (state, slots),
            None,
            None,
            _function_setstate,
        )

    def instead(self, obj: Any, error: Exception) -> Any:
        """Reduce what says why it can't be used."""
        if self._is_strict:
            raise error
        return refused, (self._name, str(error) or repr(error))


def _function_of(module: str, code: Any, closure: Any) -> FunctionType:
    """Return a function that uses what a module has: what such a pickle calls."""
    return FunctionType(code, vars(importlib.import_module(module)), None, None, closure)


class Digest(NamedTuple):
    """What tells in this process whether a value has changed.

    Attributes
    ----------
    value : bytes
    size : int
        Bytes that its pickle would have.
    identities : list
        What gives the objects in it that are told by what they are alone.
    """

    value: bytes
    size: int
    identities: list[Any]

    def is_of_same(self, other: Digest) -> bool:
        """Return whether two values are the same."""
        if self.value != other.value:
            return False
        return all(map(_is_alive, self.identities))


def _is_alive(identity: Any) -> bool:
    if isinstance(identity, weakref.ref):
        return identity() is not None
    return True


class _Sink(io.BytesIO):
    """A file that keeps no more than a digest of what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self._hash = hashlib.sha1(usedforsecurity=False)  # the fastest where processors know it

    def write(self, data: Any) -> int:
        self._hash.update(data)
        size = memoryview(data).nbytes
        self.size += size
        return size

    def take(self, buffer: pickle.PickleBuffer) -> None:
        self.write(buffer.raw())

    def digest(self) -> bytes:
        return self._hash.digest()


class _Digester(_Whole):
    """Digests a value, without calling what classes of the user's have for pickling."""

    def __init__(self, sink: _Sink) -> None:
        super().__init__(
            sink,
            defined="",
            buffer_callback=sink.take,
        )
        self.identities: list[Any] = []

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if issubclass(kind, type) or not _is_seen_through(kind):
            return super().reducer_override(obj)
        try:
            members = of_object(obj) + _all_items(obj)
        except Exception as error:
            return self.instead(obj, error)
        told = (
            kind.__module__,
            kind.__qualname__,
            list(map(tuple, members)),
        )
        return _structure, told

    def reduced_nameless(self, obj: Any) -> Any:
        """Tell a function or class by what it is."""
        return self.instead(obj, TypeError())

    def instead(self, obj: Any, error: Exception) -> Any:
        """Tell an object by what it is."""
        try:
            self.identities.append(weakref.ref(obj))
        except TypeError:
            self.identities.append(obj)  # so that no other has its id
        return _structure, (id(obj),)


def _is_seen_through(kind: type) -> bool:
    """Return whether all that objects of a class of the user's have is attributes and items."""
    base: Any = kind
    while is_of_user(base):
        base = base.__base__
    is_stateless = base is object or base.__module__ in _STATELESS
    return base is not kind and (is_stateless or base in _CONTAINERS)


def _all_items(value: Any) -> list[Any]:
    kind = type(value)
    if issubclass(kind, (set, frozenset)):
        return [(None, each) for each in value]
    if issubclass(kind, _CONTAINERS):
        return items_of(value)
    return []


def _structure(*_: Any) -> None:
    """Do nothing: nobody unpickles a digest."""


def digest_of(value: Any) -> Digest:
    """Return the digest of a value. Raises if there can't be one."""
    sink = _Sink()
    digester = _Digester(sink)
    digester.dump(value)
    return Digest(sink.digest(), sink.size, digester.identities)
