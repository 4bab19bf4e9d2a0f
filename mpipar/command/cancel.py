"""``mpipar cancel``: end jobs, with what is done committed.

::

    waits, is suspended ─▶ cancelled
    runs  ─▶ signal to the batch script ─▶ the ranks commit and stop ─▶ the step cancels its own job
                                           not within the grace: cancelled
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence

from mpipar.base.arguments import Parser
from mpipar.base.errors import BadInput
from mpipar.base.exit_codes import DONE, FAILED
from mpipar.batch import record
from mpipar.batch.job_state import JobState, state_of
from mpipar.batch.job_status import Facts, examine
from mpipar.batch.named_jobs import named, tasks
from mpipar.batch.queue_states import is_of, states_of
from mpipar.batch.record import Submission
from mpipar.batch.scheduler import SchedulerUnavailable
from mpipar.batch.schedulers import scheduler
from mpipar.command.entry import command, print_text
from mpipar.command.flags import converter
from mpipar.core.parameters import Parameter
from mpipar.runtime import journal
from mpipar.view.job_text import amount, some_ranges

_PROGRAM = "mpipar cancel"
_GRACE = Parameter("grace", float, minimum=0)
_POLL_SECONDS = 2.0
_KILL_SECONDS = 90.0  # that the scheduler is given to end what it was told to


@command(_PROGRAM)
def main(arguments: Sequence[str]) -> int:
    """Cancel jobs; return the exit code."""
    given = _parser().parse_args(arguments)
    here = scheduler().cluster()
    targets = list(dict.fromkeys(_Target(*named(name, here)) for name in given.jobs))
    for target in targets:
        cluster = target.one.cluster
        if not record.may_be_of(cluster, here):
            whose = f"another {scheduler().name}'s"
            raise BadInput(f"job {target.id} is {whose}: {cluster or 'the default one'}")
    try:
        ended = _Cancelling(targets).run(0.0 if given.now else given.grace)
    except KeyboardInterrupt:
        left = "this no longer waits; what was told to stop goes on doing so"
        raise KeyboardInterrupt(left) from None
    return DONE if ended else FAILED


class _Target:
    """A job, or one task of an array, that is to end."""

    def __init__(self, one: Submission, task: str) -> None:
        self.one, self.task = one, task
        self.id = f"{one.id}_{task}" if task else one.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Target) and self.id == other.id

    def open(self, found: dict[str, JobState]) -> list[JobState]:
        """Return the states of it, or of its tasks, that have not ended."""
        wanted = [self.task] if self.task else tasks(self.one)
        states = [state_of(found, self.one.id, task) for task in wanted]
        return [
            state
            for state in states
            if state is not None and is_of(state, self.one) and not state.ended
        ]

    def told(self, state: JobState, *, now: bool) -> None:
        """Note in the journal that the user has cancelled it: who is signalled, and asks why, reads
        that.
        """
        task = state.id.partition("_")[2]
        journal.append(self.one.journal(task), journal.CANCEL, **({"now": True} if now else {}))


class _Cancelling:
    """Ends jobs, and waits for that."""

    def __init__(self, targets: list[_Target]) -> None:
        self._targets = targets
        self._told: set[str] = set()
        self._signalled: set[tuple[str, int | None]] = set()
        self._ended: set[str] = set()  # suspended ones

    def run(self, grace: float) -> bool:
        """Cancel, wait, and say what is kept; return whether all have ended."""
        left = self._open(_states(self._targets))
        for target in self._targets:
            if target not in left:
                _say(
                    f"job {target.id} has ended already, or {scheduler().name} doesn't remember it"
                )
        wanted = list(left)
        hard: list[_Target] = []
        if grace > 0 and left:
            self._ask(left)
            if any(state.kind == "running" for states in left.values() for state in states):
                _say(
                    f"waiting up to {grace:g} s for {_names(left)} to commit what is done, and stop"
                )
            left = self._wait(left, grace, again=True)
            if left:
                hard = list(left)
                _say(f"{_names(left)} did not stop within {grace:g} s; it is ended for good")
        if left:
            self._note(left, now=grace <= 0)
            scheduler().cancel([target.id for target in left])
            left = self._wait(left, _KILL_SECONDS, again=False)
        gone = [target for target in wanted if target not in left]
        for line in _kept(gone, hard):
            print_text(line)
        if left:
            _say(f"{_names(left)} was cancelled, but has not ended yet; mpipar status tells of it")
        return not left

    def _open(self, found: dict[str, JobState]) -> dict[_Target, list[JobState]]:
        states = {target: target.open(found) for target in self._targets}
        return {target: of_target for target, of_target in states.items() if of_target}

    def _ask(self, left: dict[_Target, list[JobState]]) -> None:
        """Take what waits out of the queue, and signal what runs, once for each time that it was
        started.
        """
        self._note(left)
        waiting = [
            target
            for target, states in left.items()
            if any(state.kind == "waiting" for state in states)
        ]
        if waiting:  # first, so that no more tasks of an array start
            scheduler().cancel([target.id for target in waiting], waiting_only=True)
        every = [state for states in left.values() for state in states]
        stopped = [
            state.id
            for state in every
            if state.phase == "suspended" and state.id not in self._ended
        ]
        if stopped:
            _say(f"job {', '.join(stopped)} is suspended, and can't commit: it is ended as it is")
            scheduler().cancel(stopped)
            self._ended.update(stopped)
        running = [state for state in every if state.phase == "running"]
        new = [state for state in running if (state.id, state.restarts) not in self._signalled]
        if new:
            scheduler().signal([state.id for state in new])
            self._signalled |= {(state.id, state.restarts) for state in new}

    def _note(self, left: dict[_Target, list[JobState]], *, now: bool = False) -> None:
        for target, states in left.items():
            for state in states:
                # The thousands of tasks of an array that wait for their first start need no
                # journal; but of one that is cancelled by itself, the scheduler remembers
                # nothing.
                if state.id not in self._told and (
                    state.kind != "waiting" or "_" not in state.id or target.task
                ):
                    target.told(state, now=now)
                    self._told.add(state.id)

    def _wait(
        self, left: dict[_Target, list[JobState]], seconds: float, *, again: bool
    ) -> dict[_Target, list[JobState]]:
        """Wait until all have ended, or for so long; return what has not. Jobs may come back to the
        queue meanwhile.
        """
        begun = time.monotonic()
        while left and (rest := begun + seconds - time.monotonic()) > 0:
            _show(f"{_names(left)}: {', '.join(_words(left))}, {time.monotonic() - begun:.0f} s")
            time.sleep(min(_POLL_SECONDS, rest))
            try:
                left = self._open(_states(left))
                if again and left:
                    self._ask(left)
            except SchedulerUnavailable:  # for the moment; the time is limited anyway
                continue
        _show("")
        return left


def _states(targets: Iterable[_Target]) -> dict[str, JobState]:
    targets = list(targets)
    return states_of([target.one for target in targets], [target.id for target in targets])


def _words(left: dict[_Target, list[JobState]]) -> list[str]:
    return list(dict.fromkeys(state.words for states in left.values() for state in states))


def _names(targets: dict[_Target, list[JobState]]) -> str:
    return "job " + ", ".join(target.id for target in targets)


def _kept(gone: list[_Target], hard: list[_Target]) -> list[str]:
    """Return a line for each job that has ended: what of it is kept."""
    examined, _ = examine((target.one, target.task) for target in gone)
    lines = []
    for target, facts in zip(gone, examined, strict=True):
        how = "cancelled" if target not in hard else "cancelled by force"
        lines.append(
            f"job {target.id}"
            f" {_kept_of(facts[0], how) if len(facts) == 1 else _kept_of_array(facts, how)}"
        )
    return lines


def _kept_of(fact: Facts, how: str) -> str:
    if fact.outcome in ("done", "failed"):
        return (
            f"had {'finished' if fact.outcome == 'done' else 'failed'} before it could be cancelled"
        )
    if fact.blocks:
        on = "" if fact.finished else ": the same submit goes on from there"
        return f"{how}; {amount(fact)} are in {fact.output}{on}"
    return f"{how}; nothing of it is done"


def _kept_of_array(facts: list[Facts], how: str) -> str:
    done = some_ranges(fact.id.partition("_")[2] for fact in facts if fact.outcome == "done")
    begun = sum(bool(fact.blocks) for fact in facts if fact.outcome != "done")
    finished = f"; done: {done}" if done else ""
    partly = (
        f"; {begun} {'more tasks have' if done else 'tasks have'} committed some blocks"
        if begun
        else ""
    )
    return f"{how}{finished}{partly}" + (
        ": the same submit goes on from there" if done or begun else ""
    )


def _show(text: str) -> None:
    """Show a line on a terminal, in place of the last one."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _say(message: str) -> None:
    print(f"{_PROGRAM}: {message}", file=sys.stderr, flush=True)


def _parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM,
        allow_abbrev=False,
        description="End jobs. Those that run are told to commit what is done first.",
    )
    parser.add_argument(
        "jobs",
        nargs="+",
        metavar="JOB|FOLDER",
        help="the number of a job, or of a task of an array (12_3), or a job's folder",
    )
    parser.add_argument("--now", action="store_true", help="don't let them commit")
    parser.add_argument(
        "--grace",
        type=converter(_GRACE.parse),
        default="120",
        metavar="SECONDS",
        help="how long they may take for that (default: 120)",
    )
    return parser
