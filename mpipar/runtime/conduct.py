"""How a run is conducted: its options, and what it is to speak with, write to and listen to."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mpipar.core.devices.port import Place
from mpipar.runtime.between_blocks import Checkpoint
from mpipar.runtime.evaluate import Output
from mpipar.runtime.run_options import RunOptions

MOST_KEPT_PARTIALS = 2**14
"""Plans of up to so many blocks have their partials kept, if asked for."""


def _no_progress(fraction: float) -> None:
    """Show nothing."""


def _no_notice(text: str) -> None:
    """Say nothing."""


def _no_interruption() -> None:
    """Go on."""


class Conduct(NamedTuple):
    """How a run is conducted; nothing here changes the value of its result.

    Attributes
    ----------
    options : RunOptions
        Who evaluates the blocks, and what is done about those that fail. With one worker a rank
        evaluates its blocks itself, but for a block_timeout: that needs a worker which can be
        replaced, so there is a pool even of one.
    output : Output, optional
        Where the rows of datasets go; without it they come with the result.
    checkpoint : Checkpoint, optional
        What keeps on disk which blocks are done.
    keep_partials : bool
        Whether to keep the partial of each block, for plans of up to :data:`MOST_KEPT_PARTIALS`
        blocks without rows.
    keep_timeline : bool
        Whether to keep when each process evaluated which blocks.
    place : Place, optional
        What this rank and its workers evaluate blocks on, if the kernel is bound to a GPU or to
        compiled code.
    compile_seconds : float
        That it took to compile the kernel.
    interruption : callable
        Returns what says that this rank is to stop early, or None.
    progress : callable
        Called on the root with the fraction that is done, now and then.
    notify : callable
        Called on the root with what the user should know.
    """

    options: RunOptions = RunOptions()
    output: Output | None = None
    checkpoint: Checkpoint | None = None
    keep_partials: bool = False
    keep_timeline: bool = False
    place: Place | None = None
    compile_seconds: float = 0.0
    interruption: Callable[[], str | None] = _no_interruption
    progress: Callable[[float], None] = _no_progress
    notify: Callable[[str], None] = _no_notice
