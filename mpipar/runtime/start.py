"""Starting MPI in bounded time, whoever has died. MPI itself is handed in.

MPI libraries wait for ever for a rank that died before it came, or for memory that somebody has
removed. A thread looks at the clock, and whether the launcher still has all the ranks that it
started on this node; for that it needs Python's lock, which mpi4py keeps for as long as MPI starts:
MPI's function is called past it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mpipar.runtime.outlets import note

if TYPE_CHECKING:
    import socket

VARIABLE = "MPIPAR_START_SECONDS"
"""The environment variable with a limit for the start of MPI."""

START_SECONDS = 300.0
"""How long MPI may take to start: on large machines, ranks come minutes after each other."""

LOOK_SECONDS = 1.0  # between looks at the launcher's ranks
_LOOKS = 3  # in a row that must find ranks missing

# that the rank with the message waits for the end of the others, which then know that they have
# none
_LAST_SECONDS = 3.0
_HEARD_SECONDS = 0.2  # that a launcher is given at least to pass the message on before it ends all
_PROC = Path("/proc")

_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)
_CRASH_SECONDS = 10

_LAUNCHERS = {
    "prterun": "OMPI_COMM_WORLD_LOCAL_SIZE",
    "prted": "OMPI_COMM_WORLD_LOCAL_SIZE",
    "hydra_pmi_proxy": "MPI_LOCALNRANKS",
}
"""What starts the ranks of a node, each a child of its own, and the variable that says how many
they are.
"""


def is_survivable() -> bool:
    """Return whether the ranks were started so that the others can go on when one dies."""
    return os.environ.get("OMPI_MCA_mpi_ft_enable") == "1"  # noqa: SIM112 (mpirun --with-ft ulfm sets it)


def initialize(mpi: Any) -> None:
    """Start MPI, with other threads of Python going on meanwhile. Collective over all ranks.

    Ends the process if MPI can't be started.
    """
    try:
        function = ctypes.CDLL(mpi.__file__).MPI_Init_thread
    except (AttributeError, OSError):  # an mpi4py that has MPI inside it
        mpi.Init_thread()
        return
    provided = ctypes.c_int()
    with told_of_crashes() if is_survivable() else contextlib.nullcontext():
        code = function(
            None,
            None,
            ctypes.c_int(mpi.THREAD_MULTIPLE),
            ctypes.byref(provided),
        )
    if code != 0:
        _end(f"MPI can't start (MPI_Init_thread returned the error {code})")
    _raise_errors(mpi)


def _raise_errors(mpi: Any) -> None:
    """Let errors be what the user of mpi4py asked for, exceptions by default, as its own
    Init_thread does.
    """
    name = {"exception": "ERRORS_RETURN", "abort": "ERRORS_ABORT", "fatal": "ERRORS_ARE_FATAL"}
    chosen = name.get(sys.modules["mpi4py"].rc.errors)
    if chosen is not None:
        for comm in (mpi.COMM_SELF, mpi.COMM_WORLD):
            comm.Set_errhandler(getattr(mpi, chosen))


@contextlib.contextmanager
def time_limit(seconds: float | None = None) -> Iterator[None]:
    """End this process, with a message, if what is inside the context takes too long or ranks die
    meanwhile.
    """
    done = threading.Event()
    limit = _seconds() if seconds is None else seconds
    threading.Thread(target=_watch, args=(limit, done), daemon=True, name="mpipar-start").start()
    try:
        yield
    finally:
        done.set()


def _seconds() -> float:
    with contextlib.suppress(ValueError):
        seconds = float(os.environ.get(VARIABLE, ""))
        if seconds > 0:
            return seconds
    return START_SECONDS


def _watch(limit: float, done: threading.Event) -> None:
    deadline = time.monotonic() + limit
    looks = 0
    while not done.wait(min(LOOK_SECONDS, max(deadline - time.monotonic(), 0.0))):
        missing = missing_ranks()
        looks = looks + 1 if missing else 0
        if looks >= _LOOKS:
            ranks = "1 rank" if missing == 1 else f"{missing} ranks"
            _end(f"MPI can't start: {ranks} on host {os.uname().nodename} ended before that")
        if time.monotonic() >= deadline:
            _end(
                f"MPI has not started within {limit:g} s;"
                " a rank may have died, or its shared memory was removed"
            )


def missing_ranks(
    environment: Any = os.environ,
    proc: Path = _PROC,
    parent: int | None = None,
) -> int:
    """Return how many ranks the launcher started on this node that have ended; 0 where that can't
    be told.

    Parameters
    ----------
    environment : mapping
        What the launcher says.
    proc : Path
        Where the system shows its processes.
    parent : int, optional
        The launcher's process; the parent of this one.
    """
    if parent is None:
        parent = os.getppid()
    try:
        launcher = (proc / str(parent) / "comm").read_text().strip()
        started = int(environment[_LAUNCHERS[launcher]])
        return max(started - _living_children(parent, proc), 0)
    except (OSError, KeyError, ValueError):
        return 0  # a wrapper between the launcher and this rank, or no launcher


def _living_children(parent: int, proc: Path) -> int:
    count = 0
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            state, of, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
            count += int(of) == parent and state not in "ZX"
    return count


def _crashed(number: int) -> None:
    libc = ctypes.CDLL(None)
    # End with the signal's number, if Python can't go on from here.
    libc.signal(signal.SIGALRM, libc._exit)
    libc.alarm(_CRASH_SECONDS)
    _end(f"MPI crashed while it started ({signal.Signals(number).name}); a rank may have died")


_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int)(_crashed)


@contextlib.contextmanager
def told_of_crashes() -> Iterator[None]:
    """End with a message, and with 1, if MPI crashes inside the context.

    Open MPI with ulfm may crash where ranks die while it starts, and its launcher takes ranks that
    are ended by signals for lost ones that others go on without: it says nothing, and ends with 0.
    """
    libc = ctypes.CDLL(None)
    libc.signal.argtypes, libc.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    handler = ctypes.cast(_HANDLER, ctypes.c_void_p)
    before = {number: libc.signal(number, handler) for number in _CRASHES}
    try:
        yield
    finally:
        for number, old in before.items():
            libc.signal(number, old)


def _end(message: str) -> NoReturn:
    """End this process; the first of the node's ranks says why."""
    lock = _lock()
    if lock is not None:
        note(f"mpipar: {message}")
        deadline = time.monotonic() + _LAST_SECONDS
        while time.monotonic() < deadline and _living_children(os.getppid(), _PROC) > 1:
            time.sleep(_HEARD_SECONDS)
    os._exit(1)


def _lock() -> socket.socket | None:
    """Return what one rank of a job has on a node, as long as it lives; None if another has it."""
    import socket  # for this alone

    job = os.environ.get("PMIX_NAMESPACE") or os.getppid()
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind(f"\0mpipar-start-{os.getuid()}-{job}")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None
    return lock
