"""What is known of jobs: by the scheduler, their journals and result files.

Each of these may know nothing; schedulers forget. ::

    named, recent ─▶ Submissions ─▶ examine ─▶ Facts of each job, or of each task of an array
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpipar.batch import record
from mpipar.batch.events import last, number, time_of
from mpipar.batch.job_state import JobState, state_of
from mpipar.batch.named_jobs import tasks
from mpipar.batch.outcome import Outcome, last_next, outcome
from mpipar.batch.pace import Pace, more_allocations, pace
from mpipar.batch.queue_states import all_states_of, is_of
from mpipar.batch.record import Submission
from mpipar.batch.scheduler import AccountsUnavailable, SchedulerUnavailable
from mpipar.batch.schedulers import scheduler
from mpipar.batch.task_numbers import job_id
from mpipar.runtime import journal
from mpipar.store.progress import Progress, progress

_FEW = 20  # tasks of an array that are asked for one by one
_DAY = 86400.0


@dataclass(frozen=True)
class Facts:
    """What is known of a job, or of a task of an array.

    Attributes
    ----------
    id, name, folder : str
        As in its submission; the id of a task is such as "12_3".
    outcome : str
        One of "waiting", "running", "done", "stopped early", "failed", "cancelled", "ended without
        a word", "unknown".
    state : str or None
        The scheduler's name of its state; None if it knows nothing.
    words : str
        All that in plain words.
    is_disputed : bool
        Whether the scheduler says otherwise than journal and result.
    reason : str
        Why it waits, in the scheduler's word.
    nodes : str
        Where it runs, or ran.
    elapsed, limit : float or None
        Seconds that it has run since it was last started, and that it may.
    restarts, exit_code : int or None
        How often it was requeued; how it ended.
    submitted, ended : float or None
        When, in seconds since 1970.
    output, log : str
        The result file; what it printed.
    blocks, n_blocks, skipped : int or None
        Blocks that are done, that there are, that were skipped; None if there is no file with them.
        Of a script: tasks, of those that it has handed in so far.
    unit : str
        What these are: "blocks" or "tasks".
    finished : bool
        Whether the result is there.
    rate, remaining : float or None
        Blocks a second, and the seconds that the rest will take; None if that can't be told.
    allocations : int or None
        How many more times it will have to be started, as the rest takes longer than its time
        limit.
    last : str
        What the journal says last, in words.
    """

    id: str
    name: str
    folder: str
    outcome: str
    state: str | None
    words: str
    is_disputed: bool
    reason: str
    nodes: str
    elapsed: float | None
    limit: float | None
    restarts: int | None
    exit_code: int | None
    submitted: float | None
    ended: float | None
    output: str
    log: str
    blocks: int | None
    n_blocks: int | None
    skipped: int | None
    unit: str
    finished: bool
    rate: float | None
    remaining: float | None
    allocations: int | None
    last: str

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.outcome in ("waiting", "running")


def examine(
    jobs: Iterable[tuple[Submission, str]],
) -> tuple[list[list[Facts]], SchedulerUnavailable | None]:
    """Return what is known of jobs, each as one Facts for each task, and why the scheduler could
    not be asked, if so.

    Parameters
    ----------
    jobs : iterable of (Submission, str)
        Submissions, and which task of each: "" for all.
    """
    jobs = list(jobs)
    here = scheduler().cluster()
    found: dict[str, JobState] = {}
    problem: SchedulerUnavailable | None = None
    try:
        found = all_states_of([one for one, _ in jobs], _ids(jobs))
    except AccountsUnavailable as error:
        problem = error
        found = error.found
    except SchedulerUnavailable as error:
        problem = error
    examined = []
    for one, task in jobs:
        is_here = record.may_be_of(one.cluster, here)
        facts = []
        for each in [task] if task else tasks(one):
            state = state_of(found, one.id, each)
            knows = is_here and (problem is None or state is not None)
            facts.append(_facts(one, each, state, knows=knows))
        examined.append(facts)
    return examined, problem


def _ids(jobs: list[tuple[Submission, str]]) -> list[str]:
    """Return what to ask for: an array as a whole, unless a few tasks of it are wanted."""
    counts = Counter(one.id for one, task in jobs if task)
    submissions = {one.id: one for one, _ in jobs}
    few = {id for id, one in submissions.items() if counts[id] < min(_FEW, len(tasks(one)))}
    ids: dict[str, None] = {}
    for one, task in jobs:
        id = job_id(one.id, task) if one.id in few else one.id
        ids[id] = None
    return list(ids)


def _facts(one: Submission, task: str, state: JobState | None, *, knows: bool) -> Facts:
    """Return what is known of a job, or of one task, where the scheduler has found a state of its
    number; ``knows`` is whether it could be asked about this one.
    """
    if not knows or not is_of(state, one):  # there may be several submissions with one number
        state = None
    events = journal.read(one.journal(task))
    output = _output(events) or one.outputs.get(task, "")
    reached = _reached(output, events, state)
    is_finished = reached is not None and reached.finished
    became = outcome(
        state, events, is_finished=is_finished, has_output=task in one.outputs, is_known=knows
    )
    now = Pace()
    if became.name == "running" and reached is not None:
        now = pace(events, reached)
    return Facts(
        id=job_id(one.id, task),
        name=one.name,
        folder=one.folder,
        outcome=became.name,
        words=became.words,
        is_disputed=became.is_disputed,
        exit_code=became.exit_code,
        submitted=one.time,
        ended=_ended(became, state, events),
        restarts=_restarts(state, events),
        output=output,
        log=str(one.log(task)),
        finished=is_finished,
        rate=now.rate,
        remaining=now.remaining,
        last=last_words(events),
        **_by_scheduler(state, now.remaining),
        **_by_result(reached),
    )


def _by_scheduler(state: JobState | None, remaining: float | None) -> dict[str, Any]:
    """Return the facts that the scheduler alone knows."""
    if state is None:
        nothing = dict.fromkeys(("state", "elapsed", "limit", "allocations"))
        return {**nothing, "reason": "", "nodes": ""}
    allocations = None if remaining is None else more_allocations(state, remaining)
    return {
        "state": state.state,
        "reason": state.reason if state.kind == "waiting" else "",
        "nodes": state.nodes,
        "elapsed": state.elapsed,
        "limit": state.limit,
        "allocations": allocations,
    }


def _by_result(reached: Progress | None) -> dict[str, Any]:
    """Return the facts that the result file alone knows."""
    if reached is None:
        return {"blocks": None, "n_blocks": None, "skipped": None, "unit": "blocks"}
    return {
        "blocks": reached.done,
        "n_blocks": reached.n_blocks,
        "skipped": reached.skipped,
        "unit": reached.unit,
    }


def _output(events: list[dict[str, Any]]) -> str:
    """Return the result file that a journal names last; empty if it names none."""
    event = last(events, journal.OUTPUT)
    return str(event.get("path")) if event else ""


def _reached(output: str, events: list[dict[str, Any]], state: JobState | None) -> Progress | None:
    """Return how far a result is; None if there is none, or if it is that of another job, which
    this one will write over.
    """
    if not output:
        return None
    reached = progress(Path(output))
    has_begun = bool(last(events, journal.ALLOCATION))
    may_wait = state is None or state.kind == "waiting"
    if reached is not None and reached.finished and may_wait and not has_begun:
        return None
    return reached


def _restarts(state: JobState | None, events: list[dict[str, Any]]) -> int | None:
    if state is not None and state.restarts is not None:
        return state.restarts
    most = None
    for event in events:
        restarts = number(event, "restart")
        if event["event"] == journal.ALLOCATION and restarts is not None:
            most = max(restarts, most or 0)
    return most


def _ended(became: Outcome, state: JobState | None, events: list[dict[str, Any]]) -> float | None:
    if became.name in ("waiting", "running"):
        return None
    if state is not None and state.end is not None:
        return state.end
    if not events:
        return None
    return time_of(events[-1])


_NEXT = {
    "requeue": "it was to be requeued",
    "exit": "it ended",
    "cancel": "it was cancelled",
    "again": "its ranks were to be started again",
}
_LAST = {
    journal.ALLOCATION: "its {ranks} ranks were being started",
    journal.STARTED: "all {ranks} ranks had started",
    journal.OUTPUT: "its ranks were at work",
    journal.SIGNAL: "it was told to stop by {name}",
    journal.CANCEL: "it was to be cancelled",
    journal.ENDED: "its ranks had ended on purpose, with code {code}",
}
_DETAILS = ("ranks", "name", "code")


def last_words(events: list[dict[str, Any]]) -> str:
    """Return what a journal says last, in words; empty if it says nothing."""
    if not events:
        return ""
    event = events[-1]
    kind = str(event["event"])
    if kind == journal.NEXT:
        told = _NEXT.get(str(event.get("what")), "it ended")
        told = f"{told}, with code {event.get('code')}"
        reason = event.get("reason")
        return f"{told}: {reason}" if reason else told
    if kind not in _LAST:
        return kind
    details = {name: event.get(name) for name in _DETAILS}
    return _LAST[kind].format(**details)


def is_recent(facts: list[Facts]) -> bool:
    """Return whether a job waits, runs or has ended within the last day."""
    since = time.time() - _DAY
    return any(fact.is_open or (fact.ended or fact.submitted or 0.0) > since for fact in facts)


def may_be_recent(one: Submission) -> bool:
    """Return whether a job may be recent; the scheduler needn't be asked about one that has told
    its end long ago.
    """
    since = time.time() - _DAY
    if one.time > since or one.tasks:
        return True
    ended = last_next(journal.read(one.journal()))
    at = time_of(ended)
    return ended.get("what") != "exit" or at is None or at > since
