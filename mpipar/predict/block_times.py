"""How long each block of a plan takes: as measured, or drawn from that.

Where a plan is to have another number of blocks than the measured one, its times are drawn: runs of
neighbours, each from a random place of the measured plan, which is taken as a ring (the circular
block bootstrap; D. N. Politis and J. P. Romano, in *Exploring the Limits of Bootstrap*, 263, 1992).
Runs keep what neighbours have to do with each other. Times that follow their position in the plan
over more than runs can keep are stretched instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mpipar.base.errors import BadInput
from mpipar.base.text import several
from mpipar.runtime.timeline import SHORTEST_SPAN
from mpipar.store.summary import Summary

MOST_MEASURED = 2**25
MOST_BLOCKS = 10**9
"""Of a plan that was measured, and of one that is simulated."""

_PIECE = 2**21  # blocks that are looked at at once
_DENSE = 2**22  # plans of up to so many blocks are kept in memory as a whole

Floats: TypeAlias = npt.NDArray[np.float64]
Whole: TypeAlias = npt.NDArray[np.int64]


class BlockTimes:
    """The times of the blocks of a plan, in the order of the plan, in seconds.

    Parameters
    ----------
    values : numpy.ndarray
        Of shape (n,): the times that were measured.
    count : int, optional
        How many blocks the plan has; by default as many as were measured.
    run : int
        Blocks of the plan that were neighbours when they were measured; 0 stretches what was
        measured.
    seed : int
        Of what is drawn.
    """

    def __init__(
        self,
        values: Floats,
        count: int | None = None,
        run: int = 0,
        seed: int = 0,
    ) -> None:
        self._values = values
        self.count = len(values) if count is None else count
        self._run = run
        self._seed = seed

    @property
    def drawn(self) -> bool:
        """Whether another seed gives other times."""
        return self._run > 0

    def at(self, positions: Whole) -> Floats:
        """Return the times of the blocks at these positions of the plan."""
        n = len(self._values)
        if not self.drawn:
            if n != self.count:
                positions = _scaled(positions, n, self.count)
            return self._values[positions]
        runs, within = np.divmod(positions, self._run)
        starts = _uniform(runs, self._seed) * n
        places = starts.astype(np.int64) + within
        return self._values[places % n]

    def between(self, start: int, stop: int) -> Floats:
        """Return the times of consecutive blocks."""
        if self.count <= _DENSE:
            return self._all[start:stop]
        return self.at(np.arange(start, stop))

    def sums(self, bounds: Whole) -> Floats:
        """Return the time of all blocks from each bound, in rising order, to the next."""
        if self.count <= _DENSE:
            return np.diff(self._before[bounds])
        found = np.zeros(len(bounds) - 1)
        first = 0
        while first < len(found):
            # As many of the intervals as make up a piece, or one that is longer.
            end = bounds[first] + _PIECE
            stop = int(np.searchsorted(bounds, end, "right")) - 1
            if stop > first + 1:
                found[first:stop] = self._sums_of_piece(bounds[first : stop + 1])
            else:
                stop = first + 1
                start = int(bounds[first])
                found[first] = self._sum(start, int(bounds[stop]))
            first = stop
        return found

    def _sums_of_piece(self, bounds: Whole) -> Floats:
        first = int(bounds[0])
        times = self.between(first, int(bounds[-1]))
        before = np.concatenate([[0.0], np.cumsum(times)])
        return np.diff(before[bounds - first])

    def _sum(self, start: int, stop: int) -> float:
        pieces = self._pieces(start, stop)
        return float(sum(piece.sum() for piece in pieces))

    def _pieces(self, start: int, stop: int) -> Iterator[Floats]:
        """Yield the times of consecutive blocks, of so many at once that memory isn't filled."""
        for begin in range(start, stop, _PIECE):
            yield self.between(begin, min(begin + _PIECE, stop))

    def every(self, size: int) -> Floats:
        """Return, of shape (size,), the time of each ``size``-th block, from each of the first ones
        on.
        """
        at_once = max(1, _PIECE // size) * size
        found = np.zeros(size)
        for start in range(0, self.count, at_once):
            stop = min(start + at_once, self.count)
            piece = self.between(start, stop)
            whole = len(piece) // size * size
            rows = piece[:whole].reshape(-1, size)
            found += rows.sum(axis=0)
            found[: len(piece) - whole] += piece[whole:]
        return found

    @cached_property
    def total(self) -> float:
        """The time of all blocks."""
        return self._sum(0, self.count)

    @cached_property
    def longest(self) -> float:
        """The time of the longest block."""
        pieces = self._pieces(0, self.count)
        return max((float(piece.max()) for piece in pieces), default=0.0)

    @cached_property
    def _all(self) -> Floats:
        return self.at(np.arange(self.count))

    @cached_property
    def _before(self) -> Floats:
        return np.concatenate([[0.0], np.cumsum(self._all)])


class ShareTimes(BlockTimes):
    """The times of some blocks of a plan.

    Parameters
    ----------
    whole : BlockTimes
    positions : range
        Which blocks.
    """

    def __init__(self, whole: BlockTimes, positions: range) -> None:
        super().__init__(np.empty(0), len(positions))
        self._whole = whole
        self._positions = positions

    def at(self, positions: Whole) -> Floats:  # noqa: D102
        own = self._positions
        return self._whole.at(own.start + positions * own.step)


@dataclass(frozen=True)
class Measurement:
    """What a run has measured of its blocks.

    Attributes
    ----------
    values : numpy.ndarray
        Of shape (n_blocks,): seconds of each block, in the order of the plan.
    run : int
        How many neighbours belong together, when times are drawn; 0 if the times follow their
        position.
    notes : list of str
        What is to be known about them.
    """

    values: Floats
    run: int
    notes: list[str]

    def times(self, count: int, seed: int = 0) -> BlockTimes:
        """Return the times of a plan with so many blocks: the measured ones, if it has as many."""
        if count == len(self.values):
            return BlockTimes(self.values)
        return BlockTimes(self.values, count, self.run, seed)


def measurement(summary: Summary) -> Measurement:
    """Return what the run of a result file has measured.

    Raises
    ------
    BadInput
        If it has nothing that can be used.
    """
    path = summary.path
    spans = summary.timeline
    n_blocks = summary.plan.n_blocks
    if spans is None:
        raise BadInput(f"{path} has no timeline: {summary.why_no_timeline}")
    if n_blocks > MOST_MEASURED:
        raise BadInput(
            f"{path} is of {n_blocks:_} blocks;"
            f" expected at most {MOST_MEASURED:_}, as --block makes larger"
        )
    blocks = spans["blocks"]
    seconds = spans["end"] - spans["begin"]
    apart = summary.ranks if summary.schedule == "stride" else 1
    values = _spread_out(spans["block"], blocks, seconds / blocks, apart, n_blocks)
    return Measurement(values, run_length(values), _notes(summary, blocks, values))


def _notes(summary: Summary, blocks: Whole, values: Floats) -> list[str]:
    """Return what is to be known about times, from the blocks of each span and what was made of
    them.
    """
    notes = []
    n_blocks = len(values)
    most = int(blocks.max())
    known = int(blocks.sum())
    if most > 1:
        at_once = several(most, "block")
        notes.append(f"of up to {at_once} at once there is one time: their mean is used")
    longest_known = 1.1 * float(values.max())
    if summary.longest_block > max(SHORTEST_SPAN, longest_known):
        notes.append(
            f"the longest block took {summary.longest_block:.3g} s, but no span tells which it was:"
            " where it matters, predictions are too short"
        )
    if known < n_blocks:
        notes.append(
            f"{n_blocks - known:_} of {n_blocks:_} blocks weren't measured"
            " (done before, or by ranks that died): the mean is used"
        )
    return notes


def _spread_out(
    first: Whole,
    blocks: Whole,
    means: Floats,
    apart: int,
    n_blocks: int,
) -> Floats:
    """Return the time of each block.

    A span names its first block alone. The others are as far apart as a rank's neighbours are, or
    consecutive; where several chunks have become one span, some are elsewhere, and take places that
    are left.
    """
    values = np.full(n_blocks, np.nan)
    start = np.repeat(first, blocks)
    mean = np.repeat(means, blocks)
    before = np.cumsum(blocks) - blocks
    within = np.arange(len(start)) - np.repeat(before, blocks)
    for distance in (apart, 1):
        positions = start + within * distance
        is_inside = (positions >= 0) & (positions < n_blocks)
        inside = np.flatnonzero(is_inside)
        free = inside[np.isnan(values[positions[inside]])]
        places, own = np.unique(positions[free], return_index=True)
        placed = free[own]
        values[places] = mean[placed]
        everyone = np.arange(len(start))
        rest = np.setdiff1d(everyone, placed, assume_unique=True)
        start = start[rest]
        mean = mean[rest]
        within = within[rest]
    left = np.flatnonzero(np.isnan(values))
    values[left] = np.average(means, weights=blocks)
    values[left[: len(mean)]] = mean[: len(left)]
    return values


def run_length(values: Floats) -> int:
    """Return how many neighbouring blocks are to be drawn together; 0 if their times follow the
    position.

    Rule of D. N. Politis and H. White, *Econometric Reviews* 23, 53 (2004), corrected by A. Patton,
    D. N. Politis and H. White, *ibid.* 28, 372 (2009). Where that asks for more than 3 √n, no run
    of a useful length keeps what there is.
    """
    n = len(values)
    deviations = values - values.mean()
    if n < 16 or not deviations.any():
        return 1
    lags = _autocovariance(deviations)
    most = min(3 * math.sqrt(n), n / 3)
    most = math.ceil(most)
    last = _last_correlated_lag(lags, most)
    if last is None:
        return 0
    if last == 0:
        return 1
    length = _best_length(lags, last, most)
    if length > most:
        return 0
    return max(1, math.ceil(length))


def _last_correlated_lag(lags: Floats, most: int) -> int | None:
    """Return after which lag neighbours have nothing to do with each other; None if there is none
    up to ``most``.
    """
    n = len(lags)
    needed = max(5, math.ceil(math.log10(n)))  # so many lags in a row that are small
    correlations = np.abs(lags[1:] / lags[0])
    is_small = correlations < 2 * math.sqrt(math.log10(n) / n)
    for lag in range(min(most, len(is_small) - needed)):
        if is_small[lag : lag + needed].all():
            return lag
    return None


def _best_length(lags: Floats, last: int, most: int) -> float:
    """Return the length of runs with the least error; ``most`` where the rule gives none."""
    widest = min(2 * last, len(lags) - 1)
    k = np.arange(1, widest + 1)
    window = np.clip(2 * (1 - k / (2 * last)), 0, 1)
    slope = 2 * float((window * k * lags[k]).sum())
    weighted = (window * lags[k]).sum()
    density = float(lags[0] + 2 * weighted)
    if density <= 0:
        return most
    variance = 4 / 3 * density**2
    cube = 2 * slope**2 / variance * len(lags)
    return float(cube ** (1 / 3))


def _autocovariance(deviations: Floats) -> Floats:
    n = len(deviations)
    spectrum = np.fft.rfft(deviations, 2 * n)
    power = np.abs(spectrum) ** 2
    found: Floats = np.fft.irfft(power)[:n] / n
    return found


def _scaled(positions: Whole, n: int, count: int) -> Whole:
    """Return at which of n places each position of ``count`` is. Both are below 2³¹."""
    found: Whole = positions * n // count
    return found


def _uniform(keys: Whole, seed: int) -> Floats:
    """Return a number from 0 to below 1 for each key: any order of asking gives the same
    (SplitMix64's finaliser).
    """
    z: Any = keys.astype(np.uint64)
    start = np.uint64(seed * 0xD1342543DE82EF95 % 2**64)
    with np.errstate(over="ignore"):
        z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + start
        z ^= z >> np.uint64(30)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
        z *= np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    mantissa = (z >> np.uint64(11)).astype(np.float64)
    found: Floats = mantissa * 2.0**-53
    return found
