"""When a process evaluated which blocks, in bounded memory."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from mpipar.core.blocks import Blocks

SHORTEST_SPAN = 0.001
"""Blocks that take less than so many seconds share a span."""

MOST_SPANS = 2**12
"""A process keeps no more; where there would be more, neighbours become one."""

MOST_SPANS_OF_ALL = 2**16
"""So many at most (but one for each process) go to the root."""


class Span(NamedTuple):
    """Some blocks that a process evaluated one after the other.

    Attributes
    ----------
    block : int
        The first of them.
    blocks : int
        How many.
    begin, end : float
        When, in seconds.
    """

    block: int
    blocks: int
    begin: float
    end: float


class Timeline:
    """The spans of one process, in the order of time.

    Attributes
    ----------
    spans : list of Span
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._shortest = SHORTEST_SPAN

    def add(self, chunk: Blocks, marks: list[tuple[int, float]]) -> None:
        """Take in a chunk.

        Parameters
        ----------
        chunk : Blocks
        marks : list of (int, float)
            How many of its blocks were done at which time, by time.perf_counter; from its begin on.
        """
        for (position, begin), (after, end) in itertools.pairwise(marks):
            if after > position:
                first, *_ = chunk[position : position + 1]
                span = Span(first, after - position, begin, end)
                _append(self.spans, span, self._shortest)
        if len(self.spans) > MOST_SPANS:
            self.spans, self._shortest = _thinned(
                self.spans,
                MOST_SPANS // 2,
                self._shortest,
            )

    def since(self, origin: float, most: int = MOST_SPANS) -> list[Span]:
        """Return no more than ``most`` spans that tell the same, with times counted from
        ``origin``.
        """
        spans, _ = _thinned(self.spans, most, self._shortest)
        found = []
        for block, blocks, begin, end in spans:
            found.append(Span(block, blocks, begin - origin, end - origin))
        return found


def most_of_each(processes: int) -> int:
    """Return how many spans each of so many processes may send to the root."""
    return max(1, min(MOST_SPANS, MOST_SPANS_OF_ALL // processes))


def _append(spans: list[Span], span: Span, shortest: float) -> None:
    """Add a span, or make it one with the last, if both are short and there is next to no time
    between them.
    """
    if spans:
        last = spans[-1]
        longer = max(last.end - last.begin, span.end - span.begin)
        between = span.begin - last.end
        if longer < shortest and between < shortest / 10:
            spans[-1] = Span(
                last.block,
                last.blocks + span.blocks,
                last.begin,
                span.end,
            )
            return
    spans.append(span)


def _thinned(
    spans: list[Span],
    most: int,
    shortest: float,
) -> tuple[list[Span], float]:
    """Return no more than ``most`` spans, and the length under which they were made one."""
    while len(spans) > most:
        shortest *= 2
        fewer: list[Span] = []
        for span in spans:
            _append(fewer, span, shortest)
        spans = fewer
    return spans, shortest
