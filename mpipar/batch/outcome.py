"""What became of a job: one table of what Slurm, the journal and the result say together.

Slurm knows of processes alone: one that was killed for its memory, and replaced, makes a job
``OUT_OF_MEMORY`` whose result is complete, and one that ends within the seconds of a time limit is
a ``TIMEOUT``. Of what has ended, the first of these lines counts that fits:

=========================================================  ==================================================
the program's last word is 0                               done
the result is complete, and there is no other last word    done
Slurm could not open the log                               failed
``CANCELLED``, or killed after ``mpipar cancel``           cancelled
``COMPLETED``, and the program's last word is not 0        failed
``COMPLETED``                                              done
the exit code is 75                                        stopped early
anything else                                              failed
=========================================================  ==================================================
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any, NamedTuple

from mpipar.base.exit_codes import DONE, STOPPED_EARLY
from mpipar.batch.job_state import JobState
from mpipar.runtime import journal

_KILLED = (128 + signal.SIGTERM, 128 + signal.SIGKILL)
_WORDS = {"stopped early": "stopped early, with what is done committed", "cancelled": "cancelled"}


class Outcome(NamedTuple):
    """What became of a job.

    Attributes
    ----------
    name : str
        One of "waiting", "running", "done", "stopped early", "failed", "cancelled", "ended without
        a word", "unknown".
    words : str
        The same in plain words; where Slurm and the journal don't agree, what both say.
    exit_code : int or None
        How it ended; None if it hasn't, or if nobody knows.
    """

    name: str
    words: str
    exit_code: int | None


def outcome(
    state: JobState | None,
    events: Sequence[dict[str, Any]],
    *,
    is_finished: bool,
    has_output: bool,
    is_known: bool,
) -> Outcome:
    """Return what became of a job.

    Parameters
    ----------
    state : JobState or None
        What Slurm says; None if it knows nothing.
    events : sequence of dict
        What the journal says.
    is_finished : bool
        Whether its result is there, and complete.
    has_output : bool
        Whether it is to have one.
    is_known : bool
        Whether Slurm could be asked.
    """
    if state is None:
        return _without_slurm(events, is_finished=is_finished, is_known=is_known)
    if state.kind != "ended":
        return Outcome(state.kind, state.words, None)
    word = last_word(events)
    if word == DONE or (word is None and is_finished and _has_begun(events)):
        return Outcome("done", _both(state, word), DONE)
    name = _name(state, events)
    if name == "failed" and state.good:
        return Outcome(
            name, f"failed: Slurm has it as completed, but its program's exit code was {word}", word
        )
    if name == "done" and has_output and not is_finished:
        return Outcome(name, f"{state.words}, but there is no complete result", state.exit_code)
    code = state.exit_code or word if name != "done" else state.exit_code
    return Outcome(name, _WORDS.get(name, state.words), code)


def _both(state: JobState, word: int | None) -> str:
    """Return that a job is done, and what Slurm makes of it."""
    if state.good:
        return state.words
    who = "its result is complete" if word is None else "its program ended with 0"
    return f"done, as {who}; Slurm has it as {state.state} ({state.words})"


def _name(state: JobState, events: Sequence[dict[str, Any]]) -> str:
    if not state.could_open:
        return "failed"
    was_killed = state.state == "FAILED" and state.exit_code in _KILLED
    if state.state == "CANCELLED" or (was_killed and _is_cancelled(events)):
        return "cancelled"
    if state.good:
        return "done" if last_word(events) is None else "failed"
    return (
        "stopped early"
        if state.state == "FAILED" and state.exit_code == STOPPED_EARLY
        else "failed"
    )


def _is_cancelled(events: Sequence[dict[str, Any]]) -> bool:
    """Return whether the user has cancelled a job, whose step has said nothing since: it may have
    been killed first.
    """
    last = [event["event"] for event in events if event["event"] in (journal.CANCEL, journal.NEXT)][
        -1:
    ]
    return last == [journal.CANCEL]


def _without_slurm(
    events: Sequence[dict[str, Any]], *, is_finished: bool, is_known: bool
) -> Outcome:
    """Return what became of a job that Slurm doesn't remember, or can't be asked about."""
    name, code = _by_journal(events, is_finished=is_finished, is_known=is_known)
    if not is_known:
        told = (
            "unknown" if name == "unknown" else f"{name}, by its journal; Slurm could not be asked"
        )
    elif name == "unknown":
        told = "gone: Slurm doesn't remember it, and it has left no word"
    else:
        told = f"{name}; Slurm doesn't remember it"
    return Outcome(name, told, code)


def _by_journal(
    events: Sequence[dict[str, Any]], *, is_finished: bool, is_known: bool
) -> tuple[str, int | None]:
    last, code = last_next(events), last_code(events)
    if last_word(events) == DONE:
        return "done", DONE
    if last.get("what") == "exit" and code is not None:
        return {DONE: "done", STOPPED_EARLY: "stopped early"}.get(code, "failed"), code
    if any(event["event"] == journal.CANCEL for event in events):
        return "cancelled", code
    if not events or not is_known:
        return "unknown", code
    return ("done", DONE) if is_finished else ("ended without a word", code)


def last_word(events: Sequence[dict[str, Any]]) -> int | None:
    """Return the exit code that the program of the last start ended with on purpose; None if it
    told none.
    """
    code = None
    for event in events:
        if event["event"] == journal.ALLOCATION:
            code = None
        elif event["event"] == journal.ENDED:
            code = event.get("code")
        elif event["event"] == journal.NEXT and code is None and event.get("what") == "exit":
            code = DONE if event.get("code") == DONE else None
    return code if isinstance(code, int) else None


def last_next(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the last "next" event, if nothing has begun since; else an empty one."""
    ends = (
        event for event in reversed(events) if event["event"] in (journal.NEXT, journal.ALLOCATION)
    )
    last: dict[str, Any] = next(ends, {})
    return last if last.get("event") == journal.NEXT else {}


def last_code(events: Sequence[dict[str, Any]]) -> int | None:
    """Return the exit code that the step told last."""
    code = last_next(events).get("code")
    return code if isinstance(code, int) else None


def _has_begun(events: Sequence[dict[str, Any]]) -> bool:
    return any(event["event"] == journal.ALLOCATION for event in events)
