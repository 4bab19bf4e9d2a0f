"""What a pool is asked to do with a list: one list is to come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mpipar.pool.jobs import Job, Piece, Raised, Recalled, without


class ListJob(Job):
    """Tasks that are all known, and whose values are wanted as one list.

    Parameters
    ----------
    function, kind, chunksize
        As for Job.
    items : sequence
    unit, is_chunked
        As for Job.
    done : callable
        Called with the list, or a Raised: the first task's in the order of the list.

    Attributes
    ----------
    known : list of (int, list)
        Outcomes of neighbouring tasks, from one on, that are known already, in order.
    """

    def __init__(
        self,
        function: Any,
        kind: str,
        items: Sequence[Any],
        done: Callable[[Any], None],
        *,
        chunksize: int | None = None,
        unit: int = 1,
        is_chunked: bool = False,
    ) -> None:
        super().__init__(function, kind, chunksize)
        self.unit = unit
        self.is_chunked = is_chunked
        self.known: list[Piece] = []
        self._items = items
        self._done = done
        self._order: Sequence[int] = range(len(items))  # that are handed out
        self._next = 0
        self._left = len(items)
        self._values: list[Any] = [None] * len(items)
        self._raised: tuple[int, Raised] | None = None

    @property
    def waiting(self) -> int:  # noqa: D102
        return len(self._order) - self._next

    @property
    def total(self) -> int:  # noqa: D102
        return len(self._order)

    @property
    def is_done(self) -> bool:  # noqa: D102
        return self._left == 0

    def take(self, count: int) -> tuple[Sequence[int], Any]:  # noqa: D102
        count = self.in_whole_chunks(self._next, count)
        indices = self._order[self._next : self._next + count]
        self._next += len(indices)
        if isinstance(indices, range):
            return indices, self._items[indices.start : indices.stop]
        return indices, self.items(indices)

    def items(self, indices: Sequence[int]) -> Any:  # noqa: D102
        return [self._items[index] for index in indices]

    def recall(self, recalled: Recalled) -> None:  # noqa: D102
        super().recall(recalled)
        self.known = recalled.pieces

    def put_known(self) -> None:  # noqa: D102
        if not self.known:
            return
        known = self.known
        self.known = []
        ranges = [range(first, first + len(outcomes)) for first, outcomes in known]
        self._order = without(ranges, len(self._items))
        for indices, (_, outcomes) in zip(ranges, known, strict=True):
            self.put(indices, outcomes, all_well=True)

    def put(self, indices: Sequence[int], outcomes: list[Any], *, all_well: bool = False) -> None:  # noqa: D102
        if all_well and len(indices) == len(self._values):
            self._values = outcomes
        elif all_well and isinstance(indices, range):
            self._values[indices.start : indices.stop] = outcomes
        else:
            for index, outcome in zip(indices, outcomes, strict=True):
                self._values[index] = outcome
                if type(outcome) is Raised:
                    self._note_raised(index, outcome)
        self._left -= len(outcomes)
        if self._left == 0:
            self._done(self._values if self._raised is None else self._raised[1])

    def _note_raised(self, index: int, outcome: Raised) -> None:
        is_first = self._raised is None or index < self._raised[0]
        if is_first:
            self._raised = index, outcome

    def cancel(self, error: BaseException) -> None:  # noqa: D102
        if self._left:
            self._left, self._next = 0, len(self._order)
            self._done(Raised(error))
