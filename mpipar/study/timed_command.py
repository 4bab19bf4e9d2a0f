"""Commands that are timed, and that end with this process."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mpipar.runtime.mpirun import settings_for, with_its_folder

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl
_END_SECONDS = 5.0  # that a command which is to end is given
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Timed(NamedTuple):
    """A command that has ended.

    Attributes
    ----------
    code : int
        Its exit code.
    seconds : float
        From its start to its end.
    stdout, stderr : str
        What it printed.
    """

    code: int
    seconds: float
    stdout: str
    stderr: str

    @property
    def complaint(self) -> str:
        """The last line of stderr that is from mpipar, or else the last one."""
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        own = [line for line in lines if "mpipar" in line]
        said = own or lines or ["it says nothing"]
        return said[-1]


def timed(
    command: Sequence[str],
    environment: dict[str, str],
    limit: float | None = None,
) -> Timed:
    """Run a command in a group of its own.

    Raises
    ------
    subprocess.TimeoutExpired
        If it takes longer than ``limit`` seconds; it is ended.
    """
    end_with_us = functools.partial(_end_with, os.getpid(), ctypes.CDLL(None))
    process = None
    begun = time.perf_counter()
    try:
        with _signals_held():
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
                preexec_fn=end_with_us,
            )
        stdout, stderr = process.communicate(timeout=limit)
    except BaseException:  # Ctrl-C: the command is nobody's any more
        if process is not None:
            _end(process)
        raise
    return Timed(process.returncode, time.perf_counter() - begun, stdout, stderr)


def environment_for(
    mpirun: str | None,
    ranks: int,
    *,
    with_workers: bool,
) -> dict[str, str]:
    """Return the environment of a command that has so many ranks, and options of its own."""
    environment = {**settings_for(ranks, with_workers=with_workers), **os.environ}
    environment.pop("MPIPAR_WORKERS", None)
    if mpirun is not None:
        environment["PATH"] = with_its_folder(mpirun)
    return environment


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Handle signals at the end of this block.

    What Python calls around a fork drops the exceptions that handlers raise. A mask would not do:
    it is that of one thread, and Python runs handlers here whichever thread got the signal.
    """
    came: list[int] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in _INTERRUPTIONS:
            if callable(signal.getsignal(number)):
                handlers[number] = signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for held, handler in handlers.items():
            signal.signal(held, handler)
        for one in came:
            signal.raise_signal(one)


def _end_with(parent: int, libc: ctypes.CDLL) -> None:
    """Let the kernel end this process when its parent dies, of whatever.

    Nobody would know that it still runs.
    """
    # Until its own program is loaded, it would have its parent's handler.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    libc.prctl(_DEATH_SIGNAL, signal.SIGTERM)
    died_before = os.getppid() != parent
    if died_before:
        os.kill(os.getpid(), signal.SIGTERM)


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.communicate(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
