"""Jobs whose items are all there, and what is known of them: block by block, or one by one."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mpipar.pool.jobs import Piece, Raised, Who
from mpipar.pool.known import BLOCK, KnownTasks, Stored
from mpipar.pool.memory import Memory
from mpipar.pool.recalled_tasks import span_of
from mpipar.store.stored_calls import DIGEST


class Marks(NamedTuple):
    """What tells the items of a job from others.

    Attributes
    ----------
    number : int
        Of the job.
    items : sequence
    blocks : list of bytes
        Digests of 4096 of them at a time.
    each : callable
        Returns the digests of each, one after the other.
    """

    number: int
    items: Sequence[Any]
    blocks: list[bytes]
    each: Callable[[], bytes]


_NO_MARKS = Marks(-1, (), [], bytes)


class Found(NamedTuple):
    """Outcomes that are known.

    Attributes
    ----------
    first : int
        The first of the tasks, which are neighbours.
    outcomes : list
    stored : Stored
        The call that has them.
    """

    first: int
    outcomes: list[Any]
    stored: Stored


class RecalledItems:
    """What is known of a job whose items are all there.

    Parameters
    ----------
    memory : Memory
    function : bytes
        Digest of the function.
    name : str
        Of the function.
    marks : Marks
        What tells the items from others.

    Attributes
    ----------
    number : int
        Of the job.
    pieces : list of (int, list)
        Known outcomes of neighbouring tasks, from one on, in order.
    """

    def __init__(
        self,
        memory: Memory,
        function: bytes,
        name: str,
        marks: Marks,
    ) -> None:
        self.number = marks.number
        self.pieces: list[Piece] = []
        self._memory = memory
        self._function = function
        self._name = name
        self._marks = marks
        self._digests: bytes | None = None
        self._call = -1

    def look_up(self) -> None:
        """Find what is known, and where the rest is to be kept; in the script's thread."""
        count = len(self._marks.items)
        found: list[Found] = []
        with self._memory.lock:
            tasks = self._memory.known.of(self._function)
            if tasks is not None:
                found = self._found(tasks, count)
            self.pieces = [(first, outcomes) for first, outcomes, _ in found]
            known = sum(len(outcomes) for _, outcomes in self.pieces)
            self._memory.count(count, known, is_met=tasks is not None)
            self._begin(tasks, count)
            self._keep_foreign(found)
        self._marks = _NO_MARKS

    def _found(self, tasks: KnownTasks, count: int) -> list[Found]:
        """Return what is known: all at once, or else whole blocks first, and of the rest one by
        one.
        """
        whole = tasks.whole(self._marks.blocks, count)
        if whole is not None:
            return [Found(0, *whole)]
        found: list[Found] = []
        unknown: list[range] = []
        for number, digest in enumerate(self._marks.blocks):
            block = range(number * BLOCK, min((number + 1) * BLOCK, count))
            known = tasks.block(digest, len(block))
            if known is None:
                unknown.append(block)
            else:
                found.append(Found(block.start, *known))
        for index in itertools.chain.from_iterable(unknown):
            single = tasks.item(self._digest(index))
            if single is not None:
                outcome, stored = single
                found.append(Found(index, [outcome], stored))
        found.sort(key=operator.itemgetter(0))
        return joined(found)

    def _digest(self, index: int) -> bytes:
        return self._each()[index * DIGEST : (index + 1) * DIGEST]

    def _each(self) -> bytes:
        if self._digests is None:
            self._digests = self._marks.each()
        return self._digests

    def _begin(self, tasks: KnownTasks | None, count: int) -> None:
        """Have a call in the file: the one that an earlier run has begun, or a new one."""
        if not self._memory.is_kept:
            return
        blocks = self._marks.blocks
        stored = None if tasks is None else tasks.same(blocks, count)
        if stored is not None and stored.call.number is not None:
            self._call = stored.call.number
        else:
            self._call = self._memory.begin_call(
                self._function,
                self._name,
                blocks,
                self._each(),
            )

    def _keep_foreign(self, found: list[Found]) -> None:
        """Have in the file what other files know."""
        for first, outcomes, stored in found:
            if stored.is_foreign:
                indices = range(first, first + len(outcomes))
                self._memory.append(self._call, indices, None, outcomes, None)

    def note(
        self,
        indices: Sequence[int],
        outcomes: Sequence[Any],
        who: Who,
    ) -> None:
        """Keep what came out of some tasks."""
        if any(type(outcome) is Raised for outcome in outcomes):
            indices, outcomes = _values(indices, outcomes)
        if outcomes:
            with self._memory.lock:
                self._memory.append(self._call, indices, None, outcomes, span_of(who))


def _values(indices: Sequence[int], outcomes: Sequence[Any]) -> tuple[list[int], list[Any]]:
    """Return the tasks that raised nothing, and what came out of them."""
    kept = [
        index for index, each in zip(indices, outcomes, strict=True) if type(each) is not Raised
    ]
    return kept, [each for each in outcomes if type(each) is not Raised]


def joined(found: list[Found]) -> list[Found]:
    """Return what is known with neighbours of one call together."""
    pieces: list[Found] = []
    for each in found:
        if pieces:
            first, outcomes, stored = pieces[-1]
            if stored is each.stored and each.first == first + len(outcomes):
                outcomes += each.outcomes
                continue
        pieces.append(each)
    return pieces
