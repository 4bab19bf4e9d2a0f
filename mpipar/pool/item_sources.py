"""Where the items of a job come from: those to be handed out, and those that are out."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Sequence
from typing import Any


class Streamed:
    """Items that came from an iterator."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._first = 0  # number of the first of these
        self._out: dict[int, Any] = {}

    @property
    def waiting(self) -> int:
        """Return how many items can be handed out now."""
        return len(self._items)

    @property
    def first(self) -> int:
        """Return the number of the first of these."""
        return self._first

    def extend(self, items: list[Any]) -> None:
        """Add the next items, all at once."""
        self._items.extend(items)

    def append(self, item: Any) -> None:
        """Add the next item."""
        self._items.append(item)

    def take(self, count: int) -> tuple[Sequence[int], list[Any]]:
        """Hand out up to so many items, with their numbers."""
        items = [self._items.popleft() for _ in range(min(count, len(self._items)))]
        indices = self._numbers_of(len(items))
        self._out.update(zip(indices, items, strict=True))
        return indices, items

    def _numbers_of(self, count: int) -> Sequence[int]:
        """Return the numbers of the next items."""
        indices = range(self._first, self._first + count)
        self._first = indices.stop
        return indices

    def items(self, indices: Sequence[int]) -> list[Any]:
        """Return items that are out."""
        return [self._out[index] for index in indices]

    def forget(self, indices: Sequence[int]) -> None:
        """Forget items that are out."""
        for index in indices:
            del self._out[index]

    def clear(self) -> None:
        """Hand out no more."""
        self._items.clear()


class StreamedInPart(Streamed):
    """Items that came from an iterator, but for those whose outcomes are known."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: deque[int] = deque()

    def add(self, number: int, item: Any) -> None:
        """Add an item, which has a number."""
        self._numbers.append(number)  # first: who takes the item needs it
        self._items.append(item)

    def _numbers_of(self, count: int) -> Sequence[int]:
        return [self._numbers.popleft() for _ in range(count)]


class Listed:
    """Items that are all there, the first of which may be handed out: nothing is done for each.

    Parameters
    ----------
    items : sequence
    order : sequence of int, optional
        The numbers of those that are to be handed out at all, in order.
    unit : int
        How many of them stay together.
    """

    def __init__(
        self,
        items: Sequence[Any],
        order: Sequence[int] | None = None,
        *,
        unit: int = 1,
    ) -> None:
        self._unit = unit
        self._items = items
        self._order: Sequence[int] = range(len(items)) if order is None else order
        self._next = self._stop = 0  # of these, between which they may be handed out
        self._end = 0  # of the items that may be handed out

    @property
    def waiting(self) -> int:
        """Return how many items can be handed out now."""
        return self._stop - self._next

    @property
    def first(self) -> int:
        """Return how many items have been handed out."""
        return self._next

    def allow(self, most: float) -> int:
        """Let so many more be handed out, or those that are left; return how many."""
        left = len(self._items) - self._end
        count = left
        if most < left:
            count = min(left, int(most) + -int(most) % self._unit)
        self._end += count
        self._stop = bisect.bisect_left(self._order, self._end)
        return count

    def take(self, count: int) -> tuple[Sequence[int], Any]:
        """Hand out up to so many items, with their numbers."""
        indices = self._order[self._next : min(self._next + count, self._stop)]
        self._next += len(indices)
        if isinstance(indices, range):
            return indices, self._items[indices.start : indices.stop]
        return indices, self.items(indices)

    def items(self, indices: Sequence[int]) -> list[Any]:
        """Return items that are out."""
        return [self._items[index] for index in indices]

    def forget(self, indices: Sequence[int]) -> None:
        """Forget nothing: others may want them."""

    def clear(self) -> None:
        """Hand out no more."""
        self._next = self._stop
