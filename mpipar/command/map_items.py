"""The items of a map: a list of them, the same on all ranks, and digests that tell them apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput, RunFailed
from mpipar.base.named_files import file_in
from mpipar.runtime.communicator import Comm
from mpipar.runtime.failure import one_line
from mpipar.store.likeness import digests_of_items
from mpipar.store.values import Unstorable


def listed(items: Iterable[Any], comm: Comm) -> list[Any]:
    """Return the items. Where they can't be had on one rank, all raise. Collective over comm."""
    found: list[Any] = []
    problem: Exception | None = None
    try:
        found = list(items)
    except Exception as error:
        problem = error
        if isinstance(error, TypeError) and not hasattr(items, "__iter__"):
            problem = BadInput(f"map: expected items, such as a list, got {items!r:.60}")
    reasons = comm.gather(None if problem is None else one_line(problem))
    first = comm.bcast(_first_of(reasons))
    if problem is not None:
        raise problem
    if first is not None:
        raise RunFailed(f"map: {first}")
    return found


def _first_of(reasons: Sequence[str | None]) -> str | None:
    """Return which rank is the first without items, and why; None if all have theirs."""
    for rank, reason in enumerate(reasons):
        if reason:
            return f"rank {rank} could not list its items: {reason}"
    return None


def digests(items: Sequence[Any]) -> dict[str, str]:
    """Return digests of items. Raises BadInput if they can't be told from others."""
    try:
        return digests_of_items(items)
    except Unstorable as error:
        raise BadInput(
            "map: whether items are the same on all ranks, and in later runs, can't be told:"
            f" {error}"
        ) from None


def check_same(items: Sequence[Any], comm: Comm) -> None:
    """Raise BadInput, on all ranks, if they have other items than the root.

    Collective over comm.
    """
    if comm.size == 1:
        return
    own: dict[str, str] = {}
    problem = None
    try:
        own = digests(items)
    except BadInput as error:
        problem = str(error)
    told = comm.gather((own, problem))
    problem = comm.bcast(_what_differs(own, told) if comm.is_root else None)
    if problem is not None:
        raise BadInput(problem)


def _what_differs(
    root: dict[str, str], told: Sequence[tuple[dict[str, str], str | None]]
) -> str | None:
    """Return why ranks can't go on, from the digests, or the problem, of each; or None."""
    for _, problem in told:
        if problem is not None:
            return problem
    for rank, (own, _) in enumerate(told):
        if own != root:
            where = next((name for name in root if root[name] != own.get(name)), "their number")
            return (
                f"map: rank {rank} has other items than the root ({where}): sort them, or seed what"
                " makes them"
            )
    return None


def files(item: Any) -> set[str]:
    """Return the files that an item names, by itself or in a tuple, list or dict."""
    if isinstance(item, dict):
        return set().union(*map(files, item.values()))
    if isinstance(item, (list, tuple)):
        return set().union(*map(files, item))
    if isinstance(item, (str, Path)):
        found = file_in(str(item))
        if found is not None:
            return {found}
    return set()
