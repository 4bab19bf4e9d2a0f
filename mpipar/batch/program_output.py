"""The output of what a job runs: where it goes on from, and how far it is."""

from __future__ import annotations

import itertools
from pathlib import Path

from mpipar.batch.job_journal import JobJournal
from mpipar.batch.program import output_of, resuming
from mpipar.runtime import journal


class ProgramOutput:
    """The result file of a job, if its program has one: a driver, or a script whose tasks are kept.

    Parameters
    ----------
    program : list of str
        What follows ``python`` on the command line of each rank.
    events : JobJournal

    Attributes
    ----------
    unit : str
        What is counted: "blocks" of a driver, "tasks" of a script.
    """

    def __init__(self, program: list[str], events: JobJournal) -> None:
        self._program = program
        self._events = events
        self.unit = "blocks"
        self._path: Path | None = None  # remembered, should the journal be removed
        self._done_at_starts: list[int] = []

    @property
    def is_wanted(self) -> bool:
        """Whether the command line names one."""
        return output_of(self._program) is not None

    @property
    def is_known(self) -> bool:
        """Whether it was seen to be open."""
        return self._path is not None

    def path(self) -> Path | None:
        """Return where it is, once it is open; None if there is none."""
        told = self._events.told(journal.OUTPUT, since=None)
        if told and isinstance(told[-1].get("path"), str):
            self._path = Path(told[-1]["path"])
        return self._path

    def done(self) -> int | None:
        """Return how many blocks or tasks are done, if there is an output."""
        path = self.path()
        if path is None:
            return None
        from mpipar.store.progress import progress  # HDF5 takes time to load

        found = progress(path)
        if found is None:
            return None
        self.unit = found.unit
        return found.done

    def command(self) -> list[str]:
        """Return the program's arguments, with --resume if it was stopped in this job."""
        if self.path() is None and not self._has_left_something():
            return self._program
        return resuming(self._program)

    def begin(self) -> int | None:
        """Return how much is done as the ranks are started, and remember that."""
        done = self.done()
        self._done_at_starts.append(done or 0)
        return done

    def fruitless(self, now: int) -> int:
        """Return how many starts in a row have got no further than the first of them, where so
        much is done.
        """
        told = self._events.told(journal.ALLOCATION, since=None)  # those of earlier allocations too
        by_journal = [event.get("done") or 0 for event in told]
        return max(_in_vain(starts, now) for starts in (by_journal, self._done_at_starts))

    def _has_left_something(self) -> bool:
        """Return whether an earlier start has left an unfinished output, but was killed before it
        could tell.
        """
        path = output_of(self._program)
        if path is None or not self._events.told(journal.ALLOCATION, since=None):
            return False
        from mpipar.store.progress import progress  # HDF5 takes time to load

        found = progress(path)
        return found is not None and not found.finished


def _in_vain(done_at_starts: list[int], now: int) -> int:
    """Return how many of the last starts had as much done as there is now."""
    return sum(1 for _ in itertools.takewhile(lambda done: done >= now, reversed(done_at_starts)))
