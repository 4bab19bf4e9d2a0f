"""What goes wrong in a run, and what is done about it."""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import NamedTuple

from mpipar.base.errors import BadInput, UnfitResult
from mpipar.base.text import did_you_mean
from mpipar.core.block import Block
from mpipar.core.parameters import parse_int

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
        retries = 0
        hint = ""
        if action != "retry":
            hint = did_you_mean(action, ("stop", "skip", "retry"))
        else:
            with contextlib.suppress(ValueError):
                retries = parse_int(times)
        if not 1 <= retries <= 1000:
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

    @classmethod
    def of(cls, where: str, error: BaseException) -> Failure:
        """Return the failure of an exception, with its whole traceback."""
        return cls(where, one_line(error), _traceback(error, error.__traceback__))

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
    reason = one_line(error)
    if isinstance(error, MemoryError):
        reason += " (smaller blocks need less memory: --block)"
    details = ""
    if not _is_refusal(error):
        trace = error.__traceback__
        below_us = _below_us(trace.tb_next if trace else None)
        details = _traceback(error, below_us)
    return Failure(items_of(block), reason, details)


def _is_refusal(error: BaseException) -> bool:
    """Return whether mpipar itself refused what a kernel returned, and the message says all."""
    if isinstance(error, UnfitResult):
        return True
    trace = error.__traceback__
    if not isinstance(error, TypeError) or trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename.startswith(f"{OURS}core{os.sep}")


def _below_us(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the first frame on that isn't of mpipar; all of it if there is
    none.
    """
    below = trace
    while below is not None and below.tb_frame.f_code.co_filename.startswith(OURS):
        below = below.tb_next
    if below is None:
        return trace
    return below


def _traceback(error: BaseException, trace: TracebackType | None) -> str:
    import traceback  # for failures alone

    return "".join(traceback.format_exception(type(error), error, trace))


def one_line(error: BaseException) -> str:
    """Return the type and the first line of the message of an exception."""
    first = next(iter(str(error).splitlines()), "")
    name = type(error).__name__
    return f"{name}: {first}" if first else name
