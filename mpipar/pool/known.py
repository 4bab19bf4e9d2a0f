"""What earlier runs have committed, to be found by what tasks are.

::

    digest of a block of 4096 items ─▶ all their outcomes at once
    digest of an item               ─▶ one outcome; equal tasks get theirs in the order of the file

Each outcome is given once: a task that is handed in again gets another one, or is evaluated.
"""

from __future__ import annotations

import itertools
import operator
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from mpipar.store.outcome_codec import ABSENT
from mpipar.store.stored_calls import DIGEST, NO_DIGEST, StoredCall

BLOCK = 4096
"""Items of a map that are looked up together, if they are equal as a whole."""

ANY = -1
"""However many tasks a call has: they are handed in one by one."""

_GIVEN = b"\x01"


class Stored:
    """A stored call, and which of its outcomes have been given.

    Parameters
    ----------
    call : StoredCall

    Attributes
    ----------
    is_taken_up : bool
        Whether a call of this run is the same, and goes on with it.
    """

    def __init__(self, call: StoredCall) -> None:
        self.call = call
        self.is_taken_up = False
        self._given = bytearray(call.tasks)
        for index in call.copies:
            self._given[index] = 1
        self._values: list[Any] | None = None
        self._is_whole = False

    @property
    def is_foreign(self) -> bool:
        """Whether another file has it, and not the output of this run."""
        return self.call.number is None

    @property
    def values(self) -> list[Any]:
        """The outcomes; ABSENT where there is none, or it has been given."""
        if self._values is None:
            self._values, has_gaps = self.call.values_and_gaps()
            self._is_whole = not has_gaps or _are_there(self._values)
        return self._values

    def take_all(self) -> list[Any] | None:
        """Return all outcomes, if they are there and none has been given."""
        outcomes = self.values
        if not self._is_whole or _GIVEN in self._given:
            return None
        self._given = bytearray(_GIVEN * len(outcomes))
        self._values = []
        return outcomes

    def take_block(self, number: int, size: int) -> list[Any] | None:
        """Return all outcomes of a block, if they are there and none has been given."""
        start = number * BLOCK
        stop = number * BLOCK + size
        if stop > self.call.tasks or _GIVEN in self._given[start:stop]:
            return None
        outcomes = self.values[start:stop]
        if not self._is_whole and any(each is ABSENT for each in outcomes):
            return None
        self._given[start:stop] = _GIVEN * size
        self.values[start:stop] = [ABSENT] * size  # they aren't kept alive here
        return outcomes

    def take(self, index: int) -> Any:
        """Return the outcome of a task; ABSENT if there is none, or it has been given."""
        if self._given[index]:
            return ABSENT
        outcome = self.values[index]
        self._given[index] = 1
        self.values[index] = ABSENT
        return outcome

    def digests(self) -> Iterator[tuple[bytes, int]]:
        """Yield the digests of items whose outcomes are there to give, and their numbers."""
        digests = self.call.item_digests
        values = self.values
        for index in np.flatnonzero(np.frombuffer(self._given, "u1") == 0).tolist():
            digest = bytes(digests[DIGEST * index : DIGEST * (index + 1)])
            if digest != NO_DIGEST and values[index] is not ABSENT:
                yield digest, index


def _are_there(outcomes: list[Any]) -> bool:
    return not any(map(operator.is_, outcomes, itertools.repeat(ABSENT)))


class KnownTasks:
    """The stored calls of one function."""

    def __init__(self) -> None:
        self._calls: list[Stored] = []
        self._blocks: defaultdict[bytes, deque[tuple[Stored, int]]] = defaultdict(deque)
        self._items: dict[bytes, tuple[Stored, int]] | None = None
        self._equal: defaultdict[bytes, deque[tuple[Stored, int]]] = defaultdict(deque)

    def add(self, call: StoredCall) -> None:
        """Add a call, after those that are to be asked before it."""
        stored = Stored(call)
        self._calls.append(stored)
        for number, digest in enumerate(call.block_digests):
            if digest != NO_DIGEST:
                self._blocks[digest].append((stored, number))

    def block(self, digest: bytes, size: int) -> tuple[list[Any], Stored] | None:
        """Return the outcomes of a block of so many items, and whose these were; or None."""
        for stored, number in self._blocks.get(digest, ()):
            outcomes = stored.take_block(number, size)
            if outcomes is not None:
                return outcomes, stored
        return None

    def whole(self, blocks: list[bytes], tasks: int) -> tuple[list[Any], Stored] | None:
        """Return the outcomes of a call of just these items, and whose these were; None, if one is
        missing.
        """
        if not blocks or NO_DIGEST in blocks:
            return None
        for stored in self._calls:
            is_same = stored.call.tasks == tasks and stored.call.block_digests == blocks
            if not is_same or stored.is_taken_up:
                continue
            outcomes = stored.take_all()
            if outcomes is not None:
                return outcomes, stored
            if not stored.is_foreign:  # this run goes on with it
                return None
        return None

    def item(self, digest: bytes) -> tuple[Any, Stored] | None:
        """Return the outcome of one task, and whose it was; or None."""
        if self._items is None:
            self._items = self._by_item()
        while (place := self._next(self._items, digest)) is not None:
            stored, index = place
            outcome = stored.take(index)
            if outcome is not ABSENT:
                return outcome, stored
        return None

    def _next(
        self,
        items: dict[bytes, tuple[Stored, int]],
        digest: bytes,
    ) -> tuple[Stored, int] | None:
        """Return where the next outcome of a digest is, and forget that."""
        place = items.pop(digest, None)
        equal = self._equal.get(digest)
        if equal:
            items[digest] = equal.popleft()
        return place

    def same(self, block_digests: list[bytes], tasks: int) -> Stored | None:
        """Return the call of this run's output that is of just these items, and mark it as taken
        up; without blocks, that of items which were handed in one by one.
        """
        if NO_DIGEST in block_digests:
            return None
        for stored in self._calls:
            if stored.is_foreign or stored.is_taken_up:
                continue
            if stored.call.block_digests == block_digests and tasks in (ANY, stored.call.tasks):
                stored.is_taken_up = True
                return stored
        return None

    def _by_item(self) -> dict[bytes, tuple[Stored, int]]:
        found: dict[bytes, tuple[Stored, int]] = {}
        for stored in self._calls:
            for digest, index in stored.digests():
                if digest in found:  # few are equal, and a queue for each would be large
                    self._equal[digest].append((stored, index))
                else:
                    found[digest] = stored, index
        return found


class Known:
    """All that is known, function by function.

    Parameters
    ----------
    calls : iterable of StoredCall

    Attributes
    ----------
    tasks : int
        How many have outcomes.
    """

    def __init__(self, calls: Iterable[StoredCall] = ()) -> None:
        self._functions: dict[bytes, KnownTasks] = {}
        self.tasks = 0
        for call in calls:
            self._functions.setdefault(call.function, KnownTasks()).add(call)
            self.tasks += call.done

    def of(self, function: bytes) -> KnownTasks | None:
        """Return what is known of a function; None if nothing is."""
        return self._functions.get(function)
