"""What a driver of a study printed as JSON, and whether it is a measurement."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from mpipar.base.errors import RunFailed
from mpipar.base.text import several
from mpipar.study.design import Measured, Run

_LONGEST_VALUE = 1000  # characters; of a longer one the hash is kept
_NEEDED = {"elapsed", "ranks", "workers", "value"}
_TROUBLE = ("resumed_blocks", "skipped_blocks", "retried_blocks", "lost_ranks", "lost_workers")
"""What may not have been: the time would not be that of all blocks on all ranks."""
_KEPT = (
    *("driver", "value", "error", "n", "n_blocks", "block", "seed", "ranks", "workers", "nodes"),
    *("schedule", "imbalance", "parameters", "mpi", "mpipar"),
)


def last_json(text: str) -> dict[str, Any] | None:
    """Return the last line of a text that is the JSON of a driver, or None."""
    for line in reversed(text.splitlines()):
        if not line.startswith("{"):
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and found.keys() >= _NEEDED:
            return found
    return None


def measured(text: str, wall: float, hosts: list[str], run: Run) -> Measured:
    """Return what a run gave, from what its driver printed.

    Raises
    ------
    RunFailed
        If that can't be used.
    """
    report = last_json(text)
    if report is None:
        raise RunFailed(f"{run.size.words}: the driver printed no JSON")
    _check(report, run)
    kept = {name: report.get(name) for name in _KEPT}
    kept["value"] = _shortened(kept["value"])
    return Measured(float(report["elapsed"]), wall, kept, hosts, time.time())


def _check(report: Mapping[str, Any], run: Run) -> None:
    """Raise RunFailed if a driver did something else than it was asked for."""
    ranks = report["ranks"]
    workers = report["workers"]
    if ranks != run.size.ranks or workers != run.size.workers:
        got = f"{several(ranks, 'rank')} × {several(workers, 'worker')}"
        raise RunFailed(f"{run.size.words}: the driver ran with {got}")
    for name in _TROUBLE:
        if report.get(name):
            trouble = f"{report[name]} {name.replace('_', ' ')}"
            raise RunFailed(f"{run.size.words}: not a measurement, as there are {trouble}")


def _shortened(value: Any) -> Any:
    """Return a value, or the hash of one that is too long for the file of a study."""
    text = json.dumps(value)
    if len(text) > _LONGEST_VALUE:
        return f"sha256 {hashlib.sha256(text.encode()).hexdigest()}"
    return value
