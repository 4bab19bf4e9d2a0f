"""The folder of a run beside its output, and the lock in it: one run alone has an output."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from mpipar.base.errors import BadInput
from mpipar.runtime import journal

_LOCK_PATIENCE = 3.0  # seconds that a run which is just ending is given
_LOCK_PATIENCE_IN_JOB = 60.0  # … in a batch job: a launcher that lost a node may leave ranks
_FILES = ("lock", "rows.h5", "rows.skeleton", "aside.h5")
_SUFFIXES = (".part", ".sums", ".log")


def locked(folder: Path) -> int:
    """Return a descriptor that holds the lock of a folder, which is made. Raises BadInput if
    another process has it.

    The system takes the lock away with its process or node, so that none is ever stale.
    """
    is_in_job = journal.VARIABLE in os.environ
    patience = _LOCK_PATIENCE_IN_JOB if is_in_job else _LOCK_PATIENCE
    deadline = time.monotonic() + patience
    while True:
        folder.mkdir(exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_nlink:  # else its last holder has just removed it
                with contextlib.suppress(OSError):  # no more than a message needs room
                    os.ftruncate(lock, 0)
                    os.pwrite(
                        lock,
                        f"process {os.getpid()} on {os.uname().nodename}".encode(),
                        0,
                    )
                return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                problem = _in_use(lock)
                os.close(lock)
                raise BadInput(problem) from None
        os.close(lock)
        time.sleep(0.05)


def check_is_idle(folder: Path) -> None:
    """Raise BadInput if a run has the lock of a folder at the moment: its output is not to be
    removed.
    """
    try:
        lock = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BadInput(_in_use(lock)) from None
    except OSError:  # a file system without locks
        return
    finally:
        os.close(lock)


def _in_use(lock: int) -> str:
    holder = os.pread(lock, 200, 0).decode(errors="replace")
    return f"output: another run is writing to it ({holder or 'on another node'})"


def check_is_free(folder: Path) -> None:
    """Raise BadInput if a folder has files that are not of a run."""
    entries = folder.iterdir() if folder.exists() else ()
    for entry in entries:
        if not is_ours(entry):
            raise BadInput(
                f"output: the folder {str(folder)!r} is needed, but has other files in it"
                f" ({entry.name!r})"
            )


def empty(folder: Path) -> None:
    """Remove what a run that was killed has left."""
    for entry in list(folder.iterdir()):
        if is_ours(entry) and entry.name != "lock":
            entry.unlink()


def is_ours(entry: Path) -> bool:
    """Return whether a file in a run's folder is one that runs make."""
    return entry.name in _FILES or entry.suffix in _SUFFIXES
