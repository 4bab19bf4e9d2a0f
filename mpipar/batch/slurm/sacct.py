"""What Slurm's accounts remember of jobs."""

from __future__ import annotations

import shutil

from mpipar.batch.job_state import JobState
from mpipar.batch.slurm.answers import has_no_accounts, unavailable
from mpipar.batch.slurm.calls import PATIENCE, SHORT_PATIENCE, is_known_to_be_away, run
from mpipar.batch.slurm.records import mark, records
from mpipar.batch.slurm.states import exit_code_of, meaning_of, number_of, time_of
from mpipar.batch.task_numbers import tasks_of

_FIELDS = (
    "JobID",
    "State",
    "NodeList",
    "ElapsedRaw",
    "TimelimitRaw",
    "ExitCode",
    "Submit",
    "Start",
    "End",
    "JobName",
)


def accounted(ids: list[str]) -> dict[str, JobState]:
    """Return what the accounts have; nothing where there are none.

    Raises
    ------
    SchedulerUnavailable
        If they don't answer.
    """
    between = mark()
    options = (
        "--allocations",
        "--noheader",
        "--parsable2",
        f"--delimiter={between}",
        f"--jobs={','.join(ids)}",
        f"--format={','.join(_FIELDS)}",
    )
    if shutil.which("sacct") is None:
        return {}
    patience = SHORT_PATIENCE if is_known_to_be_away() else PATIENCE
    ended = run("sacct", *options, timeout=patience)
    if ended.returncode and not has_no_accounts(ended.stderr):
        raise unavailable("sacct", ended)
    found = {}
    for record in records(ended.stdout, between, _FIELDS):
        for id in _ids(record["JobID"]):
            found[id] = _state(id, record)
    return found


def _ids(listed: str) -> list[str]:
    """Return the jobs of a record: several tasks of an array that never began have one."""
    number, _, tasks = listed.partition("_[")
    if not tasks:
        return [listed]
    return [f"{number}_{task}" for task in tasks_of(tasks.rstrip("]"))]


def _state(id: str, record: dict[str, str]) -> JobState:
    state = record["State"].partition(" ")[0]  # "CANCELLED by 1000"
    minutes = number_of(record["TimelimitRaw"])
    nodes = record["NodeList"]
    return JobState(
        id=id,
        name=record["JobName"],
        state=state,
        reason="",
        nodes="" if nodes == "None assigned" else nodes,
        elapsed=time_of(record["ElapsedRaw"]) or 0.0,
        limit=None if minutes is None else 60.0 * minutes,
        restarts=None,
        exit_code=exit_code_of(state, record["ExitCode"]),
        submitted=time_of(record["Submit"]),
        start=time_of(record["Start"]),
        end=time_of(record["End"]),
        meaning=meaning_of(state, record["ExitCode"]),
        may_be_late=True,
    )
