"""What tells a rank to stop early: signals, and the end of the allocation."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.runtime import journal
from mpipar.runtime.launcher_words import END_OF_JOB, NO_END

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)
"""After each of these a rank finishes the blocks in flight; after a second SIGINT it doesn't."""

CTRL_C = "stopping after the blocks in flight; again to end now"


def outlive_warning() -> None:
    """Ignore, in a batch job, the signal that warns of its end: it would kill what doesn't handle
    it.
    """
    if journal.VARIABLE in os.environ and signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


class Interruption:
    """Called, returns what says that this rank is to stop early, or None; a context manager.

    Parameters
    ----------
    stop_before : float, optional
        Seconds before the end of the batch job at which to stop.
    notify : callable, optional
        Called at the first Ctrl-C with what it does.

    Attributes
    ----------
    is_told : bool
        Whether the user has been told so already.

    Raises
    ------
    BadInput
        If the end of the job is asked for, but not known.
    """

    def __init__(
        self,
        stop_before: float | None = None,
        notify: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.is_told = False
        self._notify = notify
        self._reason: str | None = None
        self._stop_at = float("inf")
        self._handlers: dict[signal.Signals, Any] = {}
        if stop_before is not None:
            end = os.environ.get(END_OF_JOB, "")
            if not end.isdigit():
                raise BadInput(f"stop_before: {NO_END}")
            self._stop_at = int(end) - stop_before

    def __call__(self) -> str | None:
        """Return the reason to stop, or None."""
        if self._reason is None and time.time() >= self._stop_at:
            self._reason = "the end of the job is near"
        return self._reason

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if not _is_kept_off(number):
                    self._handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            if handler is not None:  # else a library in C had set one, which Python can't put back
                signal.signal(number, handler)

    def leave_copy(self) -> None:
        """Put back, in a process that was forked from this one, what it does at signals: nobody
        there asks for a reason.
        """
        for number, handler in self._handlers.items():
            if handler is not None and signal.getsignal(number) == self._note:
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._reason is not None:
            raise KeyboardInterrupt
        name = os.environ.get(journal.VARIABLE)
        if name and number == signal.SIGTERM and journal.is_cancelled_now(Path(name)):
            os._exit(128 + number)
        self._reason = signal.Signals(number).name
        if number == signal.SIGINT and not self.is_told:
            # What this interrupts may be a write to the same stream.
            with contextlib.suppress(RuntimeError):
                self._notify(CTRL_C)


def _is_kept_off(number: signal.Signals) -> bool:
    """Return whether the user wants a run to outlive a signal, as nohup says of the end of a
    terminal.
    """
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
