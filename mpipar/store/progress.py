"""How far a run is, from its files, while it goes on.

Nothing is locked or written: the run doesn't notice. Its files may be replaced or removed at any
moment, and are then read again.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from mpipar.base.errors import BadInput
from mpipar.core.blocks import Blocks, united
from mpipar.runtime.failure import Skipped
from mpipar.store import task_log, task_tables
from mpipar.store.checkpoint import State, get, logged
from mpipar.store.task_look import log_path

ATTEMPTS = 5
# What is damaged raises one of these.
_BROKEN = (
    struct.error,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    OverflowError,
    BadInput,
)


class Progress(NamedTuple):
    """How far a run is.

    Attributes
    ----------
    done : int
        Blocks that are done and committed.
    n_blocks : int
        Blocks that there are.
    skipped : int
        Blocks that failed, and were skipped.
    finished : bool
        Whether the result is there; skipped blocks may be missing in it, and it may have been
        enough early.
    committed : float
        Time of the last commit, in seconds since 1970.
    whole : bool
        Whether all commits were read: False if there are too many to do so in a few seconds, or one
        is damaged.
    before : int
        Blocks that had been done when the run was last begun, or ended.
    unit : str
        What is counted, "blocks" of a run, or "tasks" of a script: those that it has handed in so
        far.
    """

    done: int
    n_blocks: int
    skipped: int
    finished: bool
    committed: float
    whole: bool
    before: int
    unit: str = "blocks"


def progress(path: Path, seconds: float = 5.0) -> Progress | None:
    """Return how far the run is whose ``--output`` is ``path``.

    Parameters
    ----------
    path : Path
        The output file.
    seconds : float
        How long to read the logs of its ranks, at most.

    Returns
    -------
    Progress or None
        None if there is no file, or it isn't of mpipar or can't be read.
    """
    until = time.monotonic() + seconds
    found = None
    for _ in range(ATTEMPTS):
        before = signature(path)
        if before is None:
            return None
        try:
            found = _read(path, until)
        except _BROKEN:
            found = None
        if signature(path) == before:
            break  # else it was replaced, and the logs that it has the sum of removed
    return found


def _read(path: Path, until: float) -> Progress | None:
    # HDF5 would lock the file, and be refused on some file systems.
    with h5py.File(path, "r", locking=False) as file:
        if "mpipar_format" not in file.attrs:
            return None
        committed = path.stat().st_mtime
        if task_tables.MARK in file.attrs:
            return _of_script(path, file, committed)
        if file.attrs.get("finished", True):
            return _of_result(path, file, committed)
        state = get(path, file)
    return _of_state(path, state, committed, until)


def _of_state(
    path: Path,
    state: State,
    committed: float,
    until: float,
) -> Progress:
    """Return the progress of a run that goes on: its state, and what its ranks logged since."""
    n = _number(state.identity["n"])
    block = _number(state.identity["block"])
    n_blocks = -(-n // block)
    before = Blocks(united(state.done.ranges)).count
    folder = Path(f"{os.path.realpath(path)}.parts")
    ranges = list(state.done.ranges)
    skipped = _blocks_of(state.done.skipped)
    whole = True
    try:
        for part in logged(folder, state.run):
            ranges += part.ranges
            skipped |= _blocks_of(part.skipped)
            if time.monotonic() > until:
                whole = False
                break
    except _BROKEN:
        whole = False
    done = united(ranges)
    for blocks in done:  # which failed, and were done after all
        skipped.difference_update([index for index in skipped if index in blocks])
    committed = max([committed, *_times(folder)])
    return Progress(
        Blocks(done).count,
        n_blocks,
        len(skipped),
        False,
        committed,
        whole,
        before,
    )


def _of_script(path: Path, file: h5py.File, committed: float) -> Progress:
    """Return how many of the tasks that a script has handed in so far have an outcome."""
    tasks, before = task_tables.counts(file)
    done = before
    is_whole = True
    folder = log_path(path, 0).parent
    try:
        for log in sorted(folder.glob("tasks-*.log")):
            more_tasks, more_done = task_log.counts(log)
            tasks += more_tasks
            done += more_done
    except _BROKEN:
        is_whole = False
    finished = bool(file.attrs["finished"])
    committed = max([committed, *_times(folder)])
    return Progress(
        done,
        max(tasks, done),
        0,
        finished,
        committed,
        is_whole,
        before,
        "tasks",
    )


def _blocks_of(skipped: Iterable[Skipped]) -> set[int]:
    return {block.block for block in skipped}


def _of_result(path: Path, file: h5py.File, committed: float) -> Progress:
    """Return the progress of a run that is complete, but perhaps for skipped blocks."""
    n_blocks = _number(file.attrs["n_blocks"])
    skipped = _number(file.attrs.get("skipped_blocks", 0))
    done = n_blocks - skipped
    with contextlib.suppress(BadInput):  # totals that can't be stored leave none
        done = Blocks(united(get(path, file).done.ranges)).count
    return Progress(done, n_blocks, skipped, True, committed, True, done)


def _number(value: Any) -> int:
    return int(value)  # what is beyond 64 bits is stored as text


def _times(folder: Path) -> Iterator[float]:
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.endswith(".log"):
                with contextlib.suppress(OSError):
                    yield entry.stat().st_mtime


def signature(path: Path) -> tuple[int, int, int] | None:
    """Return what tells a file from the one that replaces it; None if there is no regular file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
