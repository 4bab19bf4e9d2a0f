"""What a map returns: the outcomes of its items, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput, WorkerLost
from mpipar.core.reduction import Array
from mpipar.runtime.failure import Skipped
from mpipar.runtime.result import Result
from mpipar.store.outcomes import outcomes_of


class Outcomes(list[Any]):
    """The results of a map in the order of its items, with an exception where there is no result.

    Attributes
    ----------
    failed : dict
        {number of an item: its exception}.
    run : Result or None
        What is known of the run: its times, its ranks and workers.
    """

    def __init__(self, outcomes: Iterable[Any] = (), failed: dict[int, Any] | None = None) -> None:
        super().__init__(outcomes)
        self.failed: dict[int, BaseException] = failed or {}
        self.run: Result | None = None


def mapped(path: str | Path) -> Outcomes:
    """Return what a finished :func:`mpipar.map` has put into its output.

    Raises
    ------
    BadInput
        If it isn't one, or is damaged.
    """
    from mpipar.store.mapped import stored_outcomes

    try:
        return outcomes_in_order(*stored_outcomes(Path(path)), [])
    except BadInput:
        raise
    except ValueError as error:
        raise BadInput(f"{str(path)!r}: {error}") from None


def outcomes_in_order(rows: Array, n: int, skipped: Sequence[Skipped]) -> Outcomes:
    """Return the outcomes of all items. Raises ValueError if any isn't there."""
    found: list[Any] = [None] * n
    missing = set(range(n))
    failed = {}
    for item, outcome, is_exception in outcomes_of(rows.tobytes()):
        missing.discard(item)
        found[item] = outcome
        if is_exception:
            failed[item] = outcome
    for block in skipped:
        for item in range(block.start, block.stop):
            found[item] = failed[item] = WorkerLost(f"item {item}: {block.reason}")
            missing.discard(item)
    if missing:
        raise ValueError(f"there is no outcome of item {min(missing)}")
    return Outcomes(found, dict(sorted(failed.items())))
