"""Waiting for a job's end: ``mpipar submit --wait``."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable

from mpipar.base.exit_codes import DONE, FAILED
from mpipar.batch.job_file import Job
from mpipar.batch.job_state import JobState
from mpipar.batch.job_status import Facts, examine
from mpipar.batch.named_jobs import tasks
from mpipar.batch.queue_states import states_of
from mpipar.batch.record import Submission
from mpipar.batch.scheduler import SchedulerUnavailable
from mpipar.batch.submit import unfinished_tasks

_POLL_SECONDS = 2.0
_LONGEST_PAUSE = 30.0
_PATIENCE = 600.0  # that a controller is given which doesn't answer


def wait(submission: Submission, job: Job, notify: Callable[[str], None]) -> int:
    """Wait for a job's end, and return 0 if all of it ended well, with all results, or else 1.

    Raises
    ------
    SchedulerUnavailable
        If the scheduler doesn't answer for long.
    """
    before = None
    pause = _POLL_SECONDS
    heard = time.monotonic()
    while True:
        try:
            states = list(states_of([submission]).values())
        except SchedulerUnavailable as error:
            if time.monotonic() > heard + _PATIENCE:
                raise
            notify(f"{error}; trying again")
            time.sleep(pause)
            continue
        heard = time.monotonic()
        told = _in_words(states)
        if told != before:
            notify(f"job {submission.id}: {told}")
            before = told
        if all(state.ended for state in states):
            return _ending(submission, job, notify, was_forgotten=not states)
        time.sleep(pause)
        pause = min(1.2 * pause, _LONGEST_PAUSE)  # the controller has others to serve


def _in_words(states: Iterable[JobState]) -> str:
    names = {state.state for state in states}
    return ", ".join(sorted(names)) or "not in the queue any more"


def _ending(
    submission: Submission,
    job: Job,
    notify: Callable[[str], None],
    *,
    was_forgotten: bool,
) -> int:
    """Say how a job has ended, and return the exit code."""
    examined, _ = examine([(submission, task) for task in tasks(submission)])
    facts = list(itertools.chain.from_iterable(examined))
    for words in _disputed(facts):
        notify(f"job {submission.id}: {words}")
    is_good = all(fact.outcome == "done" for fact in facts)
    # A prologue may have ended the job before it ran anything.
    asks_for_results = bool(job.output) or was_forgotten
    if is_good and asks_for_results:
        is_good = not unfinished_tasks(job)
    if is_good:
        return DONE
    return FAILED


def _disputed(facts: Iterable[Facts]) -> list[str]:
    """Return what is said of tasks that the scheduler has otherwise, each once."""
    words = [fact.words for fact in facts if fact.is_disputed]
    return list(dict.fromkeys(words))
