"""What came out of tasks, as it arrives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from multiprocessing.pool import MaybeEncodingError  # type: ignore[attr-defined]
from typing import Any

from mpipar.pool import by_value
from mpipar.pool.jobs import Raised
from mpipar.pool.salvage import Broken
from mpipar.runtime.channel import Frames


def outcomes_of(
    frames: Frames,
    tasks: int,
    failed: Iterable[int],
    explained: Callable[[Any], BaseException],
) -> tuple[list[Any], bool]:
    """Return the outcomes of some tasks, and whether all are values.

    Parameters
    ----------
    frames : list
        A pickled list of values and exceptions.
    tasks : int
        How many.
    failed : iterable of int
        Which of them are exceptions.
    explained : callable
        Returns an exception, with a note where there is more to tell.
    """
    broken_before = Broken.made
    try:
        outcomes = by_value.loads_each(frames)
    except Exception as error:
        outcomes = [Broken(error)] * tasks
    has_broken = Broken.made != broken_before
    for index in failed:
        if type(outcomes[index]) is not Broken:
            outcomes[index] = Raised(explained(outcomes[index]))
    if has_broken:
        _tell_of_broken(outcomes)
    return outcomes, not (failed or has_broken)


def _tell_of_broken(outcomes: list[Any]) -> None:
    for index, outcome in enumerate(outcomes):
        if type(outcome) is Broken:
            error = MaybeEncodingError(outcome.error, "a result, which can't be unpickled")
            outcomes[index] = Raised(error)


def error_of_initializer(frames: Frames) -> BaseException:
    """Return what an initializer raised, unpickled."""
    try:
        return by_value.loads(frames)  # type: ignore[no-any-return]
    except Exception as error:
        return RuntimeError(f"an initializer raised what can't be unpickled: {error!r}")
