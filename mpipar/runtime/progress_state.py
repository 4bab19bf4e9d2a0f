"""What a rank has evaluated so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mpipar.core.blocks import Blocks, united
from mpipar.core.reduction import Array, Reduction
from mpipar.runtime.evaluate import Outcome
from mpipar.runtime.failure import Failure, Skipped
from mpipar.runtime.timeline import Timeline


@dataclass(slots=True, repr=False)
class Done:
    """Blocks that are done, and what came out of them.

    Attributes
    ----------
    total : object
        Their combined partials.
    ranges : list of range
        Their numbers.
    skipped : list of Skipped
        Other blocks, which failed and are to be left out.
    """

    total: Any
    ranges: list[range] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of blocks done."""
        return Blocks(self.ranges).count

    def merge(self, other: Done, reduction: Reduction) -> Done:
        """Return both together, of other blocks each; may change this one."""
        return Done(
            reduction.merge(self.total, other.total),
            united(self.ranges + other.ranges)
            if len(self.ranges) > _MANY
            else self.ranges + other.ranges,
            self.skipped + other.skipped,
        )


_MANY = 1000  # ranges are united when there are so many


@dataclass(slots=True)
class Record:
    """What one process evaluated.

    Attributes
    ----------
    rank : int
        Its rank.
    host : str
        Its node.
    pid : int
        Its process number.
    blocks : int
        Blocks evaluated.
    seconds, longest : float
        Time in kernels, in all and in the longest block.
    timeline : Timeline
        When it evaluated which.
    """

    rank: int
    host: str
    pid: int
    blocks: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    timeline: Timeline = field(default_factory=Timeline, repr=False, compare=False)


class ProgressState:
    """All that a rank, with its workers, has evaluated in this run.

    Attributes
    ----------
    kept : Done
        What is committed to disk, if there is a checkpoint.
    new : Done
        The rest.
    records : list of Record
        One for each process.
    partials, rows : dict
        {block number: partial, or rows of datasets}, if they are kept in memory.
    retried : int
        How many times a block was evaluated again.
    lost_workers : int
        How many workers have died or hung.
    """

    def __init__(self, reduction: Reduction) -> None:
        self._reduction = reduction
        self.kept = Done(reduction.start())
        self.new = Done(reduction.start())
        self.records: list[Record] = []
        self.partials: dict[int, Any] = {}
        self.rows: dict[int, dict[str, Array]] = {}
        self.retried = 0
        self.lost_workers = 0
        self._spoilt: Failure | None = None  # why what is kept can't be trusted any more

    def add(
        self,
        chunk: Blocks,
        outcome: Outcome,
        record: Record,
    ) -> Failure | None:
        """Take in what came out of a chunk that the process of ``record`` evaluated; return why the
        run can't go on.
        """
        try:
            if outcome.blocks:
                self.new.total = self._reduction.merge(self.new.total, outcome.total)
        except Exception as error:
            self.new = Done(
                self._reduction.start()
            )  # its total may have something of the chunk in it
            return Failure.of("combining the partials of blocks", error)
        left_out = {block.block for block in outcome.skipped}
        handled = chunk[0 : outcome.handled]
        if left_out:
            self.new.ranges += [
                range(index, index + 1) for index in handled if index not in left_out
            ]
        else:
            self._add_ranges(handled)
        self.new.skipped += outcome.skipped
        self.partials |= outcome.partials
        self.rows |= outcome.rows
        self.retried += outcome.retried
        record.blocks += outcome.blocks
        record.seconds += outcome.seconds
        record.longest = max(record.longest, outcome.longest)
        record.timeline.add(chunk, outcome.marks)
        return outcome.failure

    def fold(self) -> Done | Failure:
        """Count what is new among what is kept, and return that; or why it can't be."""
        if self._spoilt is not None:
            return self._spoilt
        try:
            self.kept = self.kept.merge(self.new, self._reduction)
        except Exception as error:
            self._spoilt = Failure.of("combining the partials of blocks", error)
            return self._spoilt
        self.new = Done(self._reduction.start())
        return self.kept

    def _add_ranges(self, blocks: Blocks) -> None:
        """Note blocks as done; ranges that go on where the last one ended, as they mostly do,
        become one with it.
        """
        ranges = self.new.ranges
        for r in blocks.ranges:
            if ranges and ranges[-1].step == r.step and ranges[-1][-1] + r.step == r.start:
                ranges[-1] = range(ranges[-1].start, r.stop, r.step)
            else:
                ranges.append(r)
