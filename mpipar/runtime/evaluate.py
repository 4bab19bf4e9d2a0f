"""Evaluating chunks of blocks, in ranks and in workers, and what goes wrong in it. Imports mpipar.core alone."""

from __future__ import annotations

import copy
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mpipar.core.kernel import BoundKernel
from mpipar.core.plan import Block

POLL_SECONDS = 0.05
"""How long a rank evaluates blocks before it looks whether it should stop."""


class Failure(NamedTuple):
    """Why a run can't go on.

    Attributes
    ----------
    where : str
        The block or what else was being done, and the process.
    reason : str
        One line.
    details : str
        The traceback, or nothing.
    """

    where: str
    reason: str
    details: str = ""

    def message(self, rank: int, host: str) -> str:
        """Return what the user is told: one line, then the traceback if there is one."""
        return f"rank {rank} on host {host}, {self.where}: {self.reason}\n{self.details}".strip()


class Outcome(NamedTuple):
    """What came out of a chunk.

    Attributes
    ----------
    total : object
        The combined partials.
    blocks : int
        How many were evaluated.
    seconds : float
        Time that took.
    partials : dict
        {block index: partial}, if partials are kept.
    failure : Failure or None
        Why it ended early.
    """

    total: Any
    blocks: int
    seconds: float
    partials: dict[int, Any]
    failure: Failure | None


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
    seconds : float
        Time in kernels.
    """

    rank: int
    host: str
    pid: int
    blocks: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Tally:
    """All that a rank, with its workers, has evaluated so far."""

    bound: BoundKernel
    total: Any
    records: list[Record] = field(default_factory=list)
    partials: dict[int, Any] = field(default_factory=dict)

    def add(self, outcome: Outcome, record: Record) -> Failure | None:
        """Take in the outcome of a chunk that the process of ``record`` evaluated; return why that can't be done."""
        if outcome.failure is not None:
            return outcome.failure
        try:
            self.total = self.bound.kernel.reduction.merge(self.total, outcome.total)
        except Exception as error:
            return Failure("combining the partials of blocks", one_line(error), traceback.format_exc())
        self.partials.update(outcome.partials)
        record.blocks += outcome.blocks
        record.seconds += outcome.seconds
        return None


def evaluate(
    bound: BoundKernel,
    function: Callable[[Block], Any],
    chunk: range,
    *,
    keep_partials: bool,
    stop: Callable[[], bool] = bool,
) -> Outcome:
    """Evaluate the blocks of a chunk one after the other.

    Parameters
    ----------
    bound : BoundKernel
        What is evaluated.
    function : callable
        ``bound.evaluator()``, made once.
    chunk : range
        Block numbers.
    keep_partials : bool
        Whether to return the partial of each block beside the total.
    stop : callable
        Asked from time to time whether to end early; by default never.
    """
    plan, reduction = bound.plan, bound.kernel.reduction
    total = reduction.start()
    partials: dict[int, Any] = {}
    blocks = 0
    failure = None
    began = last_poll = time.perf_counter()
    for index in chunk:
        block = plan[index]
        try:
            partial = function(block)
            total = reduction.add(total, partial, block)
        except (Exception, SystemExit) as error:
            failure = block_failure(block, error)
            break
        if keep_partials:
            partials[index] = copy.copy(partial)  # a kernel may use its buffer again
        blocks += 1
        now = time.perf_counter()
        if now - last_poll > POLL_SECONDS:
            last_poll = now
            if stop():
                break
    return Outcome(total, blocks, time.perf_counter() - began, partials, failure)


def block_failure(block: Block, error: BaseException) -> Failure:
    """Return the failure of an exception in a kernel, with the traceback from the kernel on."""
    below_us = error.__traceback__.tb_next if error.__traceback__ else None
    details = "".join(traceback.format_exception(type(error), error, below_us))
    return Failure(f"block {block.index} (items {block.start} to {block.stop - 1})", one_line(error), details)


def one_line(error: BaseException) -> str:
    """Return the type and the first line of the message of an exception."""
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
