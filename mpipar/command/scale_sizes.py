"""Which sizes a study of ``mpipar scale`` has: ranks, workers and nodes, and how large the problem
is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mpipar.base.errors import BadInput
from mpipar.batch.schedulers import scheduler
from mpipar.study.design import SIZES, STRONG, WEAK, Size, numbers, workers_of

HERE = "here"
CLUSTER = scheduler().name.lower()
"""Where a study runs."""

_LARGEST = 2**63 - 1  # items


class Place(NamedTuple):
    """What a size runs on."""

    ranks: int
    workers: int
    nodes: int | None


def sizes(
    options: Any,
    resources: Mapping[str, Any],
    *,
    as_jobs: bool,
    cores: int | None,
) -> list[Size]:
    """Return all sizes of a study, in order.

    Parameters
    ----------
    options : namespace
        What the command line says.
    resources : mapping
        What the job file says of them, if there is one.
    as_jobs : bool
        Whether each run is a job.
    cores : int or None
        Cores of this machine, if the runs are here.

    Raises
    ------
    BadInput
        If options don't go together.
    """
    if options.nodes is not None:
        _check_nodes(options, as_jobs)
    elif options.ranks is None:
        raise BadInput("needed, such as --ranks 1,2,4", option="--ranks")
    places = _places(options, resources, cores)
    found = [Size(mode, *place) for mode in _modes(options) for place in places]
    if options.sizes:
        if as_jobs:
            raise BadInput("is for studies here", option="--sizes")
        found += _of_several_problems(options.sizes, places)
    return sorted(found, key=_order)


def _check_nodes(options: Any, as_jobs: bool) -> None:
    if not as_jobs:
        raise BadInput(f"is for jobs, with --on {CLUSTER}", option="--nodes")
    if options.ranks is not None:
        raise BadInput("not with --ranks", option="--nodes")


def _modes(options: Any) -> list[str]:
    wanted = [mode for mode in (STRONG, WEAK) if getattr(options, mode)]
    if wanted or options.sizes:
        return wanted
    return [STRONG]


def _places(options: Any, resources: Mapping[str, Any], cores: int | None) -> list[Place]:
    """Return ranks, workers and nodes of all sizes."""
    nodes: Sequence[int | None]
    if options.nodes is not None:
        nodes = numbers(options.nodes, "--nodes")
        of_each = int(resources.get("ranks_per_node", 1))
        ranks = [count * of_each for count in nodes]
    else:
        ranks = numbers(options.ranks, "--ranks")
        nodes = [None] * len(ranks)
    workers = options.workers or str(resources.get("workers", 1))
    places = []
    for count, on_nodes in zip(ranks, nodes, strict=True):
        for own in workers_of(workers, count, cores):
            places.append(Place(count, own, on_nodes))
    return places


def _of_several_problems(items: str, places: Sequence[Place]) -> list[Size]:
    """Return the sizes that tell from which problem on parallel is faster than serial."""
    parallel = [place for place in places if place.ranks * place.workers > 1]
    if not parallel:
        what = "there is no size with more than one process"
        raise BadInput(what, option="--sizes")
    serial = Place(1, 1, None)
    found = []
    for number in numbers(items, "--sizes", _LARGEST):
        for place in (serial, *parallel):
            found.append(Size(SIZES, *place, str(number)))
    return found


def _order(size: Size) -> tuple[str, int, int, int]:
    return size.mode, int(size.items or 0), size.processes, size.workers
