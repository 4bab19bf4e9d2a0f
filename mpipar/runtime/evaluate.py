"""Evaluating chunks of blocks, in ranks and in workers."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from mpipar.base.errors import UnfitResult
from mpipar.core.at_once import NEVER, at_once
from mpipar.core.blocks import Blocks
from mpipar.core.devices.port import Place
from mpipar.core.kernel import BoundKernel
from mpipar.core.plan import Block
from mpipar.core.reduction import Array
from mpipar.runtime.failure import (
    STOP,
    Failure,
    OnError,
    Skipped,
    block_failure,
    items_of,
    one_line,
)
from mpipar.runtime.shared import NodeArray
from mpipar.runtime.timeline import SHORTEST_SPAN

if TYPE_CHECKING:
    from mpipar.runtime.row_memory import RowMemory

POLL_SECONDS = 0.05
"""How long a rank evaluates blocks before it looks whether it should stop."""


MOST_KEPT_NUMBERS = 16
"""A partial that is larger is not kept beside the total."""


class Writer(Protocol):
    """Puts the rows of blocks into datasets."""

    def __call__(self, block: Block, rows: Mapping[str, Array]) -> None:
        """Write the rows of one block, {name of a dataset: rows}."""

    def close(self) -> None:
        """Close the files."""


class Output(Protocol):
    """Where the rows of datasets go. Can be sent to a worker."""

    def writer(self) -> Writer:
        """Return what writes rows from this process."""

    def flush(self) -> None:
        """Wait until all that this node has written is on the disk."""


@dataclass(slots=True, eq=False, repr=False)
class Outcome:
    """What came out of a chunk.

    Attributes
    ----------
    total : object
        The combined partials.
    blocks : int
        How many were evaluated.
    seconds, longest : float
        Time that all took, and the longest.
    partials : dict
        {block number: partial}, if partials are kept.
    rows : dict
        {block number: {dataset: rows}}, if they have no file to go to.
    skipped : list of Skipped
        Blocks that failed, if the run goes on without them.
    retried : int
        How many times a block was evaluated again.
    marks : list of (int, float)
        How many blocks were done with at which time, by time.perf_counter, now and then; the begin
        and the end too.
    failure : Failure or None
        Why it ended early.
    """

    total: Any
    blocks: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    partials: dict[int, Any] = field(default_factory=dict)
    rows: dict[int, dict[str, Array]] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    retried: int = 0
    marks: list[tuple[int, float]] = field(default_factory=list)
    failure: Failure | None = None

    @property
    def handled(self) -> int:
        """How many blocks are done with."""
        return self.blocks + len(self.skipped)


class Task(NamedTuple):
    """What a process needs to evaluate blocks. Can be sent to a worker.

    Attributes
    ----------
    bound : BoundKernel
        What is evaluated.
    shared : dict
        The kernel's arrays that exist once on this node.
    output : Output or None
        Where rows go; None keeps them in the outcome.
    on_error : OnError
        What is done about an exception in the kernel.
    keep_partials : bool
        Whether the outcome has the partial of each block beside the total.
    place : Place or None
        What evaluates blocks, if it isn't Python itself: a GPU, or compiled code.
    """

    bound: BoundKernel
    shared: Mapping[str, NodeArray] = {}
    output: Output | None = None
    on_error: OnError = STOP
    keep_partials: bool = False
    place: Place | None = None


class Evaluator:
    """Evaluates the blocks of a task in this process."""

    def __init__(self, task: Task) -> None:
        self._task = task
        shared = {name: array.attach() for name, array in task.shared.items()}
        opened = None if task.place is None else task.place.open()
        self._function = task.bound.evaluator(shared, opened)
        if opened is not None and opened.is_slow_at_first and task.bound.plan.n > 0:
            self._rehearse()
        self._has_rows = bool(task.bound.reduction.datasets())
        self._is_plain = task.on_error == STOP and not self._has_rows and not task.keep_partials
        self._at_once = at_once(task.bound.reduction)
        self._write: Writer | None = None
        self._memory: RowMemory | None = None
        if self._has_rows and task.output is not None:
            self._write = task.output.writer()
        elif self._has_rows:
            from mpipar.runtime.row_memory import RowMemory  # few kernels have rows

            self._memory = RowMemory()

    def close(self) -> None:
        """Close the files that rows were written to."""
        if self._write is not None:
            self._write.close()

    def _rehearse(self) -> None:
        """Evaluate one item, and drop what comes of it.

        A GPU's kernels are compiled when they are first used, for seconds: neither the time of the
        run nor that of its first blocks is to have these. An error will come again in the block
        that the item is of, and be told there.
        """
        with contextlib.suppress(Exception, SystemExit):
            self._function(Block(0, 0, 1))

    def evaluate(  # noqa: C901 (one loop)
        self,
        chunk: Blocks,
        stop: Callable[[], bool] = bool,
    ) -> Outcome:
        """Evaluate the blocks of a chunk one after the other; ``stop`` is asked now and then
        whether to end early.

        All of it in one loop, as blocks may be of less than a microsecond. Partials that are plain
        numbers are collected, and added in the end.
        """
        outcome = Outcome(self._task.bound.reduction.start())
        began = before = last_poll = last_mark = time.perf_counter()
        outcome.marks.append((0, began))
        clock, function, is_plain = time.perf_counter, self._function, self._is_plain
        numbers = self._at_once.types
        collected: list[Any] = []
        longest = 0.0
        for done, block in enumerate(self._task.bound.plan.blocks(chunk), start=1):
            if is_plain:
                try:
                    partial = function(block)
                except (Exception, SystemExit) as error:
                    outcome.failure = block_failure(block, error)
                    break
                if type(partial) in numbers:
                    collected.append(partial)
                else:
                    numbers = NEVER.types  # so that all that follow are added in their order
                    self._add_plainly(partial, block, outcome, collected)
                    if outcome.failure is not None:
                        break
                outcome.blocks = done
            else:
                self._evaluate_block(block, outcome)
                if outcome.failure is not None:
                    break
            now = clock()
            if now - before > longest:
                longest = now - before
            if now - last_mark > SHORTEST_SPAN:
                _mark(outcome, last_mark, before, now)
                last_mark = now
                if now - last_poll > POLL_SECONDS:
                    last_poll = now
                    if stop():
                        break
            before = now
        outcome.longest = longest
        self._add_collected(outcome, collected)
        end = time.perf_counter()
        outcome.seconds = end - began
        outcome.marks.append((outcome.handled, end))
        return outcome

    def _add_collected(self, outcome: Outcome, collected: list[Any]) -> None:
        """Add the numbers that have been collected to the total."""
        if collected:
            total = self._at_once.total(collected)
            outcome.total = self._task.bound.reduction.merge(outcome.total, total)
            collected.clear()

    def _add_plainly(
        self,
        partial: Any,
        block: Block,
        outcome: Outcome,
        collected: list[Any],
    ) -> None:
        """Add a partial to the total, after those that have been collected."""
        self._add_collected(outcome, collected)
        try:
            outcome.total = self._task.bound.reduction.add(outcome.total, partial, block)
        except (Exception, SystemExit) as error:
            self._spoil(outcome, block_failure(block, error))

    def _evaluate_block(self, block: Block, outcome: Outcome) -> None:
        on_error = self._task.on_error
        for attempts_left in range(on_error.retries, -1, -1):
            try:
                partial = self._function(block)
                self._add(partial, block, outcome)
            except (Exception, SystemExit) as error:
                may_go_on = not isinstance(error, UnfitResult)
                if attempts_left and may_go_on:
                    outcome.retried += 1
                    continue
                failure = block_failure(block, error)
                if on_error.skip and may_go_on:
                    outcome.skipped.append(Skipped.of(block, failure.reason, failure.details))
                else:
                    outcome.failure = failure
                return
            if outcome.failure is None:
                outcome.blocks += 1
                self._put_rows(partial, block, outcome)
            return

    def _add(self, partial: Any, block: Block, outcome: Outcome) -> None:
        reduction = self._task.bound.reduction
        keep = self._task.keep_partials and _is_small(partial)
        kept = copy.copy(partial) if keep else None  # a copy, as a kernel may use its buffer again
        in_place = self._task.on_error == STOP
        # Else by itself first: a partial that is refused half-way must leave no trace in the total.
        alone = None if in_place else reduction.add(reduction.start(), partial, block)
        try:
            if in_place:
                outcome.total = reduction.add(outcome.total, partial, block)
            else:
                outcome.total = reduction.merge(outcome.total, alone)
        except (Exception, SystemExit) as error:
            self._spoil(outcome, block_failure(block, error))
            return
        if keep:
            outcome.partials[block.index] = kept

    def _put_rows(
        self,
        partial: Any,
        block: Block,
        outcome: Outcome,
    ) -> None:
        if not self._has_rows:
            return
        rows = self._task.bound.reduction.rows(partial)
        if self._memory is not None:
            outcome.rows[block.index] = {
                name: self._memory.copy(array) for name, array in rows.items()
            }
            return
        assert self._write is not None
        try:
            self._write(block, rows)
        except (OSError, ValueError, TypeError) as error:
            self._spoil(outcome, Failure(f"writing the rows of {items_of(block)}", one_line(error)))

    def _spoil(self, outcome: Outcome, failure: Failure) -> None:
        """Let nothing of a chunk count: its total has something of a block in it that isn't
        done.
        """
        outcome.total = self._task.bound.reduction.start()
        outcome.blocks = 0
        outcome.failure = failure
        outcome.partials = {}
        outcome.rows = {}
        outcome.skipped = []
        outcome.marks = []


def _mark(
    outcome: Outcome,
    last_mark: float,
    before: float,
    now: float,
) -> None:
    """Note how many blocks are done with, the last of which took from ``before`` to ``now``."""
    was_long = now - before > SHORTEST_SPAN
    if was_long and before > last_mark:  # a long block after short ones is alone
        outcome.marks.append((outcome.handled - 1, before))
    outcome.marks.append((outcome.handled, now))


def _is_small(partial: Any) -> bool:
    try:
        return np.size(partial) <= MOST_KEPT_NUMBERS
    except ValueError:  # a ragged list
        return False
