"""Which jobs a new job is to wait for: ``mpipar submit --after``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

from mpipar.base.errors import BadInput
from mpipar.batch import record
from mpipar.batch.job_state import JobState
from mpipar.batch.job_status import Facts, examine
from mpipar.batch.named_jobs import tasks
from mpipar.batch.schedulers import scheduler


def still_to_come(numbers: Sequence[str]) -> list[str]:
    """Return which of these a job is to wait for.

    One that has ended well is waited for by the scheduler, too, but for what that takes for a
    failure, and is none.

    Raises
    ------
    BadInput
        If a job can't wait for one of them: for one that it doesn't know, the scheduler
        wouldn't wait at all.
    """
    for number in numbers:
        is_number = number.isascii() and number.isdecimal()
        if not is_number:
            raise _unfit(f"expected the number of a job, got {number!r}")
    if not numbers:
        return []
    states = scheduler().states(numbers)
    here = scheduler().cluster()
    return [number for number in numbers if _is_to_come(number, _states_of(number, states), here)]


def _states_of(number: str, states: Mapping[str, JobState]) -> list[JobState]:
    """Return the states of a job, or of all tasks of an array. Raises BadInput if there are
    none.
    """
    found = [state for id, state in states.items() if re.split("[_+]", id)[0] == number]
    if not found:
        raise _unfit(f"{scheduler().name} knows no job {number}, or has forgotten it")
    return found


def _is_to_come(number: str, states: Iterable[JobState], here: str) -> bool:
    """Return whether the scheduler can wait for a job; if not, it has ended well all the same.

    Raises
    ------
    BadInput
        If it has not.
    """
    facts = _facts_of(number, here)
    failed = next(filter(_has_failed, facts), None)
    if failed is not None and failed.state is not None:
        raise _unfit(f"job {failed.id} has not ended well: {failed.state}, {failed.words}")
    bad = next((state for state in states if state.ended and not state.good), None)
    if bad is None:
        return True
    if not _are_done(facts):
        raise _unfit(f"job {bad.id} has not ended well: {bad.state}")
    return False


def _has_failed(fact: Facts) -> bool:
    return not fact.is_open and fact.outcome != "done"


def _are_done(facts: Sequence[Facts]) -> bool:
    return bool(facts) and all(fact.outcome == "done" for fact in facts)


def _facts_of(number: str, here: str) -> list[Facts]:
    """Return what journals and results say of a job; nothing if it isn't mpipar's."""
    one = record.of_id(number, here)
    if one is None:
        return []
    examined, _ = examine([(one, task) for task in tasks(one)])
    return list(itertools.chain.from_iterable(examined))


def _unfit(what: str) -> BadInput:
    return BadInput(what, option="--after")
