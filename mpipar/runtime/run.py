"""The run: evaluate the blocks that are missing, reduce, report.

::

    what is done ─▶ share out the missing blocks ─▶ evaluate ─▶ agree ─▶ comm.reduce ─▶ result on
    the root
    (checkpoint)    stride, slice, dynamic          in the rank  all well?  one total a rank
                                                    or its pool
"""

from __future__ import annotations

import copy
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from mpipar.base.errors import BadInput, RunFailed, StoppedEarly
from mpipar.core.blocks import Blocks, missing, united
from mpipar.core.kernel import BoundKernel
from mpipar.core.plan import Plan
from mpipar.core.reduction import Array
from mpipar.core.run_record import Placement, RunRecord, Timing, Trouble
from mpipar.runtime import node
from mpipar.runtime.agreement import Verdict, agree, all_well, guarded
from mpipar.runtime.between_blocks import Checkpoint, Watch
from mpipar.runtime.communicator import Comm, RankLost
from mpipar.runtime.device import Gpu
from mpipar.runtime.evaluate import Output, Task
from mpipar.runtime.failure import Failure, one_line
from mpipar.runtime.inline_evaluator import InRank
from mpipar.runtime.pinning import advice, place
from mpipar.runtime.progress_state import Done, Record, Tally
from mpipar.runtime.result import Result, joined_rows
from mpipar.runtime.run_options import RunOptions
from mpipar.runtime.schedule import share
from mpipar.runtime.shared import shared_arrays
from mpipar.runtime.timeline import Span, Timeline, most_of_each

if TYPE_CHECKING:
    from mpipar.runtime.pool_evaluator import Workers

MOST_KEPT_PARTIALS = 2**14
"""Plans of up to so many blocks have their partials kept, if asked for."""

FIRST_STAGE = 2**4
"""After so many blocks, and then after each doubling, a kernel that may end early is asked whether
it is enough.
"""


def _no_progress(fraction: float) -> None:
    """Show nothing."""


def _no_notice(text: str) -> None:
    """Say nothing."""


def _no_interruption() -> None:
    """Go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How a run is conducted; nothing here changes the value of its result.

    Attributes
    ----------
    options : RunOptions
        Who evaluates the blocks, and what is done about those that fail. With one worker a rank
        evaluates its blocks itself, but for a block_timeout: that needs a worker which can be
        replaced, so there is a pool even of one.
    output : Output, optional
        Where the rows of datasets go; without it they come with the result.
    checkpoint : Checkpoint, optional
        What keeps on disk which blocks are done.
    keep_partials : bool
        Whether to keep the partial of each block, for plans of up to :data:`MOST_KEPT_PARTIALS`
        blocks without rows.
    keep_timeline : bool
        Whether to keep when each process evaluated which blocks.
    gpu : Gpu, optional
        What this rank and its workers evaluate blocks on, if the kernel is bound to a GPU.
    interruption : callable
        Returns what says that this rank is to stop early, or None.
    progress : callable
        Called on the root with the fraction that is done, now and then.
    notify : callable
        Called on the root with what the user should know.
    """

    options: RunOptions = field(default_factory=RunOptions)
    output: Output | None = None
    checkpoint: Checkpoint | None = None
    keep_partials: bool = False
    keep_timeline: bool = False
    gpu: Gpu | None = None
    interruption: Callable[[], str | None] = _no_interruption
    progress: Callable[[float], None] = _no_progress
    notify: Callable[[str], None] = _no_notice


def run(bound: BoundKernel, comm: Comm, conduct: Conduct = Conduct()) -> Result | None:
    """Evaluate all blocks over the ranks of ``comm`` and reduce them. Collective over comm.

    Parameters
    ----------
    bound : BoundKernel
        What is evaluated.
    comm : Comm
        The ranks.
    conduct : Conduct
        How.

    Returns
    -------
    Result or None
        The result on the root, None elsewhere.

    Raises
    ------
    RunFailed
        On all ranks, if a block failed on any, with the same message. What was done is committed
        before.
    StoppedEarly
        On all ranks, if any was interrupted, once that is done.
    BadInput
        If there is no such schedule.
    """
    _check_plans(bound, comm)
    workers = node.workers_of_rank(comm, conduct.options.workers)
    is_small = bound.plan.n_blocks <= MOST_KEPT_PARTIALS and not bound.reduction.datasets()
    with shared_arrays(bound, comm) as arrays:
        keep_partials = conduct.keep_partials and is_small
        task = Task(
            bound, arrays, conduct.output, conduct.options.on_error, keep_partials, conduct.gpu
        )
        with _evaluator(task, comm, workers, conduct) as evaluator:
            all_well(comm, evaluator.wait_until_ready())
            _advise(comm, evaluator.cores, workers, conduct.notify)
            return _Run(bound, comm, conduct, workers, evaluator).result()


class _Told(NamedTuple):
    """What a rank tells the root at the end, beside its total: see Result."""

    host: str
    records: list[Record]
    timelines: list[list[Span]]
    partials: dict[int, Any]
    rows: dict[int, dict[str, Array]]
    retried: int
    lost_workers: int
    gpu: str | None


class _Run:
    """A run, once the evaluators of all ranks are ready. Its methods are collective over comm."""

    def __init__(
        self,
        bound: BoundKernel,
        comm: Comm,
        conduct: Conduct,
        workers: int,
        evaluator: InRank | Workers,
    ) -> None:
        self._bound, self._comm, self._conduct, self._workers = bound, comm, conduct, workers
        self._evaluator = evaluator
        self._schedule = conduct.options.schedule
        if comm.survives and self._schedule == "dynamic":
            self._schedule = "stride"  # a counter in the memory of a rank would be lost with it
        self._tally = Tally(bound.reduction)
        self._tally.records = evaluator.records
        self._watch = Watch(
            comm,
            self._tally,
            conduct.checkpoint,
            conduct.output,
            conduct.interruption,
            conduct.progress,
        )
        self._began: float | None = None
        self._take_up()

    def _take_up(self) -> None:
        """Begin with what is done already."""
        checkpoint, reduction = self._conduct.checkpoint, self._bound.reduction
        base = checkpoint.base if checkpoint is not None else None
        self._base = Done(reduction.start()) if base is None else Done(base.total, base.ranges)
        self._whole = self._base
        self._done: list[range] = united(self._comm.bcast(self._base.ranges))
        self._resumed = Blocks(self._done).count

    def result(self) -> Result | None:
        """Evaluate what is missing; return the result on the root."""
        while True:
            try:
                result = self._attempt()
                self._comm.settle()
            except RankLost:
                self._recover()
            else:
                return result

    def _recover(self) -> None:
        """Go on without ranks that have died: what they had not committed will be missing."""
        while True:
            try:
                self._comm.repair()
                if self._comm.is_root:
                    self._conduct.notify(f"a rank was lost; {self._comm.size} go on")
                if self._conduct.checkpoint is not None:
                    self._watch.commit()  # so that all that is left of this run is on the disk, …
                    self._tally.kept = Done(self._bound.reduction.start())
                    self._comm.barrier()
                    self._conduct.checkpoint.reload(
                        self._comm.is_root
                    )  # … and what the dead have committed, too
                    self._comm.settle()
                self._take_up()
                self._done = united(self._done + self._comm.bcast(self._ranges_of_all()))
                return
            except RankLost:
                continue

    def _ranges_of_all(self) -> list[range]:
        """Return which blocks ranks have done that no checkpoint has, on the root."""
        own = self._tally.kept.ranges + self._tally.new.ranges
        return [r for ranges in self._comm.gather(own) for r in ranges]

    def _attempt(self) -> Result | None:
        comm = self._comm
        comm.barrier()
        if self._began is None:  # else ranks have died
            self._began = time.perf_counter()
        plan = self._evaluate()
        elapsed = time.perf_counter() - self._began
        outcome = _finish(self._bound, copy.deepcopy(self._whole.total)) if comm.is_root else None
        failure = comm.bcast(outcome if isinstance(outcome, Failure) else None)
        if failure is not None:
            self._end(Verdict(True, failure.message(0, comm.host)))
        tally = self._tally
        records, timelines = self._records()
        gpu = self._conduct.gpu.name if self._conduct.gpu is not None else None
        gathered = comm.gather(
            _Told(
                comm.host,
                records,
                timelines,
                tally.partials,
                tally.rows,
                tally.retried,
                tally.lost_workers,
                gpu,
            )
        )
        if not comm.is_root:
            return None
        rows = {index: rows for told in gathered for index, rows in told.rows.items()}
        skipped = sorted(self._whole.skipped)
        result = Result(
            outcome=outcome,
            run=self._run_record(plan, elapsed, gathered),
            hosts=[told.host for told in gathered],
            records=[record for told in gathered for record in told.records],
            skipped=skipped,
            datasets=(
                {}
                if self._conduct.output is not None
                else joined_rows(self._bound, plan, rows, skipped)
            ),
            partials={
                index: partial for told in gathered for index, partial in told.partials.items()
            },
            done=self._whole,
            timelines=[timeline for told in gathered for timeline in told.timelines],
        )
        assert self._whole.count + len(skipped) == plan.n_blocks, "not all blocks are done"
        return result

    def _run_record(self, plan: Plan, elapsed: float, gathered: list[_Told]) -> RunRecord:
        """Return what was run, and how that went, from what all ranks have told. For the root."""
        timing = Timing.of(elapsed, [record for told in gathered for record in told.records])
        skipped = len(self._whole.skipped)
        hosts = [told.host for told in gathered]
        placement = Placement(
            schedule=self._schedule,
            ranks=len(hosts),
            nodes=len(set(hosts)),
            workers=self._workers,
            device=self._bound.device,
            gpus=[told.gpu for told in gathered if told.gpu is not None],
            library=self._comm.library,
        )
        trouble = Trouble(
            resumed_blocks=plan.n_blocks - skipped - timing.evaluated_blocks,
            retried_blocks=sum(told.retried for told in gathered),
            skipped_blocks=skipped,
            lost_workers=sum(told.lost_workers for told in gathered),
            lost_ranks=self._comm.lost_ranks,
        )
        return RunRecord(
            name=self._bound.kernel.name,
            parameters=self._bound.parameters,
            plan=plan,
            seed=self._bound.seed,
            placement=placement,
            trouble=trouble,
            timing=timing,
        )

    def _records(self) -> tuple[list[Record], list[list[Span]]]:
        """Return what each process of this rank evaluated, and, if that is kept, when."""
        records = self._tally.records
        most, origin = most_of_each(self._comm.size * self._workers), self._began or 0.0
        timelines = (
            [record.timeline.since(origin, most) for record in records]
            if self._conduct.keep_timeline
            else []
        )
        return [replace(record, timeline=Timeline()) for record in records], timelines

    def _evaluate(self) -> Plan:
        """Evaluate all blocks that are missing, or the first ones that are enough; return the plan
        of these.
        """
        plan = self._bound.plan
        for stop in _stages(self._bound):
            todo = missing(self._done, stop)
            if todo.count == 0 and self._done and self._done[-1].stop > stop:
                continue  # it wasn't enough, or there wouldn't be more
            self._evaluate_blocks(todo)
            if stop < plan.n_blocks:
                enough = self._comm.bcast(self._is_enough() if self._comm.is_root else None)
                if isinstance(enough, Failure):
                    self._end(Verdict(True, enough.message(0, self._comm.host)))
                if enough:
                    return Plan(stop * plan.block, plan.block)
        return plan

    def _evaluate_blocks(self, todo: Blocks) -> None:
        """Evaluate some blocks, and take in what all ranks have evaluated."""
        comm, watch = self._comm, self._watch
        done_before, n_blocks = Blocks(self._done).count, max(1, self._bound.plan.n_blocks)
        watch.progress = lambda fraction: self._conduct.progress(
            (done_before + fraction * todo.count) / n_blocks
        )
        own, counter = share(self._schedule, todo, comm, self._workers)
        failure = self._evaluator.evaluate(own, self._tally, watch) or watch.flush_rows()
        verdict = agree(comm, failure, watch.interruption(), watch.commit)
        counter.free()
        self._collect()
        left_out = [
            range(block.block, block.block + 1) for block in comm.bcast(self._whole.skipped)
        ]
        if verdict is not None and (
            verdict.failed or missing(self._done + left_out, self._bound.plan.n_blocks).count
        ):
            self._end(verdict)

    def _collect(self) -> None:
        """Reduce what all ranks have evaluated onto the root, and tell all which blocks are
        done.
        """
        comm, reduction, tally = self._comm, self._bound.reduction, self._tally
        merge = guarded(lambda one, other: one.merge(other, reduction))
        if comm.survives:  # a rank that is lost in the middle must not take anything with it
            part = merge(copy.deepcopy(tally.kept), copy.deepcopy(tally.new))
            whole = copy.deepcopy(self._base)
        else:
            part, whole = tally.fold(), self._whole
            tally.kept = Done(reduction.start())
        reduced = comm.reduce(part, merge)
        combined: Any = merge(whole, reduced) if comm.is_root else None
        failure = comm.bcast(combined if isinstance(combined, Failure) else None)
        if failure is not None:
            raise RunFailed(failure.message(0, comm.host))
        if comm.is_root:
            self._whole = combined
        self._done = united(comm.bcast(self._whole.ranges))

    def _end(self, verdict: Verdict) -> None:
        """Commit all that is done, and raise RunFailed or StoppedEarly on all ranks."""
        comm, checkpoint = self._comm, self._conduct.checkpoint
        note, committed = "", False
        if checkpoint is not None:
            problem = None
            if comm.is_root:
                try:
                    checkpoint.commit(self._whole)
                except (OSError, TypeError, RuntimeError) as error:  # h5py raises the last one, too
                    problem = one_line(error)
            problem = comm.bcast(problem)
            committed = problem is None
            count, n_blocks = Blocks(self._done).count, self._bound.plan.n_blocks
            note = (
                f"{count} of {n_blocks} blocks are done and committed: --resume goes on from there"
            )
            if problem is not None:
                note = (
                    f"{count} of {n_blocks} blocks are done, but could not be committed ({problem})"
                )
        if verdict.failed or not committed:
            raise RunFailed("\n".join(filter(None, (verdict.message, note))))
        raise StoppedEarly(f"stopped early ({verdict.message}); {note}")

    def _is_enough(self) -> bool | Failure:
        """Return whether the first blocks are enough, or why that can't be told. On the root."""
        outcome = _finish(
            self._bound, copy.deepcopy(self._whole.total)
        )  # to make a result may change the total
        if isinstance(outcome, Failure):
            return outcome
        try:
            return self._bound.is_enough(outcome)
        except Exception as error:
            return Failure("asking whether it is enough", one_line(error), traceback.format_exc())


def _stages(bound: BoundKernel) -> Iterator[int]:
    """Yield how many blocks are to be done before a kernel is asked whether they are enough, and in
    the end all.
    """
    stop = FIRST_STAGE
    while bound.may_end_early and stop < bound.plan.n_blocks:
        yield stop
        stop *= 2
    yield bound.plan.n_blocks


def _finish(bound: BoundKernel, total: Any) -> Any:
    """Return the result of a total, or the Failure to make one."""
    try:
        return bound.result(total)
    except RunFailed as error:  # what the kernel says by itself
        return Failure("making the result", str(error))
    except Exception as error:
        return Failure("making the result", one_line(error), traceback.format_exc())


def _evaluator(task: Task, comm: Comm, count: int, conduct: Conduct) -> InRank | Workers:
    if count == 1 and conduct.options.block_timeout is None:
        return InRank(task, comm)
    from mpipar.runtime.pool_evaluator import Workers  # multiprocessing takes time to load

    return Workers(
        task, count, rank=comm.rank, host=comm.host, block_timeout=conduct.options.block_timeout
    )


def _check_plans(bound: BoundKernel, comm: Comm) -> None:
    """Raise BadInput if ranks don't have the same blocks before them. Collective over comm."""
    plans = comm.gather(bound.plan)
    others = [rank for rank, plan in enumerate(plans) if plan != bound.plan]
    other = comm.bcast((others[0], plans[others[0]].n, bound.plan.n) if others else None)
    if other is not None:
        rank, theirs, ours = other
        raise BadInput(
            f"{bound.kernel.name}: rank {rank} found {theirs} items, and the root {ours}"
        )


def _advise(comm: Comm, cores: int, workers: int, notify: Callable[[str], None]) -> None:
    """Tell the user if ranks, or their workers, have too few cores. Collective over comm."""
    places = comm.gather(place(comm.host, workers, cores if workers > 1 else None))
    told = advice(places) if comm.is_root else None
    if told is not None:
        notify(told)
