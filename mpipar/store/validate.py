"""Whether the numbers of a result file can be those of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpipar.runtime.timeline import MOST_SPANS

_MOST_SECONDS, _MOST_ITEMS = 1e10, 10**100  # what is beyond was not counted by anybody


def check(
    about: dict[str, Any],
    processes: np.ndarray[Any, Any],
    per_rank: np.ndarray[Any, Any],
    timeline: np.ndarray[Any, Any] | None,
) -> None:
    """Raise ValueError if numbers can't be what they should be."""
    for name in ("driver", "schedule"):
        if not isinstance(about[name], str):
            raise ValueError(f"{name} is {about[name]!r}")
    for name in ("n", "block", "n_blocks", "seed"):
        about[name] = int(about[name])  # what is beyond 64 bits is stored as text
    for name in ("resumed_blocks", "retried_blocks", "lost_workers", "lost_ranks"):
        about.setdefault(name, 0)
    counts = (
        "n",
        "block",
        "n_blocks",
        "skipped_blocks",
        "resumed_blocks",
        "retried_blocks",
        "lost_workers",
        "lost_ranks",
    )
    for least, names in ((0, counts), (1, ("ranks", "workers", "nodes"))):
        for name in names:
            if type(about[name]) is not int or not least <= about[name] <= _MOST_ITEMS:
                raise ValueError(f"{name} is {about[name]!r}")
    if about["n_blocks"] != -(-about["n"] // max(1, about["block"])):
        raise ValueError(
            f"n_blocks is {about['n_blocks']}, for {about['n']} items in blocks of {about['block']}"
        )
    if about["ranks"] != len(per_rank):
        raise ValueError(f"ranks is {about['ranks']}, and {len(per_rank)} are there")
    if not isinstance(about["elapsed"], float) or not 0 <= about["elapsed"] <= _MOST_SECONDS:
        raise ValueError(f"elapsed is {about['elapsed']!r}")
    for table, columns in ((processes, ("seconds", "longest")), (per_rank, ("seconds",))):
        if not (table["blocks"] >= 0).all():
            raise ValueError("blocks has numbers that can't be")
        for name in columns:
            if not ((table[name] >= 0) & (table[name] <= _MOST_SECONDS)).all():  # nor is NaN
                raise ValueError(f"{name} has numbers that can't be")
    if timeline is not None:
        _check_spans(timeline, len(processes), about["n_blocks"])


def _check_spans(spans: np.ndarray[Any, Any], processes: int, n_blocks: int) -> None:
    """Raise ValueError if no run can have these: what is drawn and simulated of them is bounded by
    that.
    """
    if len(spans) > processes * MOST_SPANS:
        raise ValueError(f"the timeline has {len(spans)} spans")
    times = all((np.abs(spans[name]) <= _MOST_SECONDS).all() for name in ("begin", "end"))
    inside = spans["worker"].min() >= 0 and spans["worker"].max() < processes
    known = (
        spans["block"].min() >= 0 and spans["block"].max() < n_blocks and spans["blocks"].min() > 0
    )
    if not (
        times and inside and known and spans["blocks"].sum(dtype=float) <= n_blocks
    ):  # whole numbers could wrap
        raise ValueError("the timeline has spans that can't be")
    order = np.lexsort((spans["end"], spans["begin"], spans["worker"]))
    worker, begin, end = (spans[name][order] for name in ("worker", "begin", "end"))
    rounding = 1e-9 * (end.max() - begin.min())
    if (end < begin).any() or (begin[1:] < end[:-1] - rounding)[worker[1:] == worker[:-1]].any():
        raise ValueError("the timeline has spans of a process that overlap")
