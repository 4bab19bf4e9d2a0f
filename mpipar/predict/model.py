"""What a run would take with other ranks, workers and schedules.

::

    result file ─▶ times of blocks ─▶ simulation ─▶ + costs ─▶ time, efficiency, and what the rest
    is lost to
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mpipar.base.errors import BadInput
from mpipar.predict.block_times import MOST_BLOCKS, BlockTimes
from mpipar.predict.costs import Costs
from mpipar.predict.measured_run import MeasuredRun
from mpipar.predict.rows import (
    COUNTER,
    IMBALANCE,
    LONGEST,
    NOTHING,
    REDUCTION,
    PredictedRow,
    efficiency,
)
from mpipar.predict.simulation import simulate
from mpipar.study.table import LOW

MOST_PROCESSES = 2**22

MOST_DRAWS = 9
_FEWEST_DRAWS = 3
_BLOCKS_OF_ALL_DRAWS = 10**6  # more draws than the fewest are made for plans with fewer blocks
_ONE_DRAW = 2**24  # of plans with more blocks there is one draw

_IDEAL = 0.99
"""With a larger efficiency nothing is said to be lost."""
_MOSTLY = 0.9
"""A block that takes more of a run's time than this is what the run waits for."""


class MostRanks(NamedTuple):
    """Up to how many ranks the efficiency isn't low.

    Attributes
    ----------
    ranks : int
    is_exact : bool
        Whether it is low with more, as far as was looked; otherwise there may be more.
    """

    ranks: int
    is_exact: bool


class _PredictedRun(NamedTuple):
    """What is predicted of a run, in seconds: its time, and what it pays of that."""

    seconds: float
    counter: float
    reduction: float


class Model:
    """Predictions from a run.

    Parameters
    ----------
    run : MeasuredRun
    costs : Costs
    workers : int
        Processes in each rank.
    blocks : int or None
        Blocks of the plan, or of each process if ``weak``; by default as many as the run has.
    weak : bool
        Whether the plan grows with the processes.
    seed : int
        Of what is drawn.
    tick : callable
        Called with the fraction of one simulation that is done.
    """

    def __init__(
        self,
        run: MeasuredRun,
        costs: Costs,
        *,
        workers: int,
        blocks: int | None = None,
        weak: bool = False,
        seed: int = 0,
        tick: Callable[[float], object] = bool,
    ) -> None:
        self.run = run
        self.costs = costs
        self.workers = workers
        self.weak = weak
        self._seed = seed
        self._tick = tick
        if blocks is not None:
            self._blocks = blocks
        elif weak:
            processes = run.ranks * run.workers
            self._blocks = max(1, round(run.blocks / processes))
        else:
            self._blocks = run.blocks
        self._kept: dict[int, list[BlockTimes]] = {}

    def blocks(self, ranks: int) -> int:
        """Return how many blocks the plan has for so many ranks."""
        if self.weak:
            return self._blocks * ranks * self.workers
        return self._blocks

    def check(self, ranks: Sequence[int]) -> None:
        """Raise BadInput if a prediction for one of these numbers of ranks would take for ever."""
        most = max(ranks)
        if most * self.workers > MOST_PROCESSES:
            raise BadInput(
                f"--workers: {most:_} × {self.workers} processes; expected at most"
                f" {MOST_PROCESSES:_}"
            )
        blocks = self.blocks(most)
        if blocks > MOST_BLOCKS:
            told = f"{blocks:_} blocks for {most:_} ranks; expected at most {MOST_BLOCKS:_}"
            if self.weak:
                raise BadInput(f"--weak: {told}: --blocks N gives the blocks of each process")
            raise BadInput(f"--blocks: {told}")

    def row(self, ranks: int, schedule: str) -> PredictedRow:
        """Return what is predicted."""
        blocks = self.blocks(ranks)
        draws = self._draws(blocks)
        runs = [self._once(times, ranks, schedule) for times in draws]
        seconds = tuple(run.seconds for run in runs)
        serials = tuple(times.total for times in draws)
        # What it is lost to is told of the draw in the middle.
        middle = seconds.index(statistics.median_low(seconds))
        useful = efficiency(serials[middle], seconds[middle], ranks * self.workers)
        lost = _lost(runs[middle], useful)
        limit = _limit(lost, runs[middle], useful, draws[middle])
        return PredictedRow(
            ranks,
            self.workers,
            schedule,
            blocks,
            seconds,
            serials,
            lost,
            limit,
        )

    def own(self) -> float:
        """Return what is predicted for the run itself, as it was."""
        times = self.run.measured.times(self.run.blocks)
        model = Model(self.run, self.costs, workers=self.run.workers, tick=self._tick)
        return model._once(times, self.run.ranks, self.run.schedule).seconds

    def most_ranks(self, rows: Sequence[PredictedRow]) -> MostRanks | None:
        """Return up to how many ranks the efficiency isn't low; None if it always is.

        From the rows of a schedule. Between the last number of ranks that is efficient and the next
        one, it is looked for, to 5 %. Where that can't be looked for, it is at least the last one.
        """
        good = [row for row in rows if row.efficiency >= LOW]
        if not good:
            return None
        low = max(row.ranks for row in good)
        above = [row.ranks for row in rows if row.ranks > low]
        if not above or self.blocks(min(above)) > _ONE_DRAW:
            return MostRanks(low, is_exact=False)
        low = self._search(low, min(above), rows[0].schedule)
        return MostRanks(low, is_exact=True)

    def _search(self, low: int, high: int, schedule: str) -> int:
        """Return the most ranks with which a run is efficient, which are between ``low``, with
        which it is, and ``high``, with which it isn't.
        """
        while high - low > max(1, low // 20):
            middle = (low + high) // 2
            if self.row(middle, schedule).efficiency >= LOW:
                low = middle
            else:
                high = middle
        return low

    def _once(
        self,
        times: BlockTimes,
        ranks: int,
        schedule: str,
    ) -> _PredictedRun:
        fetch = self.costs.fetch_of(schedule, ranks)
        simulated = simulate(schedule, times, ranks, self.workers, fetch, self._tick)
        ends = self.costs.of(schedule, ranks, simulated.chunks)
        return _PredictedRun(
            seconds=simulated.seconds + ends.counter + ends.reduction,
            counter=simulated.waited + ends.counter,
            reduction=ends.reduction,
        )

    def _draws(self, blocks: int) -> list[BlockTimes]:
        if blocks not in self._kept:
            # Of one plan alone: they may be large.
            self._kept = {blocks: self._new_draws(blocks)}
        return self._kept[blocks]

    def _new_draws(self, blocks: int) -> list[BlockTimes]:
        count = max(_FEWEST_DRAWS, min(MOST_DRAWS, _BLOCKS_OF_ALL_DRAWS // blocks))
        if blocks > _ONE_DRAW:
            count = 1
        draws = []
        for draw in range(count):
            draws.append(self.run.measured.times(blocks, self._seed * MOST_DRAWS + draw))
        return draws if draws[0].drawn else draws[:1]


def _lost(run: _PredictedRun, useful: float) -> dict[str, float]:
    """Return the parts of the processes' time that nothing is evaluated in."""
    counter = reduction = 0.0
    if run.seconds > 0:
        counter = run.counter / run.seconds
        reduction = run.reduction / run.seconds
    imbalance = max(0.0, 1 - useful - (counter + reduction))
    return {IMBALANCE: imbalance, COUNTER: counter, REDUCTION: reduction}


def _limit(
    lost: dict[str, float],
    run: _PredictedRun,
    useful: float,
    times: BlockTimes,
) -> str:
    """Return what most is lost to."""
    if useful > _IDEAL:
        return NOTHING
    limit = max(lost, key=lost.__getitem__)
    evaluating = run.seconds - run.counter - run.reduction
    if limit == IMBALANCE and times.longest > _MOSTLY * evaluating:
        return LONGEST
    return limit
