"""The run: evaluate the blocks that are missing, reduce, report.

::

    what is done ─▶ missing blocks ─▶ evaluate    ─▶ agree     ─▶ comm.reduce ─▶ result
    checkpoint      stride, slice     in the rank    all well?    one total      on the root
                    or dynamic        or its pool                 a rank
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from mpipar.base.errors import BadInput, RunFailed, StoppedEarly
from mpipar.core.blocks import Blocks, missing, united
from mpipar.core.kernel import BoundKernel
from mpipar.core.plan import Plan
from mpipar.runtime import node
from mpipar.runtime.agreement import Verdict, agree, all_well, guarded
from mpipar.runtime.between_blocks import BetweenBlocks, Checkpoint
from mpipar.runtime.communicator import Comm, RankLost
from mpipar.runtime.compiling import Compiler, compile_on_each_node
from mpipar.runtime.conduct import MOST_KEPT_PARTIALS, Conduct
from mpipar.runtime.evaluate import Task
from mpipar.runtime.failure import Failure, one_line
from mpipar.runtime.finishing import finished, is_enough
from mpipar.runtime.gathering import Gathering
from mpipar.runtime.inline_evaluator import InlineEvaluator
from mpipar.runtime.pinning import advice, place
from mpipar.runtime.progress_state import Done, ProgressState
from mpipar.runtime.result import Result
from mpipar.runtime.schedule import share
from mpipar.runtime.shared import shared_arrays

if TYPE_CHECKING:
    from mpipar.runtime.pool_evaluator import PoolEvaluator


FIRST_STAGE = 2**4
"""After so many blocks, and then after each doubling, a kernel that may end early is asked whether
it is enough.
"""


def run(
    bound: BoundKernel,
    comm: Comm,
    conduct: Conduct | None = None,
) -> Result | None:
    """Evaluate all blocks over the ranks of ``comm`` and reduce them. Collective over comm.

    Parameters
    ----------
    bound : BoundKernel
        What is evaluated.
    comm : Comm
        The ranks.
    conduct : Conduct, optional
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
    conduct = conduct or Conduct()
    _check_plans(bound, comm)
    workers = node.workers_of_rank(comm, conduct.options.workers)
    is_small = bound.plan.n_blocks <= MOST_KEPT_PARTIALS and not bound.reduction.datasets()
    with shared_arrays(bound, comm) as arrays:
        keep_partials = conduct.keep_partials and is_small
        if isinstance(conduct.place, Compiler):
            seconds = compile_on_each_node(bound, arrays, comm, conduct.notify)
            conduct = conduct._replace(compile_seconds=seconds)
        task = Task(
            bound, arrays, conduct.output, conduct.options.on_error, keep_partials, conduct.place
        )
        with _evaluator(task, comm, workers, conduct) as evaluator:
            all_well(comm, evaluator.wait_until_ready())
            _advise(comm, evaluator.cores, workers, conduct.notify)
            return _Run(bound, comm, conduct, workers, evaluator).result()


class _Run:
    """A run, once the evaluators of all ranks are ready. Its methods are collective over comm."""

    def __init__(
        self,
        bound: BoundKernel,
        comm: Comm,
        conduct: Conduct,
        workers: int,
        evaluator: InlineEvaluator | PoolEvaluator,
    ) -> None:
        self._bound = bound
        self._comm = comm
        self._conduct = conduct
        self._workers = workers
        self._evaluator = evaluator
        self._schedule = conduct.options.schedule
        if comm.survives and self._schedule == "dynamic":
            self._schedule = "stride"  # a counter in the memory of a rank would be lost with it
        self._tally = ProgressState(bound.reduction)
        self._tally.records = evaluator.records
        self._watch = BetweenBlocks(
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
        checkpoint = self._conduct.checkpoint
        self._base = Done(self._bound.reduction.start())
        if checkpoint is not None and checkpoint.base is not None:
            self._base = Done(checkpoint.base.total, checkpoint.base.ranges)
        self._whole = self._base
        self._done: list[range] = united(self._comm.bcast(self._base.ranges))

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
                    self._reload(self._conduct.checkpoint)
                self._take_up()
                self._done = united(self._done + self._comm.bcast(self._ranges_of_all()))
                return
            except RankLost:
                continue

    def _reload(self, checkpoint: Checkpoint) -> None:
        """Commit all that is left of this run, and take up what the dead have committed, too."""
        self._watch.commit()
        self._tally.kept = Done(self._bound.reduction.start())
        self._comm.barrier()
        checkpoint.reload(self._comm.is_root)
        self._comm.settle()

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
        outcome = self._outcome() if comm.is_root else None
        self._end_if_failed(comm.bcast(outcome if isinstance(outcome, Failure) else None))
        gathering = Gathering(
            bound=self._bound,
            comm=comm,
            conduct=self._conduct,
            schedule=self._schedule,
            workers=self._workers,
            began=self._began,
        )
        gathered = comm.gather(gathering.told(self._tally))
        if not comm.is_root:
            return None
        return gathering.result(outcome, plan, self._whole, elapsed, gathered)

    def _outcome(self) -> Any:
        """Return the result of what is done, or the Failure to make one. On the root."""
        total = copy.deepcopy(self._whole.total)  # to make a result may change the total
        return finished(self._bound, total)

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
            if stop < plan.n_blocks and self._is_enough():
                return Plan(stop * plan.block, plan.block)
        return plan

    def _is_enough(self) -> bool:
        """Return whether the first blocks are enough."""
        answer: bool | Failure | None = None
        if self._comm.is_root:
            answer = is_enough(self._bound, self._outcome())
        answer = self._comm.bcast(answer)
        if isinstance(answer, Failure):
            self._end_if_failed(answer)
        return bool(answer)

    def _evaluate_blocks(self, todo: Blocks) -> None:
        """Evaluate some blocks, and take in what all ranks have evaluated."""
        comm = self._comm
        watch = self._watch
        done_before = Blocks(self._done).count
        n_blocks = max(1, self._bound.plan.n_blocks)
        watch.progress = lambda fraction: self._conduct.progress(
            (done_before + fraction * todo.count) / n_blocks
        )
        own, counter = share(self._schedule, todo, comm, self._workers)
        failure = self._evaluator.evaluate(own, self._tally, watch) or watch.flush_rows()
        verdict = agree(comm, failure, watch.interruption(), watch.commit)
        counter.free()
        self._collect()
        if verdict is not None and (verdict.failed or self._is_anything_left()):
            self._end(verdict)

    def _is_anything_left(self) -> bool:
        """Return whether blocks are neither done nor skipped."""
        skipped = self._comm.bcast(self._whole.skipped)
        left_out = [range(block.block, block.block + 1) for block in skipped]
        return missing(self._done + left_out, self._bound.plan.n_blocks).count > 0

    def _collect(self) -> None:
        """Reduce what all ranks have evaluated onto the root, and tell all which blocks are
        done.
        """
        comm = self._comm
        reduction = self._bound.reduction
        tally = self._tally
        merge = guarded(lambda one, other: one.merge(other, reduction))
        if comm.survives:  # a rank that is lost in the middle must not take anything with it
            part = merge(copy.deepcopy(tally.kept), copy.deepcopy(tally.new))
            whole = copy.deepcopy(self._base)
        else:
            part = tally.fold()
            whole = self._whole
            tally.kept = Done(reduction.start())
        reduced = comm.reduce(part, merge)
        combined: Any = merge(whole, reduced) if comm.is_root else None
        failure = comm.bcast(combined if isinstance(combined, Failure) else None)
        if failure is not None:
            raise RunFailed(failure.message(0, comm.host))
        if comm.is_root:
            self._whole = combined
        self._done = united(comm.bcast(self._whole.ranges))

    def _end_if_failed(self, failure: Failure | None) -> None:
        """End the run, on all ranks, for what failed on the root."""
        if failure is not None:
            self._end(Verdict(True, failure.message(0, self._comm.host)))

    def _end(self, verdict: Verdict) -> NoReturn:
        """Commit all that is done, and raise RunFailed or StoppedEarly on all ranks."""
        if self._conduct.checkpoint is None:
            raise RunFailed(verdict.message)
        problem = self._commit_all(self._conduct.checkpoint)
        done = f"{Blocks(self._done).count} of {self._bound.plan.n_blocks} blocks are done"
        if problem is None:
            kept = f"{done} and committed: --resume goes on from there"
        else:
            kept = f"{done}, but could not be committed ({problem})"
        if verdict.failed or problem is not None:
            raise RunFailed("\n".join(filter(None, (verdict.message, kept))))
        raise StoppedEarly(f"stopped early ({verdict.message}); {kept}")

    def _commit_all(self, checkpoint: Checkpoint) -> str | None:
        """Commit all that is done; return why that can't be, on all ranks."""
        problem = None
        if self._comm.is_root:
            try:
                checkpoint.commit(self._whole)
            except (OSError, TypeError, RuntimeError) as error:  # h5py raises the last one, too
                problem = one_line(error)
        return self._comm.bcast(problem)


def _stages(bound: BoundKernel) -> Iterator[int]:
    """Yield how many blocks are to be done before a kernel is asked whether they are enough, and in
    the end all.
    """
    stop = FIRST_STAGE
    while bound.may_end_early and stop < bound.plan.n_blocks:
        yield stop
        stop *= 2
    yield bound.plan.n_blocks


def _evaluator(
    task: Task,
    comm: Comm,
    count: int,
    conduct: Conduct,
) -> InlineEvaluator | PoolEvaluator:
    if count == 1 and conduct.options.block_timeout is None:
        return InlineEvaluator(task, comm)
    from mpipar.runtime.pool_evaluator import PoolEvaluator  # multiprocessing takes time to load

    return PoolEvaluator(
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


def _advise(
    comm: Comm,
    cores: int,
    workers: int,
    notify: Callable[[str], None],
) -> None:
    """Tell the user if ranks, or their workers, have too few cores. Collective over comm."""
    places = comm.gather(place(comm.host, workers, cores if workers > 1 else None))
    told = advice(places) if comm.is_root else None
    if told is not None:
        notify(told)
