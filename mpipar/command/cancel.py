"""``mpipar cancel``: end jobs, with what is done committed.

::

    waits, is suspended ─▶ cancelled
    runs  ─▶ signal to the batch script ─▶ the ranks commit and stop ─▶ the step cancels its own job
                                           not within the grace: cancelled
"""

from __future__ import annotations

import itertools
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
from mpipar.runtime.outlets import hint, note
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
    if ended:
        return DONE
    return FAILED


class _Target:
    """A job, or one task of an array, that is to end."""

    def __init__(self, one: Submission, task: str) -> None:
        self.one = one
        self.task = task
        self.id = f"{one.id}_{task}" if task else one.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Target) and self.id == other.id

    def open(self, found: dict[str, JobState]) -> list[JobState]:
        """Return the states of it, or of its tasks, that have not ended."""
        wanted = [self.task] if self.task else tasks(self.one)
        states = []
        for task in wanted:
            state = state_of(found, self.one.id, task)
            if state is not None and is_of(state, self.one) and not state.ended:
                states.append(state)
        return states

    def note(self, state: JobState, *, now: bool) -> None:
        """Note in the journal that the user has cancelled it: who is signalled, and asks why, reads
        that.
        """
        _, _, task = state.id.partition("_")
        details = {"now": True} if now else {}
        journal.append(self.one.journal(task), journal.CANCEL, **details)

    def needs_note(self, state: JobState) -> bool:
        """Return whether its journal has to say so.

        The thousands of tasks of an array that wait for their first start need no journal; but of
        one that is cancelled by itself, the scheduler remembers nothing.
        """
        waits_in_array = state.kind == "waiting" and "_" in state.id
        return bool(self.task) or not waits_in_array


_Open = dict[_Target, list[JobState]]
"""The states of each target that has not ended."""


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
                whose = scheduler().name
                _say(f"job {target.id} has ended already, or {whose} has forgotten it")
        wanted = list(left)
        hard: list[_Target] = []
        if grace > 0 and left:
            left = self._end_gently(left, grace)
            hard = list(left)
        if left:
            left = self._end_at_once(left, now=grace <= 0)
        gone = [target for target in wanted if target not in left]
        for line in _kept(gone, hard):
            print_text(line)
        if left:
            _say(f"{_names(left)} was cancelled, but has not ended yet; see mpipar status")
        return not left

    def _end_gently(self, left: _Open, grace: float) -> _Open:
        """Ask all to commit and stop, and wait for that; return what has not."""
        self._ask(left)
        if any(state.kind == "running" for state in _all_states(left)):
            names = _names(left)
            _say(f"waiting up to {grace:g} s for {names} to commit what is done, and stop")
        left = self._wait(left, grace, again=True)
        if left:
            _say(f"{_names(left)} did not stop within {grace:g} s; it is ended for good")
        return left

    def _end_at_once(self, left: _Open, *, now: bool) -> _Open:
        """Have the scheduler end all, and wait for that; return what has not."""
        self._note(left, now=now)
        scheduler().cancel([target.id for target in left])
        return self._wait(left, _KILL_SECONDS, again=False)

    def _open(self, found: dict[str, JobState]) -> _Open:
        left = {}
        for target in self._targets:
            states = target.open(found)
            if states:
                left[target] = states
        return left

    def _ask(self, left: _Open) -> None:
        """Take what waits out of the queue, and signal what runs, once for each time that it was
        started.
        """
        self._note(left)
        _take_out_of_queue(left)  # first, so that no more tasks of an array start
        self._end_suspended(left)
        self._signal_running(left)

    def _end_suspended(self, left: _Open) -> None:
        stopped = []
        for state in _all_states(left):
            if state.phase == "suspended" and state.id not in self._ended:
                stopped.append(state.id)
        if stopped:
            _say(f"job {', '.join(stopped)} is suspended, and can't commit: it is ended as it is")
            scheduler().cancel(stopped)
            self._ended.update(stopped)

    def _signal_running(self, left: _Open) -> None:
        new = []
        for state in _all_states(left):
            start = (state.id, state.restarts)
            if state.phase == "running" and start not in self._signalled:
                new.append(start)
        if new:
            scheduler().signal([id_ for id_, _ in new])
            self._signalled.update(new)

    def _note(self, left: _Open, *, now: bool = False) -> None:
        for target, states in left.items():
            for state in states:
                if state.id not in self._told and target.needs_note(state):
                    target.note(state, now=now)
                    self._told.add(state.id)

    def _wait(self, left: _Open, seconds: float, *, again: bool) -> _Open:
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


def _all_states(left: _Open) -> list[JobState]:
    return list(itertools.chain.from_iterable(left.values()))


def _take_out_of_queue(left: _Open) -> None:
    """Cancel what waits of all jobs, and leave what runs of them alone."""
    waiting = []
    for target, states in left.items():
        if any(state.kind == "waiting" for state in states):
            waiting.append(target.id)
    if waiting:
        scheduler().cancel(waiting, waiting_only=True)


def _words(left: _Open) -> list[str]:
    return list(dict.fromkeys(state.words for state in _all_states(left)))


def _names(targets: _Open) -> str:
    return "job " + ", ".join(target.id for target in targets)


def _kept(gone: list[_Target], hard: list[_Target]) -> list[str]:
    """Return a line for each job that has ended: what of it is kept."""
    examined, _ = examine((target.one, target.task) for target in gone)
    lines = []
    for target, facts in zip(gone, examined, strict=True):
        how = "cancelled by force" if target in hard else "cancelled"
        if len(facts) == 1:
            kept = _kept_of(facts[0], how)
        else:
            kept = _kept_of_array(facts, how)
        lines.append(f"job {target.id} {kept}")
    return lines


def _kept_of(fact: Facts, how: str) -> str:
    if fact.outcome == "done":
        return "had finished before it could be cancelled"
    if fact.outcome == "failed":
        return "had failed before it could be cancelled"
    if not fact.blocks:
        return f"{how}; nothing of it is done"
    kept = f"{how}; {amount(fact)} are in {fact.output}"
    if fact.finished:
        return kept
    return f"{kept}: the same submit goes on from there"


def _kept_of_array(facts: list[Facts], how: str) -> str:
    done = []
    begun = 0
    for fact in facts:
        if fact.outcome == "done":
            done.append(fact.id.partition("_")[2])
        elif fact.blocks:
            begun += 1
    kept = how
    if done:
        kept += f"; done: {some_ranges(done)}"
    if begun:
        which = "more tasks have" if done else "tasks have"
        kept += f"; {begun} {which} committed some blocks"
    if done or begun:
        kept += ": the same submit goes on from there"
    return kept


def _show(text: str) -> None:
    """Show a line on a terminal, in place of the last one."""
    if sys.stderr.isatty():
        hint(f"\r\033[K{text}")


def _say(message: str) -> None:
    note(f"{_PROGRAM}: {message}")


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
