"""Which jobs, and which tasks of arrays, a user means by a number or a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpipar.base.errors import BadInput
from mpipar.batch import record
from mpipar.batch.record import Submission
from mpipar.batch.task_numbers import tasks_of


def named(name: str, here: str) -> tuple[Submission, str]:
    """Return the latest submission that a user means by a number ("12", "12_3") or a folder, and
    which task of it.

    Raises
    ------
    BadInput
        If there is none.
    """
    one = record.find(name, here)[-1]
    number, _, task = name.partition("_")
    if not task or not number.isdigit() or Path(name).is_dir():
        return one, ""
    if task not in tasks(one):
        raise BadInput(f"job {number} has no task {task!r}")
    return one, task


def tasks(one: Submission) -> list[str]:
    """Return the tasks of a submission; a single "" if it is no array."""
    if not one.tasks:
        return [""]
    return tasks_of(one.tasks) or list(one.outputs) or [""]


def all_named(name: str, here: str) -> list[tuple[Submission, str]]:
    """Return what a user means by a number or a folder: as :func:`named`, but of a folder all tasks
    it ever had.

    Each task comes once, with the latest submission of it; a job that is no array is one task, "".

    Raises
    ------
    BadInput
        If there is none.
    """
    one, task = named(name, here)
    if task:
        return [(one, task)]
    is_number = name.isdigit() and not Path(name).is_dir()
    if is_number:
        return [(one, number) for number in tasks(one)]
    return latest_tasks(record.find(name, here))


def latest_of_folder(one: Submission, here: str) -> list[tuple[Submission, str]]:
    """Return the same of a submission's folder, without what was submitted to other clusters."""
    every = record.of_folder(Path(one.folder))
    own = [each for each in every if record.may_be_of(each.cluster, here)]
    return latest_tasks(own or [one])


def latest_tasks(submissions: Sequence[Submission]) -> list[tuple[Submission, str]]:
    """Return all tasks of a folder's submissions, each with the latest submission of it; the latest
    come last.
    """
    last = submissions[-1]
    if not last.tasks:
        return [(last, "")]
    latest: dict[str, Submission] = {}
    for one in submissions:
        if one.tasks:
            latest |= dict.fromkeys(tasks(one), one)
    in_order = sorted(latest, key=lambda task: (len(task), task))
    return [(latest[task], task) for task in in_order]
