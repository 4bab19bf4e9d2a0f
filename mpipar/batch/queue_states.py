"""What the scheduler knows of submissions, rather than of other jobs with their numbers."""

from __future__ import annotations

from collections.abc import Iterable

from mpipar.batch import record
from mpipar.batch.job_state import JobState
from mpipar.batch.record import Submission
from mpipar.batch.scheduler import AccountsUnavailable
from mpipar.batch.schedulers import scheduler

# seconds by which the scheduler may have a job before it is on record: to submit may take 60,
# clocks may differ
_EARLIER = 90.0


def states_of(submissions: Iterable[Submission], wanted: Iterable[str] = ()) -> dict[str, JobState]:
    """Return what the scheduler knows of submissions now, as
    :meth:`mpipar.batch.scheduler.Scheduler.states`, but of nothing else; of what has long ended,
    too, if its accounts answer.

    Parameters and errors are those of :func:`all_states_of`, but for AccountsUnavailable.
    """
    try:
        return all_states_of(submissions, wanted)
    except AccountsUnavailable as error:
        return error.found


def all_states_of(
    submissions: Iterable[Submission],
    wanted: Iterable[str] = (),
) -> dict[str, JobState]:
    """Return the same, for whoever must know what has long ended.

    Numbers are those of other jobs on other clusters, and on one that was set up anew: what counts
    has the name of its submission, or its time, and is no older. Submissions to other clusters are
    left out.

    Parameters
    ----------
    submissions : iterable of Submission
    wanted : iterable of str
        Which jobs and tasks of theirs ("12_3"); by default all.

    Raises
    ------
    SchedulerUnavailable
        If the scheduler doesn't answer.
    AccountsUnavailable
        If it has forgotten some, and its accounts don't answer.
    """
    given = list(submissions)
    if not given:
        return {}
    own = _of_this_cluster(given)
    ids = [id for id in wanted or own if _number(id) in own]
    try:
        return _only(scheduler().states(ids), own)
    except AccountsUnavailable as error:
        raise AccountsUnavailable(str(error), _only(error.found, own)) from None


def _only(found: dict[str, JobState], own: dict[str, Submission]) -> dict[str, JobState]:
    """Return the states that are of these submissions."""
    return {id: state for id, state in found.items() if is_of(state, own.get(_number(id)))}


def _of_this_cluster(submissions: Iterable[Submission]) -> dict[str, Submission]:
    """Return {id: submission}; what is known to be of this cluster goes before what may be."""
    here = scheduler().cluster()
    own: dict[str, Submission] = {}
    for one in submissions:
        is_known = one.cluster == here
        if is_known or (record.may_be_of(one.cluster, here) and one.id not in own):
            own[one.id] = one
    return own


def _number(id: str) -> str:
    return id.partition("_")[0]


def is_of(state: JobState | None, one: Submission | None) -> bool:
    """Return whether a state is a submission's, rather than another job's with its number."""
    if state is None or one is None:
        return False
    has_its_name = state.name.strip() == one.name.strip()
    if state.submitted is None:
        return has_its_name
    if state.submitted < one.time - _EARLIER:
        return False
    # One that was given another name is known by its time: a number is given once at a time.
    return has_its_name or state.submitted <= one.time + _EARLIER


def open_states(submissions: Iterable[Submission]) -> list[JobState]:
    """Return the states of submissions' jobs and tasks that wait or run; those to other clusters
    are left out.

    Raises
    ------
    SchedulerUnavailable
        If the scheduler doesn't answer.
    """
    return [state for state in states_of(submissions).values() if not state.ended]
