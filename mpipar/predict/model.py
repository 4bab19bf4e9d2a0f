"""What a run would take with other ranks, workers and schedules.

::

    result file ─▶ times of blocks ─▶ simulation ─▶ + costs ─▶ time, efficiency, and what the rest
    is lost to
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mpipar.base.errors import BadInput
from mpipar.predict.block_times import MOST_BLOCKS, BlockTimes, Measurement, measurement
from mpipar.predict.costs import Costs
from mpipar.predict.simulation import simulate
from mpipar.store.look import look
from mpipar.store.summary import Study, Summary, Unfinished
from mpipar.study.table import LOW

MOST_PROCESSES = 2**22

MOST_DRAWS, _FEWEST_DRAWS = 9, 3
_BLOCKS_OF_ALL_DRAWS = 10**6  # more draws than the fewest are made for plans with fewer blocks
_AS_FAST = 1.001
_ONE_DRAW = 2**24  # of plans with more blocks there is one draw

NOTHING, LONGEST, IMBALANCE, COUNTER, REDUCTION = (
    "nothing",
    "longest block",
    "imbalance",
    "counter",
    "reduction",
)


@dataclass(frozen=True)
class PredictedRow:
    """What is predicted of one number of ranks with one schedule.

    Attributes
    ----------
    ranks, workers : int
    schedule : str
    blocks : int
        Of the plan.
    times : tuple of float
        Seconds of each draw of the times of blocks; one, if they aren't drawn.
    serials : tuple of float
        Seconds of all blocks, one after the other, of each draw.
    lost : dict
        {IMBALANCE, COUNTER or REDUCTION: part of the processes' time that goes there}; the rest is
        the efficiency.
    limit : str
        What most is lost to.
    """

    ranks: int
    workers: int
    schedule: str
    blocks: int
    times: tuple[float, ...]
    serials: tuple[float, ...]
    lost: dict[str, float]
    limit: str

    @property
    def processes(self) -> int:
        """How many processes evaluate."""
        return self.ranks * self.workers

    @property
    def blocks_a_rank(self) -> float:
        """Blocks of each rank, on average."""
        return self.blocks / self.ranks

    @property
    def seconds(self) -> float:
        """The median time."""
        return statistics.median(self.times)

    @property
    def serial(self) -> float:
        """The median time of all blocks, one after the other."""
        return statistics.median(self.serials)

    @property
    def speedup(self) -> float:
        """How much sooner all blocks are done than one after the other, in the median."""
        return self.efficiency * self.processes

    @property
    def efficiency(self) -> float:
        """Speedup over processes, in the median."""
        return statistics.median(self.efficiencies)

    @property
    def efficiencies(self) -> list[float]:
        """The efficiency of each draw."""
        drawn = zip(self.serials, self.times, strict=True)
        return [
            serial / (self.processes * seconds) if seconds > 0 else 1.0 for serial, seconds in drawn
        ]


@dataclass(frozen=True)
class MeasuredRun:
    """A run that was measured.

    Attributes
    ----------
    summary : Summary
        What its result file tells.
    measured : Measurement
        The times of its blocks.
    """

    summary: Summary
    measured: Measurement

    @property
    def ranks(self) -> int:
        """Its ranks."""
        return self.summary.ranks

    @property
    def workers(self) -> int:
        """Its worker processes in each rank."""
        return self.summary.workers

    @property
    def schedule(self) -> str:
        """Its schedule."""
        return self.summary.schedule

    @property
    def blocks(self) -> int:
        """Blocks of its plan."""
        return len(self.measured.values)

    @property
    def is_whole(self) -> bool:
        """Whether its time is that of all blocks on all ranks."""
        trouble = self.summary.run.trouble
        return not (
            trouble.resumed_blocks
            or trouble.lost_ranks
            or trouble.lost_workers
            or trouble.retried_blocks
        )


def load(path: Path) -> MeasuredRun:
    """Return the run of a result file. Raises BadInput if there is none that a prediction can be
    made from.
    """
    found = look(path)
    if isinstance(found, Unfinished):
        raise BadInput(f"{str(path)!r} holds a run that isn't finished: --resume goes on with it")
    if isinstance(found, Study):
        raise BadInput(
            f"{str(path)!r} has the times of a scaling study, expected a result file (of --output)"
        )
    return MeasuredRun(found, measurement(found))


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
        self.run, self.costs, self.workers, self.weak = run, costs, workers, weak
        self._seed, self._tick = seed, tick
        own = run.blocks if not weak else max(1, round(run.blocks / (run.ranks * run.workers)))
        self._blocks = own if blocks is None else blocks
        self._kept: dict[int, list[BlockTimes]] = {}

    def blocks(self, ranks: int) -> int:
        """Return how many blocks the plan has for so many ranks."""
        return self._blocks * ranks * self.workers if self.weak else self._blocks

    def check(self, ranks: Sequence[int]) -> None:
        """Raise BadInput if a prediction for one of these numbers of ranks would take for ever."""
        most = max(ranks)
        if most * self.workers > MOST_PROCESSES:
            raise BadInput(
                f"--workers: {most:_} × {self.workers} processes; expected at most"
                f" {MOST_PROCESSES:_}"
            )
        if self.blocks(most) > MOST_BLOCKS:
            told = (
                f"{self.blocks(most):_} blocks for {most:_} ranks; expected at most {MOST_BLOCKS:_}"
            )
            hint = ": --blocks N gives the blocks of each process" if self.weak else ""
            raise BadInput(f"{'--weak' if self.weak else '--blocks'}: {told}{hint}")

    def row(self, ranks: int, schedule: str) -> PredictedRow:
        """Return what is predicted."""
        processes = ranks * self.workers
        draws = self._draws(self.blocks(ranks))
        found = [self._once(times, ranks, schedule) for times in draws]
        seconds = tuple(one for one, _, _ in found)
        serials = tuple(times.total for times in draws)
        middle = seconds.index(statistics.median_low(seconds))
        whole, counter, reduction = found[middle]
        lost = (
            {COUNTER: counter / whole, REDUCTION: reduction / whole}
            if whole > 0
            else {COUNTER: 0.0, REDUCTION: 0.0}
        )
        useful = serials[middle] / (processes * whole) if whole > 0 else 1.0
        lost = {IMBALANCE: max(0.0, 1 - useful - sum(lost.values())), **lost}
        limit = max(lost, key=lost.__getitem__)
        if useful > 0.99:
            limit = NOTHING
        elif limit == IMBALANCE and draws[middle].longest > 0.9 * (whole - counter - reduction):
            limit = LONGEST
        return PredictedRow(
            ranks, self.workers, schedule, self.blocks(ranks), seconds, serials, lost, limit
        )

    def own(self) -> float:
        """Return what is predicted for the run itself, as it was."""
        times = self.run.measured.times(self.run.blocks)
        model = Model(self.run, self.costs, workers=self.run.workers, tick=self._tick)
        return model._once(times, self.run.ranks, self.run.schedule)[0]

    def most_ranks(self, rows: Sequence[PredictedRow]) -> MostRanks | None:
        """Return up to how many ranks the efficiency isn't low, from the rows of a schedule; None
        if it always is.

        Between the last number of the rows that is efficient and the next one, it is looked for, to
        5 %. Where that can't be looked for, it is at least the last one.
        """
        good = [row for row in rows if row.efficiency >= LOW]
        if not good:
            return None
        low = max(row.ranks for row in good)
        above = [row.ranks for row in rows if row.ranks > low]
        if not above or self.blocks(min(above)) > _ONE_DRAW:
            return MostRanks(low, is_exact=False)
        high = min(above)
        while high - low > max(1, low // 20):
            middle = (low + high) // 2
            low, high = (
                (middle, high)
                if self.row(middle, rows[0].schedule).efficiency >= LOW
                else (low, middle)
            )
        return MostRanks(low, is_exact=True)

    def _once(self, times: BlockTimes, ranks: int, schedule: str) -> tuple[float, float, float]:
        """Return the time of a run, and how much of it is the counter's and the reduction's."""
        simulated = simulate(
            schedule, times, ranks, self.workers, self.costs.fetch_of(schedule, ranks), self._tick
        )
        ends = self.costs.of(schedule, ranks, simulated.chunks)
        return (
            simulated.seconds + ends.counter + ends.reduction,
            simulated.waited + ends.counter,
            ends.reduction,
        )

    def _draws(self, blocks: int) -> list[BlockTimes]:
        if blocks not in self._kept:
            many = (
                1
                if blocks > _ONE_DRAW
                else max(_FEWEST_DRAWS, min(MOST_DRAWS, _BLOCKS_OF_ALL_DRAWS // blocks))
            )
            draws = [
                self.run.measured.times(blocks, self._seed * MOST_DRAWS + draw)
                for draw in range(many)
            ]
            self._kept = {
                blocks: draws if draws[0].drawn else draws[:1]
            }  # of one plan alone: they may be large
        return self._kept[blocks]


def best(rows: Sequence[PredictedRow]) -> list[PredictedRow]:
    """Return the fastest of some rows: one, or several that are as fast."""
    fastest = min(row.seconds for row in rows)
    return [row for row in rows if row.seconds <= _AS_FAST * fastest]
