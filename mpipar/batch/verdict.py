"""What is to be done when the ranks of a job have ended: nothing but rules."""

from __future__ import annotations

from typing import NamedTuple

from mpipar.base.exit_codes import DONE, FAILED, STOPPED_EARLY
from mpipar.base.text import several

EXIT, REQUEUE, AGAIN, CANCEL, WAIT = "exit", "requeue", "again", "cancel", "wait"
"""End the job; have Slurm run it again, in a new allocation; start the ranks again in this one; end
it as cancelled;
wait for Slurm, which is about to end it or run it again."""


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
    told_to_stop : bool
        Whether this job was told to end, other than by the end of its time.
    warned : bool
        Whether its time is nearly up.
    cancelled : bool
        Whether the user has cancelled it.
    preempted : bool
        Whether Slurm has told it to make room for another job.
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


def verdict(ending: Ending) -> Verdict:
    """Return what to do."""
    # Open MPI's mpirun may end well though it has lost a node: what tells at all must have had the
    # last word.
    tells = ending.started is not None or ending.last_word is not None
    known = not tells or ending.last_word == DONE
    code = ending.code if known else ending.last_word or ending.code or FAILED
    stopped = ending.last_word == STOPPED_EARLY
    silent = ending.last_word is None and code != DONE
    killed = silent or (ending.last_word == FAILED and ending.lost_nodes > 0)
    may_go_on = (stopped or killed) and ending.resumable and ending.may_requeue
    if ending.preempted and code != DONE and not ending.cancelled:
        reason = "ended to make room for another job"
        return Verdict(REQUEUE if may_go_on else WAIT, code, reason)
    if not (stopped or killed):
        return Verdict(EXIT, code, "done" if code == DONE else f"ended with exit code {code}")
    if ending.cancelled:
        return Verdict(CANCEL, code, "cancelled")
    if ending.told_to_stop:
        return Verdict(EXIT, code, "told to stop")
    if not ending.resumable and ending.started is not False:
        return Verdict(
            EXIT, code, f"ended with exit code {code}, and there is no checkpoint to go on from"
        )
    reason = _reason(ending)
    if ending.fruitless >= ending.attempts:
        return Verdict(
            EXIT, code, f"{reason}; given up, as {ending.fruitless} starts in a row got no further"
        )
    if killed and not ending.warned and (not ending.lost_nodes or ending.may_shrink):
        return Verdict(AGAIN, code, reason)
    if not ending.may_requeue:
        return Verdict(EXIT, code, f"{reason}; the same submission goes on from there")
    return Verdict(REQUEUE, code, reason)


def _reason(ending: Ending) -> str:
    if ending.lost_nodes:
        return f"{several(ending.lost_nodes, 'node')} lost"
    if ending.last_word == STOPPED_EARLY:
        return "stopped early, with its checkpoint committed"
    if ending.started is False:
        return f"the ranks have not found each other (the launcher's exit code was {ending.code})"
    return f"killed (the launcher's exit code was {ending.code})"
