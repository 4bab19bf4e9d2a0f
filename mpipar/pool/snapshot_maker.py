"""Makes snapshots of what a script hands in: in its own thread, and of no more than can change."""

from __future__ import annotations

import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple

from mpipar.pool import by_value
from mpipar.pool.common import have_common
from mpipar.pool.constant import are_constant, is_array, is_constant
from mpipar.pool.definitions import Definitions, is_named
from mpipar.pool.grouping import Grouping
from mpipar.pool.main_names import Definition
from mpipar.pool.snapshot import Copy, Kept, Member, Snapshot, Stamped
from mpipar.runtime.channel import Frames

_CONTAINERS = (list, tuple, set, frozenset, dict, deque)
_MOST_PLAIN = 256
_LONGEST_NAME = 256  # bytes of a pickle that is no more than a name; code by itself has more
_NO_STAMP: Mapping[str, Definition] = {}
_COMPARED = 2**16  # bytes of a buffer, before the rest


class Taken(NamedTuple):
    """What a job is to be done with, items or what yields them, as parameters of a FedJob."""

    iterable: Iterable[Any]
    snapshot: Callable[[Any], Any] | None = None
    snapshot_of_chunk: Callable[[list[Any]], tuple[list[Any], bool]] | None = None
    is_chunked: bool = False


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
        # functions that need no snapshot
        self._plain: dict[int, tuple[Any, set[str], Stamped]] = {}
        # functions that are pickled by their names
        self._named: dict[int, tuple[Any, by_value.Pickled]] = {}
        self._copies: weakref.WeakValueDictionary[tuple[int, int], Copy] = (
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
        frames = by_value.dumps(taken).frames
        return frames, taken.stamp, taken.lent

    def live(self, function: Any) -> tuple[Frames, Mapping[str, Definition], list[Any]]:
        """Return the same of a function whose arrays don't change before it is over; they aren't
        copied.
        """
        pickled = self._pickled_by_name(function)
        if pickled is None:
            self._definitions.remember(function)
            pickled = self._definitions.dumps(function)
        stamp = self._definitions.stamp(pickled.needed)
        return pickled.frames, stamp, pickled.lent

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
            known = function, pickled._replace(frames=frames)
            self._named[id(function)] = known
        return known[1]

    def call(
        self,
        function: Any,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> Any:
        """Return what a single task is, as it is now. Raises what pickling it raises."""
        self._definitions.remember(function)
        is_plain = type(function) is FunctionType or _is_of_module(function)
        if is_plain and are_constant(arguments) and are_constant(keywords.values()):
            return self._stamped(function), arguments, keywords
        return self._taken((function, arguments, keywords))

    def _stamped(self, function: Any) -> Stamped:
        _, needed, last = self._plain.get(id(function), (None, None, None))
        if needed is None:
            needed = set()
            if type(function) is FunctionType:
                needed = self._definitions.dumps(function).needed
        stamp = self._definitions.stamp(needed)
        if last is None or last.stamp != stamp:
            if len(self._plain) >= _MOST_PLAIN:
                self._plain.clear()
            last = Stamped(function, stamp)
            named = self._pickled_by_name(function)
            if named is not None:
                last.name = bytes(named.frames[0])
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

    def chunks(self, items: Sequence[Any], unit: int) -> Sequence[Any]:
        """Return items as they are now, of which some have an object in common that can change:
        with it, those of each chunk of so many are pickled together.
        """
        kept = Kept()
        group = Grouping(0)
        while len(kept) < len(items):
            part = items[len(kept) : len(kept) + group.size * unit]
            count = -(-len(part) // unit)
            try:
                together = self._taken(part, by_value.loads_each)
            except Exception:  # one of them can't be pickled
                if count == 1:
                    kept.add(list(part), len(part))
                group.size = 1
                continue
            if group.is_good(count, together.weight):
                kept.add(together, len(part))
        return kept

    def chunk(self, items: list[Any]) -> tuple[list[Any], bool]:
        """Return the items of a chunk as they are now, and whether they have an object in common
        that can change.
        """
        if not have_common(items):
            return list(map(self.item, items)), False
        try:
            together = self._taken(items, by_value.loads_each)
        except Exception:  # one of them can't be pickled
            return items, True
        return [Member(together, index) for index in range(len(items))], True

    def container(self, iterable: Iterable[Any], unit: int) -> Taken:
        """Return what is in a container as it is now; another iterable as it is: what it yields is
        still to come.
        """
        items = listed(iterable)
        if items is None:
            return Taken(iterable, self.item, self.chunk)
        if have_common(items):
            return Taken(self.chunks(items, unit), is_chunked=True)
        return Taken(self.items(items))

    def _taken(self, value: Any, load: Callable[[Frames], Any] = by_value.loads) -> Snapshot:
        pickled = self._small(value) or self._definitions.dumps(value)
        stamp: Mapping[str, Definition] = _NO_STAMP
        if pickled.needed or pickled.stamps:
            of_needed = self._definitions.stamp(pickled.needed)
            stamp = {**of_needed, **_merged(pickled.stamps)}
        first, *buffers = pickled.frames
        if not buffers and type(first) is bytes:
            return Snapshot(first, [], stamp, load, pickled.lent)
        copies = [self._copy(memoryview(each)) for each in buffers]
        return Snapshot(bytes(first), copies, stamp, load, pickled.lent)

    def _small(self, value: Any) -> by_value.Pickled | None:
        """Pickle a value, if it is small."""
        try:
            reused = self._of_thread.reused
        except AttributeError:
            reused = self._of_thread.reused = self._definitions.reused()
        return reused.dumps(value)  # type: ignore[no-any-return]

    def _copy(self, view: memoryview) -> Copy:
        """Return a copy of a buffer: the last one, if the buffer is as it was then."""
        numpy = sys.modules.get("numpy")
        if numpy is None:
            return Copy(bytearray(view))
        array = numpy.frombuffer(view, numpy.uint8)
        key = array.__array_interface__["data"][0], array.nbytes
        last = self._copies.get(key)
        if last is not None:
            begins_alike = bytes(view[:_COMPARED]) == last.data[:_COMPARED]
            if begins_alike and numpy.array_equal(array, last.data):
                return last
        copy = Copy(bytearray(view))
        self._copies[key] = copy
        return copy


def listed(iterable: Iterable[Any]) -> Sequence[Any] | None:
    """Return what is in a container; None for another iterable: what it yields is still to come."""
    if type(iterable) is range:
        return iterable
    if type(iterable) in _CONTAINERS or is_array(iterable):
        return list(iterable)
    return None


def _is_of_module(function: Any) -> bool:
    """Return whether a function is a builtin one of a module, and not a method of an object."""
    return type(function) is BuiltinFunctionType and type(function.__self__) is ModuleType


def _merged(stamps: Iterable[Mapping[str, Definition]]) -> dict[str, Definition]:
    found: dict[str, Definition] = {}
    for stamp in stamps:
        found.update(stamp)
    return found
