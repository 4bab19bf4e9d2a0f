"""Run a daemon until the tests want it to end, or have died; then kill it, and all that it has
started.

    python supervisor.py [--all] [--remove FOLDER] SLURM_CONF DAEMON...

Standard input is a pipe that the tests hold: it ends when they die, whatever kills them. With
``--all``, all processes of the cluster are killed, on whatever machine: those with its
``SLURM_CONF`` in their environment. Supervisors don't have it, and end by themselves, after what
they have started.
"""

import argparse
import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
TIME_LIMIT = 60.0  # seconds; a process that SIGKILL has not ended by then waits for a disk


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--remove", type=Path)
    parser.add_argument("configuration")
    parser.add_argument("daemon", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    # What a daemon leaves behind, as slurmd does with the steps of jobs, becomes a child of this
    # process.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    daemon = subprocess.Popen(
        options.daemon,
        env={**os.environ, "SLURM_CONF": options.configuration},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
    )
    ended = os.pidfd_open(daemon.pid)
    # Children that end need no one to wait for them. Not before the daemon has started, as it would
    # inherit that.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    daemon.poll()  # it may have ended before
    os.write(1, b"ready\n")
    # The machine stays when its daemon has ended, for someone to see why.
    if 0 not in select.select([0, ended], [], [])[0]:
        with contextlib.suppress(BrokenPipeError):
            os.write(1, b"ended\n")
    os.read(0, 1)
    kill(lambda: descendants() | (of_cluster(options.configuration) if options.all else set()))
    if options.remove:
        remove(options.remove)


def kill(victims_now: Callable[[], set[int]]) -> None:
    """Kill these processes until there are no more."""
    end = time.monotonic() + TIME_LIMIT
    while (victims := victims_now()) and time.monotonic() < end:
        for pid in victims:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def processes() -> list[Path]:
    return [folder for folder in Path("/proc").iterdir() if folder.name.isdigit()]


def descendants() -> set[int]:
    parents = {}
    for folder in processes():
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int(
                (folder / "stat").read_text().rpartition(")")[2].split()[1]
            )
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def of_cluster(configuration: str) -> set[int]:
    """Return the other processes that have this configuration of Slurm in their environment."""
    mark = f"SLURM_CONF={configuration}".encode()
    found = set()
    for folder in processes():
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
    return found - {os.getpid()}


def remove(folder: Path) -> None:
    """Remove a folder in which processes that are being killed may still write."""
    end = time.monotonic() + TIME_LIMIT
    while folder.exists() and time.monotonic() < end:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
