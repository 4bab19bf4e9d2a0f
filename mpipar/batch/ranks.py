"""The ranks of one start of a job: they are waited for, signalled, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import NamedTuple

from mpipar.batch.heard import Heard
from mpipar.batch.job_journal import JobJournal
from mpipar.batch.node_watch import NodeWatch
from mpipar.batch.program_output import ProgramOutput
from mpipar.runtime import journal
from mpipar.runtime.stopwatch import Stopwatch

_POLL_SECONDS = 0.2
_SLOW_POLL_SECONDS = 1.0
_LONG_SECONDS = 60.0  # after which the ranks are looked at less often
_HOLD_SECONDS = 30.0  # that a signal is kept for ranks that can't take it yet
_KILL_SECONDS = 10.0  # that a launcher is given to end its ranks


class Manners(NamedTuple):
    """How ranks are treated.

    Attributes
    ----------
    tells : bool
        Whether their program tells in the journal that it has started, and how it ends.
    start_seconds : float
        How long they may take to find each other.
    pass_usr1 : bool
        Whether they are warned even if they may die of it.
    """

    tells: bool
    start_seconds: float
    pass_usr1: bool


class Ranks:
    """A launcher that runs, and what it has started.

    Parameters
    ----------
    process : Popen
        The launcher, which leads a group of processes.
    events : JobJournal
    heard : Heard
    output : ProgramOutput
    manners : Manners
    watch : NodeWatch
        Of the nodes that they run on.

    Attributes
    ----------
    warned : bool
        Whether they were told that the time is nearly up.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        events: JobJournal,
        heard: Heard,
        output: ProgramOutput,
        manners: Manners,
        watch: NodeWatch,
    ) -> None:
        self._process = process
        self._manners = manners
        self._events = events
        self._heard = heard
        self._output = output
        self._watch = watch
        self._is_starting = manners.tells
        self.warned = False

    def wait(self) -> int:
        """Wait for the ranks, and pass signals on; return the exit code."""
        watch = Stopwatch(_SLOW_POLL_SECONDS)  # the job may be suspended
        while True:
            elapsed = watch()
            is_young = elapsed < _LONG_SECONDS
            try:
                return self._process.wait(_POLL_SECONDS if is_young else _SLOW_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            if self._heard.told_to_stop and journal.is_cancelled_now(self._events.path):
                return self._kill()
            if is_young and not self._output.is_known:
                self._output.path()
            if self._heard.pending and not self._heard.is_early and self._may_pass_on():
                self._pass_on()
            if self._has_missed_its_start(elapsed) or self._watch.has_lost(elapsed):
                return self._kill()

    def _has_missed_its_start(self, elapsed: float) -> bool:
        """Return whether the ranks have had their time to find each other, and are known not to
        have.
        """
        if not self._is_starting:
            return False
        # Looked for from the start on: files may be removed later.
        self._is_starting = not self._events.told(journal.STARTED)
        if not self._is_starting or elapsed <= self._manners.start_seconds:
            return False
        self._is_starting = False
        return self._events.has_started(tells=self._manners.tells) is False

    def _may_pass_on(self) -> bool:
        """Return whether the ranks can take a signal; those of a driver begin to when their output
        is open.

        Whether it is a driver can't be told from outside, so that there is a limit to this.
        """
        is_late = time.monotonic() > self._heard.first_at + _HOLD_SECONDS
        return not self._output.is_wanted or is_late or bool(self._events.told(journal.OUTPUT))

    def _pass_on(self) -> None:
        """Send the launcher what came; as USR1 if the program can commit, as not all launchers pass
        on the others.
        """
        can_commit = self._output.path() is not None
        for number in self._heard.pending:
            if number == signal.SIGUSR1:
                self.warned = True
            if can_commit:
                self._process.send_signal(signal.SIGUSR1)
            elif number != signal.SIGUSR1 or self._outlives_warning():
                self._process.send_signal(number)
        self._heard.pending.clear()

    def _outlives_warning(self) -> bool:
        """Return whether a warning may be passed on: Python's default is to die of USR1."""
        return self._manners.pass_usr1 or bool(self._events.told(journal.STARTED))

    def _kill(self) -> int:
        """End the launcher and what it started here, and return its exit code."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            try:
                return self._process.wait(_KILL_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        return self._process.wait()
