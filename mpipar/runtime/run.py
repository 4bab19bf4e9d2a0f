"""The run: evaluate the blocks that are missing, reduce, report. Imports mpipar.core and the runtime modules beside it.

::

    plan ─▶ share out the missing blocks ─▶ evaluate ─▶ agree ─▶ comm.reduce ─▶ result on the root
            stride, slice, dynamic          in the rank  all well?  one total a rank
                                            or its pool
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mpipar.core.errors import RunFailed
from mpipar.core.kernel import BoundKernel
from mpipar.core.plan import Plan
from mpipar.runtime import node
from mpipar.runtime.comm import Comm
from mpipar.runtime.evaluate import Failure, Record, Tally, evaluate, one_line
from mpipar.runtime.schedule import Share, share

if TYPE_CHECKING:
    from mpipar.runtime.workers import Workers

MOST_KEPT_PARTIALS = 2**14
"""Plans of up to so many blocks have their partials kept, if asked for."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came out of a run, and how.

    Attributes
    ----------
    outcome : object
        What the kernel's finish, or else its reduction, gave.
    name : str
        Name of the kernel.
    parameters : dict
        Values of all parameters of the kernel.
    plan : Plan
        n, block size and blocks.
    seed : int
        Seed of the random streams.
    schedule : str
        Who took which blocks.
    workers : int
        Worker processes in each rank; 1 is the rank itself.
    elapsed : float
        Seconds from the barrier before the first block to the end of the reduction.
    library : str
        The MPI library, or nothing.
    hosts : list of str
        The node of each rank.
    records : list of Record
        What each process evaluated.
    partials : dict
        {block index: partial}, if they were kept.
    """

    outcome: Any
    name: str
    parameters: dict[str, Any]
    plan: Plan
    seed: int
    schedule: str
    workers: int
    elapsed: float
    library: str
    hosts: list[str]
    records: list[Record]
    partials: dict[int, Any] = field(repr=False)

    @property
    def value(self) -> Any:
        """The value alone, where the outcome has an error too."""
        return getattr(self.outcome, "value", self.outcome)

    @property
    def error(self) -> Any:
        """The standard error of the value, or None."""
        return getattr(self.outcome, "error", None)

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return len(self.hosts)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(set(self.hosts))

    @property
    def evaluated_blocks(self) -> int:
        """Number of blocks evaluated in this run."""
        return sum(record.blocks for record in self.records)


def _no_progress(fraction: float) -> None:
    """Show nothing."""


def _no_notice(text: str) -> None:
    """Say nothing."""


def run(
    bound: BoundKernel,
    comm: Comm,
    *,
    schedule: str = "dynamic",
    workers: int | str = 1,
    keep_partials: bool = False,
    progress: Callable[[float], None] = _no_progress,
    notify: Callable[[str], None] = _no_notice,
) -> Result | None:
    """Evaluate all blocks over the ranks of ``comm`` and reduce them. Collective over comm.

    Parameters
    ----------
    bound : BoundKernel
        What is evaluated.
    comm : Comm
        The ranks.
    schedule : str
        stride, slice or dynamic.
    workers : int or "auto"
        Worker processes in each rank. With 1 the rank evaluates its blocks itself; "auto" is its share of the cores.
    keep_partials : bool
        Whether to keep the partial of each block, for plans of up to :data:`MOST_KEPT_PARTIALS` blocks.
    progress : callable
        Called on the root with the fraction that is done, now and then.
    notify : callable
        Called on the root with what the user should know.

    Returns
    -------
    Result or None
        The result on the root, None elsewhere.

    Raises
    ------
    RunFailed
        On all ranks, if a block failed on any, with the same message.
    BadInput
        If there is no such schedule.
    """
    keep_partials = keep_partials and bound.plan.n_blocks <= MOST_KEPT_PARTIALS
    count = _number_of_workers(comm, workers)
    with _evaluator(bound, comm, count, keep_partials) as evaluator:
        _agree(comm, evaluator.wait_until_ready())
        _advise(comm, evaluator.cores, count, notify)
        blocks_share, counter = share(schedule, bound.plan.n_blocks, comm, count)
        tally = Tally(bound, bound.kernel.reduction.start(), evaluator.records)
        comm.barrier()
        began = time.perf_counter()
        try:
            report = progress if comm.is_root else _no_progress
            _agree(comm, evaluator.evaluate(blocks_share, tally, comm.stop_posted, report))
            total = comm.reduce(tally.total, _guarded(bound.kernel.reduction.merge))
            elapsed = time.perf_counter() - began
        except RunFailed:  # on all ranks, hence the collective call is safe; after any other exception it would hang
            counter.free()
            raise
        counter.free()
    gathered = comm.gather((comm.host, tally.records, tally.partials))
    outcome = _finish(bound, total) if comm.is_root else None
    failure = comm.bcast(outcome if isinstance(outcome, Failure) else None)
    if failure is not None:
        raise RunFailed(failure.message(0, comm.host))
    if not comm.is_root:
        return None
    result = Result(
        outcome=outcome,
        name=bound.kernel.name,
        parameters=bound.parameters,
        plan=bound.plan,
        seed=bound.seed,
        schedule=schedule,
        workers=count,
        elapsed=elapsed,
        library=comm.library,
        hosts=[host for host, _, _ in gathered],
        records=[record for _, records, _ in gathered for record in records],
        partials={index: partial for *_, partials in gathered for index, partial in partials.items()},
    )
    assert result.evaluated_blocks == bound.plan.n_blocks, "the shares of the schedule are not the plan"
    return result


class _InRank:
    """The evaluator of a rank without a pool: the rank itself. Has the methods of Workers."""

    def __init__(self, bound: BoundKernel, comm: Comm, keep_partials: bool) -> None:
        self._bound = bound
        self._function = bound.evaluator()
        self._keep_partials = keep_partials
        self.records = [Record(comm.rank, comm.host, os.getpid())]
        self.cores = 1

    def wait_until_ready(self) -> Failure | None:
        return None

    def evaluate(
        self, share: Share, tally: Tally, stop: Callable[[], bool], progress: Callable[[float], None]
    ) -> Failure | None:
        while (chunk := share.take()) is not None:
            outcome = evaluate(self._bound, self._function, chunk, keep_partials=self._keep_partials, stop=stop)
            failure = tally.add(outcome, self.records[0])
            if failure is not None or stop():
                return failure
            share.note(outcome.blocks, outcome.seconds)
            progress(share.fraction_taken)
        return None


def _evaluator(
    bound: BoundKernel, comm: Comm, count: int, keep_partials: bool
) -> contextlib.AbstractContextManager[_InRank | Workers]:
    if count == 1:
        return contextlib.nullcontext(_InRank(bound, comm, keep_partials))
    from mpipar.runtime.workers import Workers  # multiprocessing takes time to load

    return Workers(bound, count, rank=comm.rank, host=comm.host, keep_partials=keep_partials)


def _number_of_workers(comm: Comm, workers: int | str) -> int:
    """Return the number of workers of this rank. Collective over comm for "auto"."""
    if workers != "auto":
        return int(workers)
    local_rank, affinities = comm.node_neighbours(node.affinity())
    return node.share_of_cores(affinities, local_rank)


def _advise(comm: Comm, cores: int, workers: int, notify: Callable[[str], None]) -> None:
    """Tell the user if a rank's workers were pinned to too few cores. Collective over comm."""
    if workers == 1:
        return
    advice = node.pinning_advice(cores, workers)
    pinned = [(rank, host, text) for rank, (host, text) in enumerate(comm.gather((comm.host, advice))) if text]
    if pinned:
        rank, host, text = pinned[0]
        others = f" (and {len(pinned) - 1} more)" if len(pinned) > 1 else ""
        notify(f"rank {rank} on host {host}{others}: {text}")


def _agree(comm: Comm, failure: Failure | None) -> None:
    """Raise RunFailed on all ranks if there is a failure on any. Collective over comm."""
    message = failure.message(comm.rank, comm.host) if failure else ""
    if failure is not None:
        comm.post_stop()
    first = comm.agree(failure is not None, lambda: print(f"mpipar: {message}", file=sys.stderr))
    if first is not None:
        raise RunFailed(comm.bcast(message, root=first))


def _guarded(merge: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return ``merge`` with exceptions turned into a Failure, which wins: a rank must not leave a reduction early."""

    def guarded(total: Any, other: Any) -> Any:
        for side in (total, other):
            if isinstance(side, Failure):
                return side
        try:
            return merge(total, other)
        except Exception as error:
            return Failure("combining the totals of ranks", one_line(error), traceback.format_exc())

    return guarded


def _finish(bound: BoundKernel, total: Any) -> Any:
    """Return the result of a total, or the Failure to make one."""
    if isinstance(total, Failure):
        return total
    try:
        return bound.result(total)
    except Exception as error:
        return Failure("making the result", one_line(error), traceback.format_exc())
