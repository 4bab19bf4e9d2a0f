"""What is known of jobs: by Slurm, their journals and result files.

Each of these may know nothing; Slurm forgets. ::

    named, recent ─▶ Submissions ─▶ examine ─▶ Facts of each job, or of each task of an array
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.batch import record, slurm
from mpipar.batch.outcome import last_next, outcome
from mpipar.batch.record import Submission
from mpipar.runtime import journal
from mpipar.store.progress import Progress, progress

_FEW = 20  # tasks of an array that are asked for one by one
_DAY = 86400.0
# seconds by which Slurm may have a job before it is on record: sbatch may take 60, clocks may
# differ
_EARLIER = 90.0


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
        Slurm's name of its state; None if Slurm knows nothing.
    words : str
        All that in plain words.
    reason : str
        Why it waits, in Slurm's word.
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
    finished: bool
    rate: float | None
    remaining: float | None
    allocations: int | None
    last: str

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.outcome in ("waiting", "running")


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
    return (slurm.tasks_of(one.tasks) or list(one.outputs) or [""]) if one.tasks else [""]


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
    if task or (name.isdigit() and not Path(name).is_dir()):
        return [(one, number) for number in ([task] if task else tasks(one))]
    return latest_tasks(record.find(name, here))


def latest_of_folder(one: Submission, here: str) -> list[tuple[Submission, str]]:
    """Return the same of the folder of a submission, but for what was submitted to other
    clusters.
    """
    every = [
        each for each in record.of_folder(Path(one.folder)) if record.may_be_of(each.cluster, here)
    ]
    return latest_tasks(every or [one])


def latest_tasks(submissions: Sequence[Submission]) -> list[tuple[Submission, str]]:
    """Return all tasks of a folder's submissions, each with the latest submission of it; the latest
    come last.
    """
    last = submissions[-1]
    if not last.tasks:
        return [(last, "")]
    latest = {task: one for one in submissions if one.tasks for task in tasks(one)}
    return [(latest[task], task) for task in sorted(latest, key=lambda task: (len(task), task))]


def states_of(
    submissions: Iterable[Submission], wanted: Iterable[str] = ()
) -> dict[str, slurm.JobState]:
    """Return what Slurm knows of submissions, as :func:`mpipar.batch.slurm.states`, but of nothing
    else.

    Numbers are those of other jobs on other clusters, and on one that was set up anew: what counts
    has the name of its submission, and is no older. Submissions to other clusters are left out.

    Parameters
    ----------
    submissions : iterable of Submission
    wanted : iterable of str
        Which jobs and tasks of theirs ("12_3"); by default all.

    Raises
    ------
    SlurmUnavailable
        If the controller doesn't answer, and accounts don't know either.
    """
    given = list(submissions)
    if not given:
        return {}
    here = slurm.cluster()
    own: dict[str, Submission] = {}
    for one in given:
        # One that is known to be of this cluster goes before one that may be.
        if record.may_be_of(one.cluster, here) and not (one.cluster != here and one.id in own):
            own[one.id] = one
    ids = [id for id in wanted or own if id.partition("_")[0] in own]
    found = slurm.states(ids)
    return {id: state for id, state in found.items() if is_of(state, own.get(id.partition("_")[0]))}


def is_of(state: slurm.JobState | None, one: Submission | None) -> bool:
    """Return whether a state is that of a submission, rather than of another job with its
    number.
    """
    if state is None or one is None or state.name.strip() != one.name.strip():
        return False
    return state.submitted is None or state.submitted >= one.time - _EARLIER


def open_states(submissions: Iterable[Submission]) -> list[slurm.JobState]:
    """Return the states of submissions' jobs and tasks that wait or run; those to other clusters
    are left out.

    Raises
    ------
    SlurmUnavailable
        If the controller doesn't answer.
    """
    return [state for state in states_of(submissions).values() if not state.ended]


def examine(
    jobs: Iterable[tuple[Submission, str]],
) -> tuple[list[list[Facts]], slurm.SlurmUnavailable | None]:
    """Return what is known of jobs, each as one Facts for each task, and why Slurm could not be
    asked, if so.

    Parameters
    ----------
    jobs : iterable of (Submission, str)
        Submissions, and which task of each: "" for all.
    """
    jobs = list(jobs)
    here = slurm.cluster()
    found: dict[str, slurm.JobState] = {}
    problem = None
    counts = Counter(one.id for one, task in jobs if task)
    few = {
        id
        for id, one in {one.id: one for one, _ in jobs}.items()
        if counts[id] < min(_FEW, len(tasks(one)))
    }
    ids = [f"{one.id}_{task}" if task and one.id in few else one.id for one, task in jobs]
    try:
        found = states_of([one for one, _ in jobs], list(dict.fromkeys(ids)))
    except slurm.SlurmUnavailable as error:
        problem = error
    examined = []
    for one, task in jobs:
        knows = problem is None and record.may_be_of(one.cluster, here)
        of_job = [
            _facts(one, number, _state(found, one, number) if knows else None, knows)
            for number in ([task] if task else tasks(one))
        ]
        examined.append(of_job)
    return examined, problem


def _state(found: dict[str, slurm.JobState], one: Submission, task: str) -> slurm.JobState | None:
    state = slurm.state_of(found, one.id, task)
    return state if is_of(state, one) else None  # there may be several submissions with one number


def _facts(one: Submission, task: str, state: slurm.JobState | None, knows: bool) -> Facts:
    events = journal.read(one.journal(task))
    output = next(
        (str(event.get("path")) for event in reversed(events) if event["event"] == journal.OUTPUT),
        "",
    )
    output = output or one.outputs.get(task, "")
    reached = progress(Path(output)) if output else None
    begun = any(event["event"] == journal.ALLOCATION for event in events)
    if (
        reached is not None
        and reached.finished
        and not begun
        and (state is None or state.kind == "waiting")
    ):
        reached = None  # the result of another job, that this one will write over
    is_finished = reached is not None and reached.finished
    found = outcome(
        state, events, is_finished=is_finished, has_output=task in one.outputs, is_known=knows
    )
    rate, remaining = _pace(events, reached, found.name)
    return Facts(
        id=f"{one.id}_{task}" if task else one.id,
        name=one.name,
        folder=one.folder,
        outcome=found.name,
        state=state.state if state is not None else None,
        words=found.words,
        reason=state.reason if state is not None and state.kind == "waiting" else "",
        nodes=state.nodes if state is not None else "",
        elapsed=state.elapsed if state is not None else None,
        limit=state.limit if state is not None else None,
        restarts=(
            state.restarts
            if state is not None and state.restarts is not None
            else _restarts(events)
        ),
        exit_code=found.exit_code,
        submitted=one.time,
        ended=_ended(one, state, events, found.name),
        output=output,
        log=str(one.log(task)),
        blocks=reached.done if reached is not None else None,
        n_blocks=reached.n_blocks if reached is not None else None,
        skipped=reached.skipped if reached is not None else None,
        finished=is_finished,
        rate=rate,
        remaining=remaining,
        allocations=_allocations(state, remaining),
        last=last_words(events),
    )


def _pace(
    events: list[dict[str, Any]], reached: Progress | None, outcome: str
) -> tuple[float | None, float | None]:
    """Return blocks a second since the ranks were last started, and the seconds that the rest will
    take.
    """
    start = next(
        (event for event in reversed(events) if event["event"] == journal.ALLOCATION), None
    )
    if outcome != "running" or start is None or reached is None or reached.finished:
        return None, None
    before, since = start.get("done"), start.get("time")
    if not isinstance(since, (int, float)):
        return None, None
    if not isinstance(before, int):  # of the first start the step knows no output yet
        before = reached.before
    seconds, blocks = reached.committed - since, reached.done - before
    if seconds < 1.0 or blocks <= 0:
        return None, None
    rate = blocks / seconds
    rest = (reached.n_blocks - reached.done - reached.skipped) / rate
    return rate, max(0.0, rest - max(0.0, time.time() - reached.committed))


def _allocations(state: slurm.JobState | None, remaining: float | None) -> int | None:
    if state is None or remaining is None or not state.limit:
        return None
    return max(0, math.ceil((remaining - (state.limit - state.elapsed)) / state.limit))


def _restarts(events: list[dict[str, Any]]) -> int | None:
    counts = [event.get("restart") for event in events if event["event"] == journal.ALLOCATION]
    return max((count for count in counts if isinstance(count, int)), default=None)


def _ended(
    one: Submission, state: slurm.JobState | None, events: list[dict[str, Any]], outcome: str
) -> float | None:
    if outcome in ("waiting", "running"):
        return None
    times = [event.get("time") for event in events[-1:]]
    latest = next((float(found) for found in times if isinstance(found, (int, float))), None)
    return state.end if state is not None and state.end is not None else latest


def last_words(events: list[dict[str, Any]]) -> str:
    """Return what a journal says last, in words; empty if it says nothing."""
    if not events:
        return ""
    event = events[-1]
    kind = event["event"]
    if kind == journal.NEXT:
        what = {
            "requeue": "it was to be requeued",
            "exit": "it ended",
            "cancel": "it was cancelled",
            "again": "its ranks were to be started again",
        }
        told, reason = what.get(str(event.get("what")), "it ended"), event.get("reason")
        return f"{told}, with code {event.get('code')}" + (f": {reason}" if reason else "")
    return {
        journal.ALLOCATION: f"its {event.get('ranks')} ranks were being started",
        journal.STARTED: f"all {event.get('ranks')} ranks had started",
        journal.OUTPUT: "its ranks were at work",
        journal.SIGNAL: f"it was told to stop by {event.get('name')}",
        journal.CANCEL: "it was to be cancelled",
        journal.ENDED: f"its ranks had ended on purpose, with code {event.get('code')}",
    }.get(kind, f"{kind}")


def is_recent(facts: list[Facts]) -> bool:
    """Return whether a job waits, runs or has ended within the last day."""
    return any(
        fact.is_open or (fact.ended or fact.submitted or 0.0) > time.time() - _DAY for fact in facts
    )


def may_be_recent(one: Submission) -> bool:
    """Return whether a job may be recent; Slurm needn't be asked about one that has told its end
    long ago.
    """
    if one.time > time.time() - _DAY or one.tasks:
        return True
    events = journal.read(one.journal())
    ended = last_next(events)
    at = ended.get("time")
    return (
        ended.get("what") != "exit" or not isinstance(at, (int, float)) or at > time.time() - _DAY
    )
