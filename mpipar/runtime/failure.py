"""What goes wrong in a run, and what is done about it."""

from __future__ import annotations

import os
import traceback
from types import TracebackType
from typing import NamedTuple

from mpipar.base.errors import BadInput, UnfitResult
from mpipar.base.text import did_you_mean
from mpipar.core.parameters import parse_int
from mpipar.core.plan import Block

OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
"""How the files of mpipar begin."""


class OnError(NamedTuple):
    """What is done about an exception in a kernel.

    Attributes
    ----------
    skip : bool
        Whether the run goes on without the block, or else stops.
    retries : int
        How many times the block is evaluated again before that.
    """

    skip: bool = False
    retries: int = 0

    @classmethod
    def parse(cls, text: str) -> OnError:
        """Return what "stop", "skip" or "retry:N" stands for. Raises BadInput."""
        if text in ("stop", "skip"):
            return cls(skip=text == "skip")
        action, _, times = text.partition(":")
        try:
            retries = parse_int(times) if action == "retry" else 0
        except ValueError:
            retries = 0
        if not 1 <= retries <= 1000:
            hint = did_you_mean(action, ("stop", "skip", "retry")) if action != "retry" else ""
            raise BadInput(
                f"expected stop, skip or retry:N with N from 1 to 1000, got {text!r}{hint}"
            )
        return cls(retries=retries)


STOP = OnError()
"""The default: the first exception stops the run."""


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


class Skipped(NamedTuple):
    """A block that failed, and that the run went on without.

    Attributes
    ----------
    block, start, stop : int
        Its number and its items.
    reason : str
        One line.
    details : str
        The traceback.
    """

    block: int
    start: int
    stop: int
    reason: str
    details: str

    @classmethod
    def of(cls, block: Block, reason: str, details: str = "") -> Skipped:
        """Return that a block was skipped, and why."""
        return cls(block.index, block.start, block.stop, reason, details)


def items_of(block: Block) -> str:
    """Return which block it is, in words."""
    return f"block {block.index} (items {block.start} to {block.stop - 1})"


def block_failure(block: Block, error: BaseException) -> Failure:
    """Return the failure of an exception in a kernel, with the traceback from the user's own code
    on.
    """
    below_us = _below_us(error.__traceback__.tb_next if error.__traceback__ else None)
    told_all = isinstance(error, UnfitResult) or (
        isinstance(error, TypeError) and _is_refusal(error)
    )
    details = "" if told_all else "".join(traceback.format_exception(type(error), error, below_us))
    remedy = " (smaller blocks need less memory: --block)" if isinstance(error, MemoryError) else ""
    return Failure(items_of(block), one_line(error) + remedy, details)


def _is_refusal(error: TypeError) -> bool:
    """Return whether mpipar itself refused what a kernel returned, and the message says all."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    frame = trace.tb_frame if trace is not None else None
    return frame is not None and frame.f_code.co_filename.startswith(f"{OURS}core{os.sep}")


def _below_us(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the first frame on that isn't of mpipar; all of it if there is
    none.
    """
    below = trace
    while below is not None and below.tb_frame.f_code.co_filename.startswith(OURS):
        below = below.tb_next
    return trace if below is None else below


def one_line(error: BaseException) -> str:
    """Return the type and the first line of the message of an exception."""
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
