"""What is predicted of a run with one number of ranks and one schedule."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

NOTHING = "nothing"
LONGEST = "longest block"
IMBALANCE = "imbalance"
COUNTER = "counter"
REDUCTION = "reduction"

_AS_FAST = 1.001


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
        found = []
        for serial, seconds in zip(self.serials, self.times, strict=True):
            found.append(efficiency(serial, seconds, self.processes))
        return found


def efficiency(serial: float, seconds: float, processes: int) -> float:
    """Return speedup over processes; 1 of a run that takes no time."""
    if seconds > 0:
        return serial / (processes * seconds)
    return 1.0


def best(rows: Sequence[PredictedRow]) -> list[PredictedRow]:
    """Return the fastest of some rows: one, or several that are as fast."""
    fastest = min(row.seconds for row in rows)
    return [row for row in rows if row.seconds <= _AS_FAST * fastest]
