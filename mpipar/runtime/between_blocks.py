"""What a rank does between blocks: look whether to stop, commit, show progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from mpipar.runtime.communicator import Comm
from mpipar.runtime.evaluate import Output
from mpipar.runtime.failure import Failure, one_line
from mpipar.runtime.outlets import warn
from mpipar.runtime.progress_state import Done, ProgressState


class Checkpoint(Protocol):
    """What keeps on disk which blocks are done, and what came out of them.

    Attributes
    ----------
    base : Done or None
        What was done before this run, on the root.
    every : float
        Seconds between commits of a rank.
    """

    base: Done | None
    every: float

    def append(self, done: Done) -> None:
        """Commit what this rank has done since its last commit. Raises OSError, or TypeError for
        odd totals.
        """

    def reload(self, is_root: bool) -> None:
        """Take for base all that is on the disk, after ranks have died; the root may be another one
        now.
        """

    def commit(self, done: Done) -> None:
        """Commit all that any rank has done, in place of what is there. For the root. Raises as
        :meth:`append`.
        """


class BetweenBlocks:
    """What a rank looks after between blocks.

    Parameters
    ----------
    comm : Comm
    tally : ProgressState
        What this rank has evaluated.
    checkpoint : Checkpoint or None
    output : Output or None
        Where rows go.
    interruption : callable
        Returns what says that this rank is to stop, or None.
    progress : callable
        Called on the root with the fraction that is taken.
    """

    def __init__(
        self,
        comm: Comm,
        tally: ProgressState,
        checkpoint: Checkpoint | None,
        output: Output | None,
        interruption: Callable[[], str | None],
        progress: Callable[[float], None],
    ) -> None:
        self._comm = comm
        self._tally = tally
        self._checkpoint = checkpoint
        self._output = output
        self.interruption = interruption
        self.progress = progress
        self._next_commit = float("inf")
        if checkpoint is not None:
            self._next_commit = time.monotonic() + checkpoint.every
        self._complained = False

    def stop(self) -> bool:
        """Return whether this rank is to stop after the blocks in flight, on its own account or on
        another's.
        """
        return self.interruption() is not None or self._comm.stop_posted()

    def chunk_done(self, fraction: float) -> Failure | None:
        """Show progress, and commit if it is time to; return why the run can't go on."""
        if self._comm.is_root:
            self.progress(fraction)
        if time.monotonic() < self._next_commit:
            return None
        return self.commit()

    def commit(self) -> Failure | None:
        """Commit what is new on this rank. If that can't be done, say so once, go on, and try again
        next time.
        """
        if self._checkpoint is None:
            return None
        self._next_commit = time.monotonic() + self._checkpoint.every
        new = self._tally.new
        try:
            if new.ranges or new.skipped:
                if self._output is not None:
                    self._output.flush()
                self._checkpoint.append(new)
        except (OSError, TypeError) as error:
            if not self._complained:
                self._complained = True
                where = f"rank {self._comm.rank} on host {self._comm.host}"
                warn(f"{where} can't commit ({one_line(error)}); it goes on, and will try again")
            return None
        folded = self._tally.fold()
        if isinstance(folded, Failure):
            return folded
        return None

    def flush_rows(self) -> Failure | None:
        """Wait until the rows of this node are on the disk; return why that can't be."""
        try:
            if self._output is not None:
                self._output.flush()
        except OSError as error:
            return Failure("writing rows to the disk", one_line(error))
        return None
