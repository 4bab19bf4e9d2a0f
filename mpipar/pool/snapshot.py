"""What tasks are given, as it was when the script handed it in.

The script may go on to change it: a buffer that is filled again, an object whose method is called.
So it is pickled at once, in the script's thread, unless nothing can change in it. With it goes what
the names of the script stood for.
"""

from __future__ import annotations

import bisect
import itertools
import operator
import pickle
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import BuiltinFunctionType, FunctionType
from typing import Any

from mpipar.pool import by_value
from mpipar.pool.constant import are_constant, is_array, is_constant
from mpipar.pool.definitions import Definitions, is_named
from mpipar.pool.grouping import Grouping
from mpipar.pool.main_names import Definition
from mpipar.pool.salvage import Broken
from mpipar.runtime.channel import Frames

_CONTAINERS = (list, tuple, set, frozenset, dict, deque)

_MOST_PLAIN = 256
_LONGEST_NAME = 256  # bytes of a pickle that is no more than a name; code by itself has more
_NO_STAMP: Mapping[str, Definition] = {}
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
        self._pickle, self._copies, self.stamp, self._load, self.lent = (
            pickled,
            copies,
            stamp,
            load,
            lent,
        )

    @property
    def weight(self) -> int:
        """Return how many bytes it has."""
        return len(self._pickle) + sum(len(copy.data) for copy in self._copies)

    @property
    def small(self) -> bytes | None:
        """Return its pickle, if that is all there is, and small."""
        return self._pickle if not self._copies and len(self._pickle) < _LARGE else None

    def __reduce__(self) -> Any:
        whole: Any = (
            self._pickle if len(self._pickle) < _LARGE else pickle.PickleBuffer(self._pickle)
        )
        return self._load, ([whole, *(pickle.PickleBuffer(copy.data) for copy in self._copies)],)


class Member:
    """One of several values that are in a snapshot together."""

    __slots__ = ("index", "together")

    def __init__(self, together: Snapshot, index: int) -> None:
        self.together, self.index = together, index

    def __reduce__(self) -> Any:
        return operator.getitem, (self.together, self.index)


class Stamped:
    """A function that needs no snapshot, with what the names of the script stood for when it was
    handed in.

    Attributes
    ----------
    name : bytes or None
        Its pickle, if that is no more than its name.
    """

    __slots__ = ("function", "name", "stamp")

    def __init__(
        self, function: Any, stamp: Mapping[str, Definition], name: bytes | None = None
    ) -> None:
        self.function, self.stamp, self.name = function, stamp, name

    def __reduce__(self) -> Any:
        return _same, (self.function,)


def _same(value: Any) -> Any:
    return value


class Batch:
    """Items that are pickled together, in as few pieces as there can be; unpickled, it is their
    list.
    """

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


_RAW, _PICKLES, _MEMBERS, _BATCH = range(4)


class Kept(Sequence[Any]):
    """Items as they were, pickled in groups, without an object for each: there may be millions."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._groups: list[
            Snapshot | list[Any]
        ] = []  # from there on: of several items, or the items
        self._length = 0

    def add(self, group: Snapshot | list[Any], count: int) -> None:
        """Add a group of so many items."""
        self._starts.append(self._length)
        self._groups.append(group)
        self._length += count

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        for start, group in zip(self._starts, self._groups, strict=True):
            if isinstance(group, Snapshot):
                yield from (Member(group, index) for index in range(self._end(start) - start))
            else:
                yield from group

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return Slice(self, *key.indices(self._length)[:2])
        if not 0 <= key < self._length:
            raise IndexError(key)
        number = bisect.bisect_right(self._starts, key) - 1
        group, index = self._groups[number], key - self._starts[number]
        return Member(group, index) if isinstance(group, Snapshot) else group[index]

    def _end(self, start: int) -> int:
        number = bisect.bisect_right(self._starts, start)
        return self._starts[number] if number < len(self._starts) else self._length

    def pieces(self, start: int, stop: int) -> Iterator[tuple[Snapshot | list[Any], int, int]]:
        """Yield groups, and from where to where items between start and stop are in them."""
        number = bisect.bisect_right(self._starts, start) - 1
        while start < stop:
            first = self._starts[number]
            end = min(stop, self._end(first))
            yield self._groups[number], start - first, end - first
            start = end
            number += 1


class Slice:
    """Some items that were kept, one after the other; unpickled, it is their list."""

    stamps: Sequence[Mapping[str, Definition]] = ()

    def __init__(self, kept: Kept, start: int, stop: int) -> None:
        self._kept, self._start, self._stop = kept, start, stop

    def __len__(self) -> int:
        return max(0, self._stop - self._start)

    def __reduce__(self) -> Any:
        pieces: list[tuple[Any, ...]] = []
        for group, first, end in self._kept.pieces(self._start, self._stop):
            if isinstance(group, Snapshot):
                pieces.append((_MEMBERS, group, range(first, end)))
            else:
                pieces.append((_BATCH, Batch(group[first:end])))
        return _unpacked, (pieces,)


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
            found += _members(*content)
        else:
            found += content[0]
    return found


def _members(together: list[Any], indices: Any) -> Iterable[Any]:
    if type(indices) is range:
        return together[indices.start : indices.stop]
    return map(together.__getitem__, indices)


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
        self._plain: dict[
            int, tuple[Any, set[str], Stamped]
        ] = {}  # functions that need no snapshot
        self._named: dict[
            int, tuple[Any, by_value.Pickled]
        ] = {}  # functions that are pickled by their names
        self._copies: weakref.WeakValueDictionary[tuple[int, int], _Copy] = (
            weakref.WeakValueDictionary()
        )

    def function(self, function: Any) -> tuple[Frames, Mapping[str, Definition], list[Any]]:
        """Return a function as it is now, with its closure, its defaults, or the object that it is
        bound to.

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
        """Return the same of a function whose arrays don't change before it is over; they aren't
        copied.
        """
        pickled = self._pickled_by_name(function)
        if pickled is None:
            self._definitions.remember(function)
            pickled = self._definitions.dumps(function)
        return pickled.frames, self._definitions.stamp(pickled.needed), pickled.lent

    def _pickled_by_name(self, function: Any) -> by_value.Pickled | None:
        """Return the pickle of a function that its module has a name for; None for others."""
        if type(function) is not FunctionType or not is_named(function):
            return None
        known = self._named.get(id(function))
        if known is None:
            if len(self._named) >= _MOST_PLAIN:
                self._named.clear()
            pickled = self._definitions.dumps(function)
            frames = [bytes(frame) for frame in pickled.frames]
            if len(frames[0]) > _LONGEST_NAME:  # there is more in it
                return None
            known = self._named[id(function)] = function, pickled._replace(frames=frames)
        return known[1]

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
            needed = (
                self._definitions.dumps(function).needed
                if type(function) is FunctionType
                else set()
            )
        stamp = self._definitions.stamp(needed)
        if last is None or last.stamp != stamp:
            if len(self._plain) >= _MOST_PLAIN:
                self._plain.clear()
            named = self._pickled_by_name(function)
            last = Stamped(function, stamp, None if named is None else bytes(named.frames[0]))
            self._plain[id(function)] = function, needed, last
        return last

    def item(self, item: Any) -> Any:
        """Return an item as it is now; or itself, if it can't be pickled, which will be told when
        it is sent.
        """
        if is_constant(item):
            return item
        try:
            return self._taken(item)
        except Exception:
            return item

    def items(self, items: Sequence[Any]) -> Sequence[Any]:
        """Return items as they are now: all themselves if nothing can change in them. The sequence
        is nobody else's.
        """
        if isinstance(items, range) or are_constant(items):
            return items
        kept = Kept()
        group = Grouping()
        while len(kept) < len(items):
            part = items[len(kept) : len(kept) + group.size]
            try:
                together = self._taken(part, by_value.loads_each)
            except Exception:  # one of them can't be pickled
                kept.add(list(map(self.item, part)), len(part))
                continue
            if group.is_good(len(part), together.weight):
                kept.add(together, len(part))
        return kept

    def container(self, iterable: Iterable[Any]) -> tuple[Iterable[Any], bool]:
        """Return what is in a container as it is now; another iterable as it is: what it yields is
        still to come.

        Returns
        -------
        iterable, bool
            Whether it is the former.
        """
        if type(iterable) is range:
            return iterable, True
        if type(iterable) in _CONTAINERS or is_array(iterable):
            return self.items(list(iterable)), True
        return iterable, False

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
        if (
            last is not None
            and bytes(view[:_LARGE]) == last.data[:_LARGE]
            and numpy.array_equal(array, last.data)
        ):
            return last
        copy = self._copies[key] = _Copy(bytearray(view))
        return copy


def _merged(stamps: Iterable[Mapping[str, Definition]]) -> dict[str, Definition]:
    return {name: each for stamp in stamps for name, each in stamp.items()}
