"""The states and times of jobs: of what the controller remembers, and then by the accounts."""

from __future__ import annotations

from collections.abc import Iterable

from mpipar.base.errors import BadInput
from mpipar.batch.job_state import JobState
from mpipar.batch.scheduler import AccountsUnavailable, SchedulerUnavailable, Times
from mpipar.batch.slurm.answers import NOT_THERE, all_of, unavailable
from mpipar.batch.slurm.calls import ask
from mpipar.batch.slurm.records import mark, records
from mpipar.batch.slurm.sacct import accounted
from mpipar.batch.slurm.states import exit_code_of, meaning_of, number_of, time_of
from mpipar.batch.slurm.variables import host_names
from mpipar.batch.walltime import seconds_of

_FIELDS = (
    "JobArrayID",
    "State",
    "Reason",
    "NodeList",
    "TimeUsed",
    "TimeLimit",
    "RestartCnt",
    "exit_code",
    "SubmitTime",
    "StartTime",
    "EndTime",
    "Name",
)
_NODES = ("JobID", "NodeList", "Name")
_TIMES = ("JobID", "StartTime", "EndTime", "PreemptTime", "Name")


def states(ids: Iterable[str]) -> dict[str, JobState]:
    """Return what Slurm knows of jobs, with two calls at most.

    Parameters
    ----------
    ids : iterable of str
        Numbers of jobs, of whole arrays or of tasks ("12_3").

    Returns
    -------
    dict
        {id: state}: of an array each task, and under its own number those that ended before they
        were started. What nobody remembers is left out.

    Raises
    ------
    SchedulerUnavailable
        If the controller doesn't answer, and accounts don't know either.
    AccountsUnavailable
        If the controller has forgotten some, and accounts don't answer.
    """
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return {}
    found: dict[str, JobState] = {}
    problem: SchedulerUnavailable | None = None
    try:
        found = _in_queue(wanted)
    except SchedulerUnavailable as error:
        problem = error
    rest = _not_in_queue(wanted, found)
    if rest:
        found = _with_accounts(rest, found, problem)
    if problem is not None and not found:
        raise problem
    return found


def _with_accounts(
    rest: list[str],
    found: dict[str, JobState],
    problem: SchedulerUnavailable | None,
) -> dict[str, JobState]:
    """Return what was found, with what the accounts know of the rest; ``problem`` is the
    controller's.
    """
    try:
        return {**accounted(rest), **found}
    except SchedulerUnavailable as error:
        if problem is not None:
            return found
        raise AccountsUnavailable(str(error), found) from None


def times(id: str) -> Times | None:
    """Return the times of a job, or of a task; None if Slurm doesn't know it, or can't be asked."""
    found = _fields_of(id, _TIMES)
    if found is None:
        return None
    return Times(*(time_of(found[name]) for name in ("StartTime", "EndTime", "PreemptTime")))


def nodes(id: str) -> set[str]:
    """Return the nodes of a job, or of a task; none if that isn't known."""
    found = _fields_of(id, _NODES)
    if found is None:
        return set()
    try:
        return set(host_names(found["NodeList"]))
    except BadInput:
        return set()


def _fields_of(id: str, fields: tuple[str, ...]) -> dict[str, str] | None:
    """Return what Slurm says of one job; None if it doesn't know it, or can't be asked."""
    between = mark()
    try:
        ended = ask("squeue", *_options([id], fields, between))
    except SchedulerUnavailable:
        return None
    return next(records(ended.stdout, between, fields), None)


def _not_in_queue(wanted: list[str], found: dict[str, JobState]) -> list[str]:
    """Return what to ask the accounts for: the controller forgets tasks of an array one by one."""
    arrays = {id.partition("_")[0] for id in found if "_" in id}
    known = found.keys() | arrays
    forgotten = [id for id in wanted if id not in known]
    return [*forgotten, *(id for id in wanted if id in arrays)]


def _in_queue(ids: list[str]) -> dict[str, JobState]:
    """Return what the controller remembers, ended jobs included."""
    between = mark()
    ended = ask("squeue", *_options(ids, _FIELDS, between))
    if ended.returncode:
        if all_of(ended.stderr, (NOT_THERE,)):  # if it was asked for one job alone
            return {}
        raise unavailable("squeue", ended)
    found = {}
    for record in records(ended.stdout, between, _FIELDS):
        found[record["JobArrayID"]] = _state(record, between)
    return found


def _options(ids: list[str], fields: tuple[str, ...], between: str) -> list[str]:
    return [
        "--noheader",
        "--array",
        "--states=all",
        f"--jobs={','.join(ids)}",
        f"--Format={','.join(f'{field}:{between}' for field in fields)}",
    ]


def _state(record: dict[str, str], between: str) -> JobState:
    state = record["State"]
    reason = record["Reason"]
    return JobState(
        id=record["JobArrayID"],
        name=record["Name"].removesuffix(between),
        state=state,
        reason="" if reason == "None" else reason,
        nodes=record["NodeList"],
        elapsed=seconds_of(record["TimeUsed"]) or 0.0,
        limit=seconds_of(record["TimeLimit"]),
        restarts=number_of(record["RestartCnt"]),
        exit_code=exit_code_of(state, record["exit_code"]),
        submitted=time_of(record["SubmitTime"]),
        start=time_of(record["StartTime"]),
        end=time_of(record["EndTime"]),
        meaning=meaning_of(state, record["exit_code"]),
    )
