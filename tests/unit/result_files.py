"""Result files as runs write them, with timelines that are made up."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpipar import Plan
from mpipar.core.run_record import Placement, RunRecord, Timing, Trouble
from mpipar.runtime.failure import Skipped
from mpipar.runtime.progress_state import Done, Record
from mpipar.runtime.result import Result
from mpipar.runtime.timeline import Span
from mpipar.store.result import fill


def of_run(outcome: Any, **given: Any) -> Result:
    """Return a result of which all is given by the names that a result itself has for it."""
    hosts, skipped = given["hosts"], given["skipped"]
    placement = Placement(
        schedule=given["schedule"],
        ranks=len(hosts),
        nodes=len(set(hosts)),
        workers=given["workers"],
        device=given.get("device", "cpu"),
        gpus=given.get("gpus", []),
        library=given["library"],
    )
    trouble = Trouble(
        resumed_blocks=given["resumed_blocks"],
        retried_blocks=given["retried_blocks"],
        skipped_blocks=len(skipped),
        lost_workers=given["lost_workers"],
        lost_ranks=given["lost_ranks"],
    )
    run = RunRecord(
        name=given["name"],
        parameters=given["parameters"],
        plan=given["plan"],
        seed=given["seed"],
        placement=placement,
        trouble=trouble,
        timing=Timing.of(given["elapsed"], given["records"] or []),
    )
    return Result(
        outcome=outcome,
        run=run,
        hosts=hosts,
        records=given["records"],
        skipped=skipped,
        datasets=given["datasets"],
        partials=given["partials"],
        done=given["done"],
        timelines=given.get("timelines", []),
    )


def result(
    ranks: int = 2,
    workers: int = 1,
    blocks: int = 6,
    *,
    nodes: int = 1,
    sigma: float = 1.0,
    **changes: Any,
) -> Result:
    """Return a result in which each process has evaluated so many blocks, with times drawn at
    random.
    """
    rng = np.random.default_rng(1)
    records, timelines = [], []
    processes = ranks * workers
    for process in range(processes):
        seconds = 0.01 * rng.lognormal(-(sigma**2) / 2, sigma, blocks)
        ends = np.cumsum(seconds + 1e-4)
        rank = process // workers
        records.append(
            Record(
                rank,
                f"node{rank * nodes // ranks}",
                100 + process,
                blocks,
                float(seconds.sum()),
                float(seconds.max()),
            )
        )
        timelines.append(
            [
                Span(process + i * processes, 1, float(e - s), float(e))
                for i, (s, e) in enumerate(zip(seconds, ends, strict=True))
            ]
        )
    last = max((spans[-1].end for spans in timelines if spans), default=0.0)
    fields: dict[str, Any] = {
        "outcome": 1.5,
        "name": "load",
        "parameters": {"tasks": processes * blocks, "times": [], "kind": "lognormal"},
        "plan": Plan(processes * blocks, 1),
        "seed": 7,
        "schedule": "stride",
        "workers": workers,
        "elapsed": last * 1.02,
        "library": "MPICH 5",
        "hosts": [f"node{rank * nodes // ranks}" for rank in range(ranks)],
        "records": records,
        "resumed_blocks": 0,
        "retried_blocks": 0,
        "lost_workers": 0,
        "lost_ranks": 0,
        "skipped": [],
        "datasets": {},
        "partials": {},
        "done": Done(0, [range(processes * blocks)]),
        "timelines": timelines,
    }
    return of_run(**{**fields, **changes})


def skipped(count: int, reason: str = "ValueError: no") -> list[Skipped]:
    return [Skipped(block, block, block + 1, reason, "Traceback …") for block in range(count)]


def write(path: Path, made: Result | None = None, **changes: Any) -> Path:
    """Write a result file, and return its path."""
    with h5py.File(path, "w") as file:
        fill(file, made or result(**changes))
    return path
