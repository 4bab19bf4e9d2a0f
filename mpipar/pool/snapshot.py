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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mpipar.pool import by_value
from mpipar.pool.main_names import Definition
from mpipar.pool.salvage import Broken
from mpipar.runtime.channel import Frames

_LARGE = 2**16  # bytes, which don't travel within another pickle


class Copy:
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
        copies: list[Copy],
        stamp: Mapping[str, Definition],
        load: Callable[[Frames], Any],
        lent: list[Any],
    ) -> None:
        self._pickle = pickled
        self._copies = copies
        self.stamp = stamp
        self._load = load
        self.lent = lent

    @property
    def weight(self) -> int:
        """Return how many bytes it has."""
        return len(self._pickle) + sum(len(copy.data) for copy in self._copies)

    @property
    def small(self) -> bytes | None:
        """Return its pickle, if that is all there is, and small."""
        if self._copies or len(self._pickle) >= _LARGE:
            return None
        return self._pickle

    @property
    def pickled(self) -> by_value.Pickled:
        """Return the pickle of its value, which isn't one of a snapshot."""
        buffers = [copy.data for copy in self._copies]
        stamps = []
        if self.stamp:
            stamps.append(self.stamp)
        return by_value.Pickled([self._pickle, *buffers], set(), stamps, self.lent)

    def __reduce__(self) -> Any:
        whole: Any = self._pickle
        if len(self._pickle) >= _LARGE:
            whole = pickle.PickleBuffer(self._pickle)
        frames = [whole]
        for copy in self._copies:
            frames.append(pickle.PickleBuffer(copy.data))
        return self._load, (frames,)


class Member:
    """One of several values that are in a snapshot together."""

    __slots__ = ("index", "together")

    def __init__(self, together: Snapshot, index: int) -> None:
        self.together = together
        self.index = index

    def __reduce__(self) -> Any:
        return operator.getitem, (self.together, self.index)


class Stamped:
    """A function that needs no snapshot, with what the names of the script stood for when it was
    handed in.

    Attributes
    ----------
    name : bytes or None
        Its pickle, if that is no more than its name.
    digest : bytes or None
        What tells it from others, if tasks are kept.
    """

    __slots__ = ("digest", "function", "name", "stamp")

    def __init__(
        self,
        function: Any,
        stamp: Mapping[str, Definition],
        name: bytes | None = None,
    ) -> None:
        self.function = function
        self.stamp = stamp
        self.name = name
        self.digest: bytes | None = None

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
        # from there on: of several items, or the items
        self._groups: list[Snapshot | list[Any]] = []
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
        group = self._groups[number]
        index = key - self._starts[number]
        if isinstance(group, Snapshot):
            return Member(group, index)
        return group[index]

    def _end(self, start: int) -> int:
        number = bisect.bisect_right(self._starts, start)
        if number == len(self._starts):
            return self._length
        return self._starts[number]

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
        self._kept = kept
        self._start = start
        self._stop = stop

    def __len__(self) -> int:
        return max(0, self._stop - self._start)

    def __iter__(self) -> Iterator[Any]:
        return map(self._kept.__getitem__, range(self._start, self._stop))

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
    if type(items) is list and type(items[0]) in (Snapshot, Member):
        return Batch(items)
    return items


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
