"""What is to be done when the ranks of a job have ended: nothing but rules."""

from __future__ import annotations

from typing import NamedTuple

from mpipar.base.exit_codes import DONE, FAILED, STOPPED_EARLY
from mpipar.base.text import several

EXIT = "exit"
REQUEUE = "requeue"
AGAIN = "again"
CANCEL = "cancel"
WAIT = "wait"
"""End the job; have it run again, in a new allocation; start the ranks again in this one; end it as
cancelled; wait for the scheduler, which is about to end it or run it again.
"""


class Ending(NamedTuple):
    """How the ranks of a job ended.

    Attributes
    ----------
    code : int
        Exit code of the launcher.
    last_word : int or None
        The exit code that the program ended with on purpose; None if it didn't: it was killed, or
        isn't of mpipar.
    resumable : bool
        Whether it has a checkpoint to go on from.
    started : bool or None
        Whether the ranks have found each other; None if the program isn't one that tells.
    awaits_output : bool
        Whether it has not opened yet the output that it is to have.
    told_to_stop : bool
        Whether this job was told to end, other than by the end of its time.
    warned : bool
        Whether its time is nearly up.
    cancelled : bool
        Whether the user has cancelled it.
    preempted : bool
        Whether it was told to make room for another job.
    lost_nodes : int
        How many nodes don't answer.
    fruitless : int
        How many starts in a row, with this one, have got no further.
    attempts : int
        How many of these there may be.
    may_requeue : bool
        Whether the job may be run again.
    may_shrink : bool
        Whether it may go on with the nodes that are left.
    """

    code: int
    last_word: int | None = None
    resumable: bool = False
    started: bool | None = None
    awaits_output: bool = False
    told_to_stop: bool = False
    warned: bool = False
    cancelled: bool = False
    preempted: bool = False
    lost_nodes: int = 0
    fruitless: int = 0
    attempts: int = 3
    may_requeue: bool = True
    may_shrink: bool = False


class Verdict(NamedTuple):
    """What is done about it.

    Attributes
    ----------
    what : str
        :data:`EXIT`, :data:`REQUEUE`, :data:`AGAIN`, :data:`CANCEL` or :data:`WAIT`.
    code : int
        Exit code, if the job ends.
    reason : str
        Why, for the log.
    """

    what: str
    code: int
    reason: str


class _Case(NamedTuple):
    """What an ending comes to.

    Attributes
    ----------
    ending : Ending
    code : int
        The exit code that counts.
    stopped : bool
        Whether the program has stopped early, on purpose.
    killed : bool
        Whether it was killed, or failed as nodes were lost.
    """

    ending: Ending
    code: int
    stopped: bool
    killed: bool

    @property
    def is_over(self) -> bool:
        """Whether the program has had its last word, which leaves nothing to do."""
        return not (self.stopped or self.killed)

    @property
    def has_lost_nothing(self) -> bool:
        """Whether another start repeats nothing: there is a checkpoint, or no work has begun."""
        has_not_met = self.ending.started is False
        return self.ending.resumable or self.ending.awaits_output or has_not_met

    @property
    def may_go_on(self) -> bool:
        """Whether the job may be run again."""
        return not self.is_over and self.has_lost_nothing and self.ending.may_requeue

    @property
    def must_make_room(self) -> bool:
        """Whether the job is ended for another one."""
        return self.ending.preempted and self.code != DONE and not self.ending.cancelled

    @property
    def gets_no_further(self) -> bool:
        """Whether it has been started in vain too often."""
        return self.ending.fruitless >= self.ending.attempts

    @property
    def may_start_here(self) -> bool:
        """Whether there is time, and there are nodes, for another start in this allocation."""
        has_nodes = not self.ending.lost_nodes or self.ending.may_shrink
        return self.killed and not self.ending.warned and has_nodes


def verdict(ending: Ending) -> Verdict:
    """Return what to do: the first of these rules that fits."""
    case = _case(ending)
    code = case.code
    why = _reason(ending)
    if case.must_make_room:
        what = REQUEUE if case.may_go_on else WAIT
        return Verdict(what, code, "ended to make room for another job")
    if case.is_over:
        return Verdict(EXIT, code, "done" if code == DONE else f"ended with exit code {code}")
    if ending.cancelled:
        return Verdict(CANCEL, code, "cancelled")
    if ending.told_to_stop:
        return Verdict(EXIT, code, "told to stop")
    if not case.has_lost_nothing:
        told = f"ended with exit code {code}, and there is no checkpoint to go on from"
        return Verdict(EXIT, code, told)
    if case.gets_no_further:
        told = f"{why}; given up, as {ending.fruitless} starts in a row got no further"
        return Verdict(EXIT, code, told)
    if case.may_start_here:
        return Verdict(AGAIN, code, why)
    if not ending.may_requeue:
        return Verdict(EXIT, code, f"{why}; the same submission goes on from there")
    return Verdict(REQUEUE, code, why)


def _case(ending: Ending) -> _Case:
    code = _code(ending)
    is_silent = ending.last_word is None and code != DONE
    failed_by_loss = ending.last_word == FAILED and ending.lost_nodes > 0
    return _Case(
        ending,
        code,
        stopped=ending.last_word == STOPPED_EARLY,
        killed=is_silent or failed_by_loss,
    )


def _code(ending: Ending) -> int:
    """Return the exit code that counts.

    Open MPI's mpirun may end well though it has lost a node: what tells at all must have had the
    last word.
    """
    tells = ending.started is not None or ending.last_word is not None
    if not tells or ending.last_word == DONE:
        return ending.code
    return ending.last_word or ending.code or FAILED


def _reason(ending: Ending) -> str:
    if ending.lost_nodes:
        return f"{several(ending.lost_nodes, 'node')} lost"
    if ending.last_word == STOPPED_EARLY:
        return "stopped early, with its checkpoint committed"
    if ending.started is False:
        return f"the ranks did not find each other (the launcher's exit code was {ending.code})"
    return f"killed (the launcher's exit code was {ending.code})"
