"""Chunks whose tasks have an object in common: each is unpickled by itself, and stays whole.

What a task changes in its item, the next one of its chunk sees, and no other: so it is with
multiprocessing, which pickles chunk by chunk.
"""

from __future__ import annotations

import contextlib
import itertools
import pickle
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from mpipar.pool import by_value
from mpipar.pool.node_memory import Held, opened
from mpipar.pool.salvage import Broken
from mpipar.pool.snapshot import Member, Snapshot, packed
from mpipar.runtime.channel import Frames


class Chunk(NamedTuple):
    """Where the items of a chunk are.

    Attributes
    ----------
    place : int
        Of their pickle, among those of a parcel.
    start, stop : int
        From where to where they are in its list.
    """

    place: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Return how many they are."""
        return self.stop - self.start


def sizes_of(indices: Sequence[int], unit: int) -> list[int]:
    """Return how many of some tasks each chunk has, if there are so many in one."""
    counts = Counter(index // unit for index in indices)
    return list(counts.values())


class Parcel:
    """Chunks on their way to a worker.

    Parameters
    ----------
    dumps : callable
        Pickles what isn't pickled yet.
    """

    def __init__(self, dumps: Callable[[Any], by_value.Pickled]) -> None:
        self._dumps = dumps
        self._chunks: list[Chunk] = []
        self._counts: list[int] = []  # frames of each pickle
        self._places: dict[Snapshot, int] = {}  # {pickle of several chunks: its number}
        self._all = by_value.Pickled([], set(), [], [])

    def add(self, items: Sequence[Any]) -> None:
        """Add a chunk; raises what pickling it raises."""
        if type(items[0]) is Member:
            place = self._place_of(items[0].together)
            start = items[0].index
        else:
            place = self._put(self._dumps(packed(list(items))))
            start = 0
        self._chunks.append(Chunk(place, start, start + len(items)))

    def _place_of(self, snapshot: Snapshot) -> int:
        place = self._places.get(snapshot)
        if place is None:
            place = self._put(snapshot.pickled)
            self._places[snapshot] = place
        return place

    def _put(self, pickled: by_value.Pickled) -> int:
        self._all.frames.extend(pickled.frames)  # type: ignore[attr-defined]
        self._all.needed.update(pickled.needed)
        self._all.stamps.extend(pickled.stamps)
        self._all.lent.extend(pickled.lent)
        self._counts.append(len(pickled.frames))
        return len(self._counts) - 1

    def pickled(self) -> by_value.Pickled:
        """Return all chunks."""
        told = [tuple(chunk) for chunk in self._chunks], self._counts
        head = pickle.dumps(told)
        return self._all._replace(frames=[head, *self._all.frames])


class Chunks:
    """Chunks of a batch that haven't been begun; two threads take from their ends.

    Parameters
    ----------
    frames : list
        Of a parcel.
    """

    def __init__(self, frames: Frames) -> None:
        head, *self._frames = frames
        chunks, counts = pickle.loads(head)
        self._waiting = deque(Chunk(*chunk) for chunk in chunks)
        self._kept = sum(chunk.size for chunk in self._waiting)
        self._ends = list(itertools.accumulate(counts, initial=0))
        self._held = Held(())
        if len(chunks) > len(counts):  # some are in one pickle
            self._held = Held(self._frames)
            self._frames = []
        self._done = 0  # tasks of chunks that are over
        self.begun = 0

    def __iter__(self) -> Iterator[Any]:
        while True:
            try:
                chunk = self._waiting.popleft()
            except IndexError:
                return
            self._done = self.begun
            items = deque(self._loaded(chunk))
            while items:
                self.begun += 1
                yield items.popleft()

    def _loaded(self, chunk: Chunk) -> list[Any]:
        """Unpickle a chunk, with memory of its own for what is written to its arrays."""
        start, stop = self._ends[chunk.place : chunk.place + 2]
        try:
            frames = self._frames or opened(self._held.ticket)
            items = by_value.loads_each(frames[start:stop])
        except Exception as error:
            return [Broken(error)] * chunk.size
        return items[chunk.start : chunk.stop]

    def take_back(self) -> int:
        """Take away what hasn't been begun; return how many tasks."""
        before = self._kept
        with contextlib.suppress(IndexError):  # none is left
            while True:
                self._kept -= self._waiting.pop().size
        return before - self._kept

    def complete(self, done: int) -> int:
        """Return how many of the tasks that are done are of chunks that are over."""
        return min(done, self._done)
