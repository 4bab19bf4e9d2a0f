"""What became of a job: one table of what the scheduler, the journal and the result say together.

The scheduler knows of processes alone: one that was killed for its memory, and replaced, makes a
job fail whose result is complete, and so does one that ends within the seconds of a time limit. Of
what has ended, the first of these lines counts that fits:

=========================================================  =============
the program's last word is 0                               done
the result is complete, and there is no other last word    done
the scheduler has it as cancelled                          cancelled
its processes were killed after ``mpipar cancel``          cancelled
completed, and the program's last word is not 0            failed
completed                                                  done
its processes failed, with exit code 75                    stopped early
anything else                                              failed
=========================================================  =============
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any, NamedTuple

from mpipar.base.exit_codes import DONE, STOPPED_EARLY
from mpipar.batch.events import last, number
from mpipar.batch.job_state import JobState
from mpipar.batch.schedulers import scheduler
from mpipar.runtime import journal

_KILLED = (128 + signal.SIGTERM, 128 + signal.SIGKILL)
_BY_CODE = {DONE: "done", STOPPED_EARLY: "stopped early"}
_WORDS = {"stopped early": "stopped early, with what is done committed", "cancelled": "cancelled"}


class Outcome(NamedTuple):
    """What became of a job.

    Attributes
    ----------
    name : str
        One of "waiting", "running", "done", "stopped early", "failed", "cancelled", "ended without
        a word", "unknown".
    words : str
        The same in plain words; where scheduler and journal don't agree, what both say.
    exit_code : int or None
        How it ended; None if it hasn't, or if nobody knows.
    is_disputed : bool
        Whether the scheduler says otherwise.
    """

    name: str
    words: str
    exit_code: int | None
    is_disputed: bool = False


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
        What the scheduler says; None if it knows nothing.
    events : sequence of dict
        What the journal says.
    is_finished : bool
        Whether its result is there, and complete.
    has_output : bool
        Whether it is to have one.
    is_known : bool
        Whether the scheduler could be asked.
    """
    if state is None:
        return _without_scheduler(events, is_finished=is_finished, is_known=is_known)
    if state.phase == "elsewhere":
        return _elsewhere(state, events, is_finished=is_finished)
    if not state.ended and state.may_be_late and last_next(events).get("what") == "exit":
        return _elsewhere(state, events, is_finished=is_finished)
    if not state.ended:
        return Outcome(state.kind, state.words, None)
    word = last_word(events)
    is_complete = word is None and is_finished and _has_begun(events)
    if word == DONE or is_complete:
        return Outcome("done", _both(state, word), DONE, is_disputed=not state.good)
    name = _name(state, events)
    if name == "done":
        return Outcome(name, _completed(state, has_output, is_finished), state.exit_code)
    if name == "failed" and state.good:
        return Outcome(name, _not_completed(word), word, is_disputed=True)
    return Outcome(name, _WORDS.get(name, state.words), state.exit_code or word)


def _elsewhere(
    state: JobState,
    events: Sequence[dict[str, Any]],
    *,
    is_finished: bool,
) -> Outcome:
    """Return what became of a job that a scheduler has which isn't asked, or whose accounts have
    not heard of its end.
    """
    name, code = _by_journal(events, is_finished=is_finished, is_known=False)
    return Outcome(name, f"{name}, by its journal; it was {state.words}", code)


def _completed(state: JobState, has_output: bool, is_finished: bool) -> str:
    if has_output and not is_finished:
        return f"{state.words}, but there is no complete result"
    return state.words


def _not_completed(word: int | None) -> str:
    keeper = scheduler().name
    return f"failed: {keeper} says completed, but its program's exit code was {word}"


def _both(state: JobState, word: int | None) -> str:
    """Return that a job is done, and what the scheduler makes of it."""
    if state.good:
        return state.words
    who = "its result is complete" if word is None else "its program ended with 0"
    return f"done, as {who}; {scheduler().name} has it as {state.state} ({state.words})"


def _name(state: JobState, events: Sequence[dict[str, Any]]) -> str:
    has_failed = state.phase == "failed"
    was_killed = has_failed and state.exit_code in _KILLED
    if state.phase == "cancelled" or (was_killed and _is_cancelled(events)):
        return "cancelled"
    if state.good and last_word(events) is None:
        return "done"
    if has_failed and state.exit_code == STOPPED_EARLY:
        return "stopped early"
    return "failed"


def _is_cancelled(events: Sequence[dict[str, Any]]) -> bool:
    """Return whether the user has cancelled a job, whose step has said nothing since: it may have
    been killed first.
    """
    told = last(events, journal.CANCEL, journal.NEXT)
    return told.get("event") == journal.CANCEL


def _without_scheduler(
    events: Sequence[dict[str, Any]],
    *,
    is_finished: bool,
    is_known: bool,
) -> Outcome:
    """Return what became of a job that the scheduler doesn't remember, or can't be asked about."""
    name, code = _by_journal(events, is_finished=is_finished, is_known=is_known)
    keeper = scheduler().name
    if name == "unknown" and is_known:
        return Outcome(name, f"gone: {keeper} has forgotten it, and it left no result", code)
    if name == "unknown":
        return Outcome(name, name, code)
    if is_known:
        return Outcome(name, f"{name}; {keeper} has forgotten it", code)
    return Outcome(name, f"{name}, by its journal; {keeper} could not be asked", code)


def _by_journal(
    events: Sequence[dict[str, Any]],
    *,
    is_finished: bool,
    is_known: bool,
) -> tuple[str, int | None]:
    ended = last_next(events)
    code = last_code(events)
    if last_word(events) == DONE:
        return "done", DONE
    if ended.get("what") == "exit" and code is not None:
        return _BY_CODE.get(code, "failed"), code
    if last(events, journal.CANCEL):
        return "cancelled", code
    if not events or not is_known:
        return "unknown", code
    if is_finished:
        return "done", DONE
    return "ended without a word", code


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
    event = last(events, journal.NEXT, journal.ALLOCATION)
    if event.get("event") == journal.NEXT:
        return event
    return {}


def last_code(events: Sequence[dict[str, Any]]) -> int | None:
    """Return the exit code that the step told last."""
    return number(last_next(events), "code")


def _has_begun(events: Sequence[dict[str, Any]]) -> bool:
    return bool(last(events, journal.ALLOCATION))
