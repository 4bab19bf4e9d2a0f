"""The folder of a submitted job: what was submitted, when, and as what.

::

    runs/pi/                     the job's folder
        job.toml  and a script   what was submitted, as it was; site.toml, if there is a profile
        submissions.jsonl        a Submission a line, the latest last
        pi-12.out                what the job printed: its name and number
        pi-12.journal            what happened to it (mpipar.runtime.journal)
        pi.h5                    the result
        pi-12_3.out  …           the same of a task of an array: pi-12_3.journal, pi-3.h5

Where the folders of jobs are is kept in the user's state folder, so that a job can be named by its
number.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from mpipar.base.errors import BadInput
from mpipar.runtime.journal import append_line, read_lines

_SUBMISSIONS = "submissions.jsonl"
_TEXTS = ("id", "name", "cluster", "folder", "tasks")  # what files are named by


@dataclass(frozen=True)
class Submission:
    """A job that was submitted.

    Attributes
    ----------
    id : str
        The number that the scheduler gave it.
    name : str
        Its name.
    cluster : str
        Which one that was: its name, or where that could not be asked for the file that configures
        it, or "".
    folder : str
        The job's folder, absolute.
    outputs : dict
        {task: result file}, absolute; the task of a job that is no array is "".
    tasks : str
        The tasks of an array that were submitted ("1-10", "3,7"); empty if it is none.
    command : list of str
        What was run to submit it.
    overrides : list of str
        What was given by ``--set`` and the like.
    time : float
        When, in seconds since 1970.
    """

    id: str
    name: str
    cluster: str
    folder: str
    outputs: dict[str, str]
    tasks: str
    command: list[str]
    overrides: list[str]
    time: float

    def log(self, task: str = "") -> Path:
        """Return the file with what the job, or a task of it, printed."""
        return self._file(task, "out")

    def journal(self, task: str = "") -> Path:
        """Return the file with what happened to the job, or a task of it."""
        return self._file(task, "journal")

    def _file(self, task: str, suffix: str) -> Path:
        return Path(self.folder) / f"{self.name}-{self.id}{'_' * bool(task)}{task}.{suffix}"


def add(submission: Submission) -> bool:
    """Put a submission on record, in its folder and in the user's index; return whether it is in
    both. Raises OSError if it isn't in its folder.
    """
    line = asdict(submission)
    append_line(Path(submission.folder) / _SUBMISSIONS, line, flush=True)
    listed = index()
    try:
        listed.parent.mkdir(parents=True, exist_ok=True)
        append_line(listed, line, flush=True)
    except OSError:  # a home that can't be written to: the job can be named by its folder still
        return False
    return True


def of_folder(folder: Path) -> list[Submission]:
    """Return all submissions of a job's folder, the latest last; empty if it isn't one."""
    return list(_read(folder / _SUBMISSIONS))


def of_id(number: str, cluster: str) -> Submission | None:
    """Return the latest submission with a number, from the user's index."""
    found = [one for one in _read(index()) if one.id == number and may_be_of(one.cluster, cluster)]
    own = [one for one in found if one.cluster == cluster]
    if not found:
        return None
    return (own or found)[-1]


def may_be_of(cluster: str, here: str) -> bool:
    """Return whether a submission's cluster may be the one in use: one of them may not have told
    its name.
    """
    return cluster == here or _is_name(cluster) != _is_name(here)


def _is_name(cluster: str) -> bool:
    return bool(cluster) and "/" not in cluster


def known(cluster: str) -> list[Submission]:
    """Return the latest submission of each folder in the user's index that is still there, the
    latest last.
    """
    return [one for one in _latest(cluster) if _is_there(one)]


def removed(cluster: str) -> list[Submission]:
    """Return the same of folders that are gone."""
    return [one for one in _latest(cluster) if not _is_there(one)]


def _latest(cluster: str) -> list[Submission]:
    latest: dict[str, Submission] = {}
    for one in _read(index()):
        if may_be_of(one.cluster, cluster):
            latest.pop(one.folder, None)
            latest[one.folder] = one
    return list(latest.values())


def _is_there(one: Submission) -> bool:
    return (Path(one.folder) / _SUBMISSIONS).exists()


def find(name: str, cluster: str) -> list[Submission]:
    """Return the submissions that a user names, by job number or folder, the latest last.

    Raises
    ------
    BadInput
        If there is none.
    """
    number = name.partition("_")[0]
    if number.isdigit() and not Path(name).is_dir():
        one = of_id(number, cluster)
        if one is None:
            raise BadInput(
                f"no job {number} was submitted by mpipar from here; name its folder, if it has one"
            )
        return [one]
    found = of_folder(Path(name))
    if not found:
        raise BadInput(
            f"expected the number of a job or its folder, got {name!r}, which has no {_SUBMISSIONS}"
        )
    return found


def _read(path: Path) -> Iterator[Submission]:
    names = {field.name for field in fields(Submission)}
    for values in read_lines(path):
        if all(isinstance(values.get(name), str) for name in _TEXTS):
            with contextlib.suppress(TypeError):  # by a later version
                yield Submission(**{name: values[name] for name in names & values.keys()})


def index() -> Path:
    """Return the file that lists all jobs of the user's."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "mpipar" / "jobs.jsonl"
