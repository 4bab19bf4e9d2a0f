"""How far a script's tasks are, from its file and logs, while it runs or after it was killed.

Nothing is locked or written: the script doesn't notice.
"""

from __future__ import annotations

import os
from pathlib import Path

from mpipar.store.task_log import Logged, read_log
from mpipar.store.task_tables import Tasks
from mpipar.store.task_timeline import timeline_of, workers_of


def log_path(output: Path, number: int) -> Path:
    """Return the name of a log of a script's output."""
    return Path(f"{os.path.realpath(output)}.parts") / f"tasks-{number}.log"


def with_logs(path: Path, tasks: Tasks) -> Tasks:
    """Return what is in a file, and in the logs that have been begun since it was written.

    Raises
    ------
    OSError
        If a log can't be read.
    ValueError
        If one is damaged.
    """
    number = int(tasks.about["log"])
    while (logged := _logged(path, tasks, number)) is not None:
        tasks.calls = [logged.calls[call] for call in sorted(logged.calls)]
        tasks.workers = workers_of(logged)
        tasks.timeline = timeline_of(logged)
        number += 1
    return tasks


def _logged(path: Path, tasks: Tasks, number: int) -> Logged | None:
    """Return what is in a log, with all before it; None if it isn't there, or of another run."""
    try:
        logged = read_log(log_path(path, number), tasks.calls)
    except FileNotFoundError:
        return None
    if logged is None or logged.run != tasks.about["run"]:
        return None
    return logged
