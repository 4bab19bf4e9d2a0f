"""What a script's tasks have come to, from its file and logs, while it runs or after it was killed.

Nothing is locked or written: the script doesn't notice.
"""

from __future__ import annotations

import os
from pathlib import Path

from mpipar.store import task_tables
from mpipar.store.pickled_outcomes import signed_outcomes
from mpipar.store.stored_calls import forget_workers, have_task
from mpipar.store.task_log import Logged, read_log
from mpipar.store.task_tables import Tasks


def log_path(output: Path, number: int) -> Path:
    """Return the name of a log of a script's output."""
    return Path(f"{os.path.realpath(output)}.parts") / f"tasks-{number}.log"


def add_logs(path: Path, tasks: Tasks) -> Logged | None:
    """Add what is in the logs of a file to its calls; return the last log, or None if there is
    none.

    Raises
    ------
    OSError
        If a log can't be read.
    ValueError
        If one is damaged.
    """
    last = None
    number = int(tasks.about["log"])
    while (logged := _logged(path, tasks, number)) is not None:
        tasks.calls = logged.in_order()
        last = logged
        number += 1
    return last


def foreign_tasks(path: Path, *, with_pickled: bool) -> Tasks:
    """Return what another file has, whose calls have no number here. Raises BadInput."""
    tasks = task_tables.read(path)
    if with_pickled:
        run = str(tasks.about["run"])
        for task in signed_outcomes(Path(f"{path}.pickled"), run):
            if have_task(tasks.calls, task.call, task.task):
                tasks.calls[task.call].pickled[task.task] = task.data
    for call in tasks.calls:
        call.number = None
    return tasks


def _logged(path: Path, tasks: Tasks, number: int) -> Logged | None:
    """Return what is in a log, with all before it; None if it isn't there, or of another run."""
    log = log_path(path, number)
    if not log.exists():
        return None
    forget_workers(tasks.calls)
    try:
        logged = read_log(log, tasks.calls)
    except FileNotFoundError:  # the file has just taken it in
        return None
    if logged is None or logged.run != tasks.about["run"]:
        return None
    return logged
