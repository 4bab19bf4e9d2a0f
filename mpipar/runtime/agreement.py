"""Failures and interruptions of one rank as those of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mpipar.base.errors import RunFailed
from mpipar.runtime.communicator import FAILING, GOING_ON, STOPPING, Comm
from mpipar.runtime.failure import Failure
from mpipar.runtime.outlets import note


class Verdict(NamedTuple):
    """Why all ranks stop.

    Attributes
    ----------
    failed : bool
        Whether a rank failed, or else is to stop early.
    message : str
        What the user is told.
    """

    failed: bool
    message: str


def agree(
    comm: Comm,
    failure: Failure | None,
    interruption: str | None = None,
    before_abort: Callable[[], object] = bool,
) -> Verdict | None:
    """Return why all ranks stop, if any has to, or None. Collective over comm.

    Parameters
    ----------
    comm : Comm
    failure : Failure, optional
        What went wrong on this rank.
    interruption : str, optional
        What stops this rank early, if nothing went wrong.
    before_abort : callable
        Called before this rank, which has failed, aborts others that don't come.
    """
    message = ""
    state = GOING_ON
    if failure is not None:
        message = failure.message(comm.rank, comm.host)
        state = FAILING
    elif interruption:
        message = interruption
        state = STOPPING
    if state != GOING_ON:
        comm.post_stop()

    def last_words() -> None:
        note(f"mpipar: {message}")
        before_abort()

    found = comm.agree(state, last_words)
    if found is None:
        return None
    rank, state = found
    return Verdict(state == FAILING, comm.bcast(message, root=rank))


def all_well(comm: Comm, failure: Failure | None) -> None:
    """Raise RunFailed on all ranks if there is a failure on any. Collective over comm."""
    verdict = agree(comm, failure)
    if verdict is not None:
        raise RunFailed(verdict.message)


def guarded(merge: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return ``merge`` with exceptions turned into a Failure, which wins: a rank must not leave a
    reduction early.
    """

    def guarded(total: Any, other: Any) -> Any:
        for side in (total, other):
            if isinstance(side, Failure):
                return side
        try:
            return merge(total, other)
        except Exception as error:
            return Failure.of("combining the totals of ranks", error)

    return guarded
