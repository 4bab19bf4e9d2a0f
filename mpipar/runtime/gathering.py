"""The result of a run, from what all ranks tell the root at its end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from mpipar.core.kernel import BoundKernel
from mpipar.core.plan import Plan
from mpipar.core.reduction import Array
from mpipar.core.run_record import Placement, RunRecord, Timing, Trouble
from mpipar.runtime import node
from mpipar.runtime.communicator import Comm
from mpipar.runtime.conduct import Conduct
from mpipar.runtime.device import Gpu
from mpipar.runtime.progress_state import Done, ProgressState, Record
from mpipar.runtime.result import Result, joined_rows
from mpipar.runtime.timeline import Span, Timeline, most_of_each


class Told(NamedTuple):
    """What a rank tells the root at the end, beside its total: see Result."""

    host: str
    records: list[Record]
    timelines: list[list[Span]]
    partials: dict[int, Any]
    rows: dict[int, dict[str, Array]]
    retried: int
    lost_workers: int
    gpu: str | None
    simd: str


class Gathering(NamedTuple):
    """What a run was, for those who tell of it and who put that together.

    Attributes
    ----------
    bound : BoundKernel
    comm : Comm
    conduct : Conduct
    schedule : str
        That was followed, which may be another than was asked for.
    workers : int
        Of each rank.
    began : float
        When the first block was begun, by :func:`time.perf_counter`.
    """

    bound: BoundKernel
    comm: Comm
    conduct: Conduct
    schedule: str
    workers: int
    began: float

    def told(self, tally: ProgressState) -> Told:
        """Return what this rank tells the root."""
        timelines = []
        gpu = None
        if isinstance(self.conduct.place, Gpu):
            gpu = self.conduct.place.name
        if self.conduct.keep_timeline:
            most = most_of_each(self.comm.size * self.workers)
            timelines = [record.timeline.since(self.began, most) for record in tally.records]
        return Told(
            host=self.comm.host,
            records=[replace(record, timeline=Timeline()) for record in tally.records],
            timelines=timelines,
            partials=tally.partials,
            rows=tally.rows,
            retried=tally.retried,
            lost_workers=tally.lost_workers,
            gpu=gpu,
            simd=node.simd_level(),
        )

    def result(
        self,
        outcome: Any,
        plan: Plan,
        whole: Done,
        elapsed: float,
        gathered: Sequence[Told],
    ) -> Result:
        """Return the result, on the root, from what all ranks have told."""
        partials: dict[int, Any] = {}
        rows: dict[int, dict[str, Array]] = {}
        records: list[Record] = []
        timelines: list[list[Span]] = []
        for told in gathered:
            partials |= told.partials
            rows |= told.rows
            records += told.records
            timelines += told.timelines
        skipped = sorted(whole.skipped)
        assert whole.count + len(skipped) == plan.n_blocks, "not all blocks are done"
        datasets = {}
        if self.conduct.output is None:  # else they are in a file already
            datasets = joined_rows(self.bound, plan, rows, skipped)
        return Result(
            outcome=outcome,
            run=self._run_record(plan, len(skipped), Timing.of(elapsed, records), gathered),
            hosts=[told.host for told in gathered],
            records=records,
            skipped=skipped,
            datasets=datasets,
            partials=partials,
            done=whole,
            timelines=timelines,
        )

    def _run_record(
        self,
        plan: Plan,
        skipped: int,
        timing: Timing,
        gathered: Sequence[Told],
    ) -> RunRecord:
        """Return what was run, and how that went."""
        hosts = {told.host for told in gathered}
        levels = sorted({told.simd for told in gathered})
        if len(levels) > 1 and may_use_functions(self.bound):
            self.conduct.notify(
                f"processors of several kinds ({', '.join(levels)}): functions such as exp and sin"
                " may differ in their last digits"
            )
        placement = Placement(
            schedule=self.schedule,
            ranks=len(gathered),
            nodes=len(hosts),
            workers=self.workers,
            device=self.bound.device,
            gpus=[told.gpu for told in gathered if told.gpu is not None],
            library=self.comm.library,
            simd=[told.simd for told in gathered],
            compile_seconds=self.conduct.compile_seconds,
        )
        trouble = Trouble(
            resumed_blocks=plan.n_blocks - skipped - timing.evaluated_blocks,
            retried_blocks=sum(told.retried for told in gathered),
            skipped_blocks=skipped,
            lost_workers=sum(told.lost_workers for told in gathered),
            lost_ranks=self.comm.lost_ranks,
        )
        return RunRecord(
            name=self.bound.kernel.name,
            parameters=self.bound.parameters,
            plan=plan,
            seed=self.bound.seed,
            placement=placement,
            trouble=trouble,
            timing=timing,
        )


_CALL = re.compile(r"\w\s*\(|:[^\W\d]")  # exp(x), or module:function


def may_use_functions(bound: BoundKernel) -> bool:
    """Return whether a kernel may use functions of a library whose last digits depend on the
    processor: each user's may, and those of mpipar that are given a formula with some.
    """
    is_ours = bound.kernel.function.__module__.startswith("mpipar.")
    texts = [value for value in bound.parameters.values() if isinstance(value, str)]
    return not is_ours or any(map(_CALL.search, texts))
