"""The end of a script, which Python itself ends, and after it the service of ranks."""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from mpipar.base.exit_codes import FAILED
from mpipar.pool import sharing
from mpipar.pool.pool_runtime import process_runtime
from mpipar.runtime.comm import end, finalize, leave
from mpipar.runtime.journal import ENDED, tell
from mpipar.runtime.launcher import launch

if TYPE_CHECKING:
    from mpipar.pool.keeping import Keeping

_FAREWELL_SECONDS = 5.0  # that other ranks are given when the script ends at once

_HEAD_START_SECONDS = (
    0.2  # of other ranks: launchers kill those that still run when one ends with a code
)

_BEYOND_LONG = 2**63  # a C long has no such number; Python takes it for -1

_exit_at_once = os._exit


class Ending:
    """What is done after all that the script has left: its threads, executors and what it
    registered with atexit.

    To be made before the script begins, as what is registered first is done last.

    Parameters
    ----------
    keeping : Keeping, optional
        What keeps the outcomes of its tasks.
    """

    def __init__(self, keeping: Keeping | None = None) -> None:
        self.code = 0
        self._keeping = keeping
        self._process = os.getpid()
        atexit.register(self._end)
        os._exit = self._end_at_once
        if keeping is not None:
            keeping.watch(self._end_now)

    def note(self, error: BaseException) -> None:
        """Note how the script has ended, and let Python print its traceback as if the script had
        been its own.
        """
        self.code = _code_of(error)
        script_trace = error.__traceback__
        while script_trace is not None and _runs_scripts(script_trace):
            script_trace = script_trace.tb_next
        hook = sys.excepthook

        def print_traceback(
            kind: type[BaseException],
            error: BaseException,
            trace: TracebackType | None,
        ) -> object:
            sys.excepthook = hook
            return hook(kind, error.with_traceback(script_trace), script_trace)

        sys.excepthook = print_traceback

    def _end(self) -> None:
        os._exit = _exit_at_once
        if (
            os.getpid() != self._process
        ):  # a copy made by os.fork, which has come to the end of the script
            self._end_copy()
            return
        self._wait_if_ending()
        process_runtime.finish()
        is_kept = self._is_kept()
        if is_kept or self.code:
            leave(self.code)
        else:
            tell(ENDED, code=FAILED)
            end(FAILED)

    def _wait_if_ending(self) -> None:
        """Let the process end as it does already, if it was told to stop."""
        if self._keeping is not None and not self._keeping.may_end():
            threading.Event().wait()

    def _is_kept(self) -> bool:
        """Write what is kept of tasks; return whether that could be done."""
        return self._keeping is None or self._keeping.finish()

    def _end_copy(self) -> None:
        if launch() is None:
            return
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)
        os._exit(self.code)  # MPI is its parent's

    def _end_at_once(self, status: int) -> NoReturn:
        """End this process as os._exit does, but not the other ranks' as if something had gone
        wrong.
        """
        if os.getpid() == self._process:
            self._wait_if_ending()
            if not self._is_kept():
                status = status or FAILED
        self._end_now(status)

    def _end_now(self, status: int) -> NoReturn:
        os._exit = _exit_at_once
        if os.getpid() == self._process:
            in_bounded_time(lambda: self._dismiss(status))
            sharing.end()
            if launch() is not None:
                # Only when C's exit runs does MPICH tell its launcher that MPI was finalised; else
                # it kills the others.
                in_bounded_time(lambda: ctypes.CDLL(None).exit(status))
        _exit_at_once(status)

    def _dismiss(self, status: int) -> None:
        process_runtime.dismiss()
        tell(ENDED, code=status)
        finalize()
        if launch() is not None and status:
            time.sleep(_HEAD_START_SECONDS)


def in_bounded_time(action: Callable[[], None]) -> None:
    """Do something in a thread of its own, and wait for it, but not for ever."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(_FAREWELL_SECONDS)


def _runs_scripts(trace: TracebackType) -> bool:
    """Return whether an entry of a traceback is of what runs the script, and not of the script."""
    return trace.tb_frame.f_globals.get("__name__") in ("mpipar.pool.script", "runpy")


def _code_of(error: BaseException) -> int:
    """Return the exit code that Python gives a program which ends with an exception."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    if not isinstance(error, SystemExit):
        return 1
    if error.code is None:
        return 0
    if not isinstance(error.code, int):
        return 1
    if not -_BEYOND_LONG <= error.code < _BEYOND_LONG:
        return 255
    return error.code & 0xFF


def _flush(stream: object) -> None:
    try:
        stream.flush()  # type: ignore[attr-defined]
    except Exception:  # closed, or None
        return
