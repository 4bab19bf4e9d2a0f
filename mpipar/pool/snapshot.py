"""What tasks are given, as it was when the script handed it in. Imports by_value and definitions beside it.

The script may go on to change it: a buffer that is filled again, an object whose method is called. So it is pickled at
once, in the script's thread, unless nothing can change in it. With it goes what the names of the script stood for.
"""

from __future__ import annotations

import itertools
import operator
import pickle
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import BuiltinFunctionType, FunctionType
from typing import Any

from mpipar.pool import by_value
from mpipar.pool.by_value import Definition
from mpipar.pool.definitions import Definitions
from mpipar.pool.salvage import Broken
from mpipar.runtime.channel import Frames

_CONSTANT: set[type] = {int, float, complex, str, bytes, bool, type(None), type(...), range}
_CONSTANT_ELSEWHERE = {
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "pathlib": {"PosixPath", "PurePosixPath"},
    "uuid": {"UUID"},
}
_CONTAINERS = (list, tuple, set, frozenset, dict, deque)

_LIGHT = 2**14  # bytes; items are pickled together up to that many
_MOST_TOGETHER = 256
_MOST_PLAIN = 256
_NO_STAMP: Mapping[str, Definition] = {}
_SHARING = 1.5  # items have a large part in common if several of them take at most so many times what one does
_LARGE = 2**16  # bytes, which don't travel within another pickle


class _Copy:
    """A copy of a buffer, for as long as somebody has it."""

    __slots__ = ("__weakref__", "data")

    def __init__(self, data: bytearray) -> None:
        self.data = data


class Snapshot:
    """A value as it was when this was made: its pickle, which is unpickled where this is.

    Attributes
    ----------
    stamp : dict
        {name of the main script in it: its definition at that time}.
    lent : list
        What it needs of this process.
    """

    __slots__ = ("_copies", "_load", "_pickle", "lent", "stamp")

    def __init__(
        self,
        pickled: bytes,
        copies: list[_Copy],
        stamp: Mapping[str, Definition],
        load: Callable[[Frames], Any],
        lent: list[Any],
    ) -> None:
        self._pickle, self._copies, self.stamp, self._load, self.lent = pickled, copies, stamp, load, lent

    @property
    def weight(self) -> int:
        """Return how many bytes it has."""
        return len(self._pickle) + sum(len(copy.data) for copy in self._copies)

    @property
    def small(self) -> bytes | None:
        """Return its pickle, if that is all there is, and small."""
        return self._pickle if not self._copies and len(self._pickle) < _LARGE else None

    def __reduce__(self) -> Any:
        whole: Any = self._pickle if len(self._pickle) < _LARGE else pickle.PickleBuffer(self._pickle)
        return self._load, ([whole, *(pickle.PickleBuffer(copy.data) for copy in self._copies)],)


class Member:
    """One of several values that are in a snapshot together."""

    __slots__ = ("index", "together")

    def __init__(self, together: Snapshot, index: int) -> None:
        self.together, self.index = together, index

    def __reduce__(self) -> Any:
        return operator.getitem, (self.together, self.index)


class Stamped:
    """A function that needs no snapshot, with what the names of the script stood for when it was handed in."""

    __slots__ = ("function", "stamp")

    def __init__(self, function: Any, stamp: Mapping[str, Definition]) -> None:
        self.function, self.stamp = function, stamp

    def __reduce__(self) -> Any:
        return _same, (self.function,)


def _same(value: Any) -> Any:
    return value


class Batch:
    """Items that are pickled together, in as few pieces as there can be; unpickled, it is their list."""

    def __init__(self, items: Sequence[Any]) -> None:
        self._pieces: list[tuple[Any, ...]] = []
        self.stamps: list[Mapping[str, Definition]] = []
        for kind, same in itertools.groupby(items, type):
            if kind is Snapshot:
                self._add_snapshots(list(same))
            elif kind is Member:
                self._add_members(same)
            else:
                self._pieces.append((_RAW, list(same)))

    def _add_snapshots(self, snapshots: list[Any]) -> None:
        for is_small, some in itertools.groupby(snapshots, lambda each: each.small is not None):
            if is_small:
                several = list(some)
                self._pieces.append((_PICKLES, [each.small for each in several]))
                self.stamps += [each.stamp for each in several if each.stamp]
            else:
                self._pieces.append((_RAW, list(some)))

    def _add_members(self, members: Iterable[Any]) -> None:
        for together, some in itertools.groupby(members, operator.attrgetter("together")):
            self._pieces.append((_MEMBERS, together, [each.index for each in some]))

    def __reduce__(self) -> Any:
        return _unpacked, (self._pieces,)


_RAW, _PICKLES, _MEMBERS = range(3)


def packed(items: Any) -> Any:
    """Return what to pickle for some items: themselves, or a batch if they are snapshots."""
    return Batch(items) if type(items) is list and type(items[0]) in (Snapshot, Member) else items


def _unpacked(pieces: list[tuple[Any, ...]]) -> list[Any]:
    """Return the items of a batch; those that can't be unpickled are Broken."""
    found: list[Any] = []
    for kind, *content in pieces:
        if kind == _PICKLES:
            found += map(_loaded, content[0])
        elif kind == _MEMBERS:
            found += map(content[0].__getitem__, content[1])
        else:
            found += content[0]
    return found


def _loaded(pickled: bytes) -> Any:
    try:
        return pickle.loads(pickled)
    except Exception as error:
        return Broken(error)


class Snapshots:
    """Makes snapshots for a pool; in any thread.

    Parameters
    ----------
    definitions : Definitions
        Of the pool.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._of_thread = threading.local()
        self._plain: dict[int, tuple[Any, set[str], Stamped]] = {}  # functions that need no snapshot
        self._copies: weakref.WeakValueDictionary[tuple[int, int], _Copy] = weakref.WeakValueDictionary()

    def function(self, function: Any) -> tuple[Frames, Mapping[str, Definition], list[Any]]:
        """Return a function as it is now, with its closure, its defaults, or the object that it is bound to.

        Returns
        -------
        frames, stamp, lent
            Its pickle, what names of the script in it stand for, and what it needs of this process.

        Raises
        ------
        Exception
            If it can't be sent.
        """
        self._definitions.remember(function)
        taken = self._taken(function)
        return by_value.dumps(taken).frames, taken.stamp, taken.lent

    def live(self, function: Any) -> tuple[Frames, Mapping[str, Definition], list[Any]]:
        """Return the same of a function whose arrays don't change before it is over; they aren't copied."""
        self._definitions.remember(function)
        pickled = self._definitions.dumps(function)
        return pickled.frames, self._definitions.stamp(pickled.needed), pickled.lent

    def call(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Return what a single task is, as it is now. Raises what pickling it raises."""
        self._definitions.remember(function)
        plain = type(function) is FunctionType or (
            type(function) is BuiltinFunctionType and type(function.__self__) is type(sys)
        )
        if plain and are_constant(arguments) and are_constant(keywords.values()):
            return self._stamped(function), arguments, keywords
        return self._taken((function, arguments, keywords))

    def _stamped(self, function: Any) -> Stamped:
        _, needed, last = self._plain.get(id(function), (None, None, None))
        if needed is None:
            needed = self._definitions.dumps(function).needed if type(function) is FunctionType else set()
        stamp = self._definitions.stamp(needed)
        if last is None or last.stamp != stamp:
            if len(self._plain) >= _MOST_PLAIN:
                self._plain.clear()
            last = Stamped(function, stamp)
            self._plain[id(function)] = function, needed, last
        return last

    def item(self, item: Any) -> Any:
        """Return an item as it is now; or itself, if it can't be pickled, which will be told when it is sent."""
        if is_constant(item):
            return item
        try:
            return self._taken(item)
        except Exception:
            return item

    def items(self, items: Sequence[Any]) -> Sequence[Any]:
        """Return items as they are now: all themselves if nothing can change in them. The sequence is nobody else's."""
        if isinstance(items, range) or are_constant(items):
            return items
        found: list[Any] = []
        group = _Grouping()
        while len(found) < len(items):
            part = items[len(found) : len(found) + group.size]
            try:
                together = self._taken(part, by_value.loads_each)
            except Exception:  # one of them can't be pickled
                found += map(self.item, part)
                continue
            if group.is_good(len(part), together.weight):
                found += [Member(together, index) for index in range(len(part))]
        return found

    def container(self, iterable: Iterable[Any]) -> Iterable[Any]:
        """Return what is in a container as it is now; another iterable as it is: what it yields is still to come."""
        if type(iterable) in _CONTAINERS or is_array(iterable):
            return self.items(list(iterable))
        return iterable

    def _taken(self, value: Any, load: Callable[[Frames], Any] = by_value.loads) -> Snapshot:
        pickled = self._small(value) or self._definitions.dumps(value)
        stamp: Mapping[str, Definition] = _NO_STAMP
        if pickled.needed or pickled.stamps:
            stamp = {**self._definitions.stamp(pickled.needed), **_merged(pickled.stamps)}
        if len(pickled.frames) == 1 and type(pickled.frames[0]) is bytes:
            return Snapshot(pickled.frames[0], [], stamp, load, pickled.lent)
        copies = [self._copy(memoryview(each)) for each in pickled.frames[1:]]
        return Snapshot(bytes(pickled.frames[0]), copies, stamp, load, pickled.lent)

    def _small(self, value: Any) -> by_value.Pickled | None:
        """Pickle a value, if it is small."""
        try:
            reused = self._of_thread.reused
        except AttributeError:
            reused = self._of_thread.reused = self._definitions.reused()
        return reused.dumps(value)  # type: ignore[no-any-return]

    def _copy(self, view: memoryview) -> _Copy:
        """Return a copy of a buffer: the last one, if the buffer is as it was then."""
        numpy = sys.modules.get("numpy")
        if numpy is None:
            return _Copy(bytearray(view))
        array = numpy.frombuffer(view, numpy.uint8)
        key = array.__array_interface__["data"][0], array.nbytes
        last = self._copies.get(key)
        if last is not None and bytes(view[:_LARGE]) == last.data[:_LARGE] and numpy.array_equal(array, last.data):
            return last
        copy = self._copies[key] = _Copy(bytearray(view))
        return copy


class _Grouping:
    """How many items are pickled together: many small ones, or many that have most in common, or each by itself."""

    def __init__(self) -> None:
        self.size = 1
        self._alone: int | None = None  # weight of one, if that is large

    def is_good(self, count: int, weight: int) -> bool:
        """Return whether so many items that weigh so much should stay together, and choose the next number."""
        if weight < _LIGHT:
            self.size = min(2 * self.size, _MOST_TOGETHER)
            return True
        if count == 1:
            self.size = 2 if self._alone is None else 1
            self._alone = weight
            return True
        if self._alone is not None and weight < _SHARING * self._alone:
            self.size = min(2 * self.size, _MOST_TOGETHER)
            return True
        self.size = max(1, count // 8)
        return count <= 2 and weight < 2 * _LIGHT


def _merged(stamps: Iterable[Mapping[str, Definition]]) -> dict[str, Definition]:
    return {name: each for stamp in stamps for name, each in stamp.items()}


def are_constant(items: Iterable[Any]) -> bool:
    """Return whether nothing can change in any of some values, as far as that is told quickly."""
    kinds = set(map(type, items))
    if kinds == {tuple}:
        kinds = set(map(type, itertools.chain.from_iterable(items)))
    return all(map(_is_constant_kind, kinds))


def is_constant(item: Any) -> bool:
    """Return whether nothing can change in a value, as far as that is told quickly."""
    kind = type(item)
    if kind is tuple:
        return all(map(is_constant, item)) if len(item) < 10 else are_constant(item)
    return kind in _CONSTANT or _is_constant_kind(kind)


def _is_constant_kind(kind: type) -> bool:
    if kind in _CONSTANT or kind in (Snapshot, Member):
        return True
    if kind.__module__ == "numpy":
        numpy = sys.modules["numpy"]
        return issubclass(kind, (numpy.number, numpy.bool_))
    return kind.__name__ in _CONSTANT_ELSEWHERE.get(kind.__module__, ())


def is_array(value: Any) -> bool:
    """Return whether a value is an array of NumPy."""
    return type(value).__module__ == "numpy" and type(value).__name__ == "ndarray"
