"""The signals that a job's step is sent: what they mean, and when they are believed."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType

from mpipar.batch import warning
from mpipar.batch.job_journal import JobJournal
from mpipar.batch.schedulers import scheduler
from mpipar.runtime import journal

_SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)


class Heard:
    """What this job was sent. SIGUSR1 warns of the end of its time; all else is to stop.

    Parameters
    ----------
    id : str
        What the scheduler takes for this job.
    events : JobJournal
    say : callable
        Tells the user something.

    Attributes
    ----------
    pending : list of Signals
        That came, and have not been passed on.
    first_at : float
        When the first of these did, by time.monotonic.
    told_to_stop : bool
        Whether anything but a warning has come.
    is_leaving : bool
        Whether the job is to end by its own wish: signals are no news then.
    """

    def __init__(self, id: str, events: JobJournal, say: Callable[[str], None]) -> None:
        self._id = id
        self._events = events
        self._say = say
        self.pending: list[signal.Signals] = []
        self.first_at = 0.0
        self.told_to_stop = self.is_leaving = False
        self._begun = time.time()
        self._kept_until: float | None = None  # of a warning, in seconds since 1970

    def listen(self) -> None:
        """Hear signals from now on."""
        for number in _SIGNALS:
            signal.signal(number, self.note)

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Note that a signal has come."""
        if not self.pending:
            self.first_at = time.monotonic()
        self.pending.append(signal.Signals(number))
        if not self.is_leaving:
            self._events.tell(journal.SIGNAL, name=signal.Signals(number).name)
        if number != signal.SIGUSR1:
            self.told_to_stop = True

    @property
    def is_early(self) -> bool:
        """Whether the one thing that came is a warning which is no sign of the end yet."""
        if set(self.pending) != {signal.SIGUSR1}:
            return False
        if self._kept_until is None:
            self._kept_until = self._believed_from()
        return time.time() < self._kept_until

    def _believed_from(self) -> float:
        """Return when to believe the warning that came, in seconds since 1970."""
        now = time.time()
        if now > self._begun + warning.EARLY_SECONDS:
            return now
        times = scheduler().times(self._id)
        if times is None:
            return now
        before = warning.was_early(self._events.before_this_step())
        kept = warning.kept_until(now, times.start, times.end, warned_before=before)
        if kept is None or times.end is None:
            return now
        self._say(
            f"warned at its start, as the seconds of {scheduler().warning_option} are too many for"
            f" its time limit; it goes on until {times.end - kept:.0f} s before its end"
        )
        return kept
