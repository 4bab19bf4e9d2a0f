"""From the timeline of a result file to what is drawn of it. No drawing here.

A lane is what one process did; lanes are in the order of ranks, the workers of a rank beside each
other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mpipar.store.summary import Summary

Array = np.ndarray[Any, Any]

_MOST_PAIRS = 2 * 10**7  # of a span and a column that it touches


@dataclass(frozen=True)
class Lanes:
    """The spans of all processes.

    Attributes
    ----------
    rank : numpy.ndarray
        Rank of each lane.
    lane, begin, end : numpy.ndarray
        Of each span: its lane, and its times in seconds.
    each : numpy.ndarray
        Seconds a block of each span.
    blocks : numpy.ndarray
        How many blocks each span has.
    block : numpy.ndarray
        The first block of each span.
    until : float
        The end of the run in seconds.
    """

    rank: Array
    lane: Array
    begin: Array
    end: Array
    each: Array
    blocks: Array
    block: Array
    until: float

    @classmethod
    def of(cls, summary: Summary) -> Lanes:
        """Return the spans of a summary that has a timeline; those of a process don't overlap."""
        assert summary.timeline is not None
        spans = summary.timeline
        ranks = summary.processes["rank"]
        order = np.argsort(ranks, kind="stable")
        lane_of = np.empty(len(order), int)
        lane_of[order] = np.arange(len(order))
        last = float(spans["end"].max(initial=0.0))
        return cls(
            ranks[order],
            lane_of[spans["worker"]],
            spans["begin"],
            spans["end"],
            summary.block_seconds,
            spans["blocks"],
            spans["block"],
            max(summary.elapsed, last),
        )

    @property
    def count(self) -> int:
        """Number of lanes."""
        return len(self.rank)

    @cached_property
    def since(self) -> float:
        """When the picture begins: 0, unless clocks disagree."""
        return min(0.0, float(self.begin.min(initial=0.0)))

    @cached_property
    def busy(self) -> Array:
        """Seconds that each lane was busy."""
        return np.bincount(self.lane, self.end - self.begin, self.count)

    @cached_property
    def longest(self) -> int:
        """The span with the longest block."""
        return int(self.each.argmax())

    @cached_property
    def firsts(self) -> Array:
        """The first lane of each rank."""
        if not self.count:
            return np.empty(0, int)
        steps = np.diff(self.rank, prepend=self.rank[0] - 1)
        return np.flatnonzero(steps)


def cells(lanes: Lanes, rows: int, columns: int) -> tuple[Array, Array]:
    """Return what an image of the lanes shows.

    Parameters
    ----------
    lanes : Lanes
    rows, columns : int
        Of the image: groups of neighbouring lanes, and times.

    Returns
    -------
    busy : numpy.ndarray
        The share of its time in kernels, of shape (rows, columns).
    longest : numpy.ndarray
        Seconds of the longest block there, or 0; of the same shape.
    """
    edges = np.linspace(lanes.since, lanes.until, columns + 1)
    width = max(edges[1] - edges[0], np.finfo(float).tiny)
    begin = (lanes.begin - lanes.since) / width
    end = (lanes.end - lanes.since) / width
    first = np.clip(begin.astype(int), 0, columns - 1)
    last = np.clip(end.astype(int), first, columns - 1)
    touched = last - first + 1
    span = np.repeat(np.arange(len(first)), touched)
    before = np.cumsum(touched) - touched
    column = first[span] + np.arange(len(span)) - np.repeat(before, touched)
    start = np.maximum(lanes.begin[span], edges[column])
    stop = np.minimum(lanes.end[span], edges[column + 1])
    overlap = np.maximum(stop - start, 0.0)
    count = max(1, lanes.count)
    row = lanes.lane[span] * rows // count
    cell = row * columns + column
    row_of_lane = np.arange(lanes.count) * rows // count
    there = np.bincount(row_of_lane, minlength=rows)
    busy = np.bincount(cell, overlap, rows * columns).reshape(rows, columns)
    longest = np.zeros(rows * columns)
    np.maximum.at(longest, cell, lanes.each[span])
    share = busy / (width * there[:, None])
    return np.clip(share, 0, 1), longest.reshape(rows, columns)


def columns_for(lanes: Lanes, wanted: int) -> int:
    """Return how many columns an image may have, so that it is made in seconds."""
    most = _MOST_PAIRS // max(1, lanes.count)
    return max(20, min(wanted, most))


def share_busy(lanes: Lanes, columns: int) -> tuple[Array, Array]:
    """Return the edges of some bins of time, and the share of all processes that were in kernels in
    each.
    """
    busy, _ = cells(lanes, 1, columns_for(lanes, columns))
    bins = busy.shape[1]
    edges = np.linspace(lanes.since, lanes.until, bins + 1)
    return edges, busy[0]
