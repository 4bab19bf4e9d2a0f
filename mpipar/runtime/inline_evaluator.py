"""Evaluating blocks in the rank itself."""

from __future__ import annotations

import os

from mpipar.runtime.between_blocks import BetweenBlocks
from mpipar.runtime.communicator import Comm
from mpipar.runtime.evaluate import Evaluator, Task
from mpipar.runtime.failure import Failure
from mpipar.runtime.progress_state import ProgressState, Record
from mpipar.runtime.schedule import Share


class InlineEvaluator:
    """The evaluator of a rank without a pool. Has the methods of
    :class:`mpipar.runtime.pool_evaluator.PoolEvaluator`.
    """

    def __init__(self, task: Task, comm: Comm) -> None:
        self._task = task
        self._evaluator: Evaluator | None = None
        self.records = [Record(comm.rank, comm.host, os.getpid())]
        self.cores = 1

    def __enter__(self) -> InlineEvaluator:
        return self

    def __exit__(self, *_: object) -> None:
        if self._evaluator is not None:
            self._evaluator.close()

    def wait_until_ready(self) -> Failure | None:
        """Prepare the kernel; return why that can't be done."""
        try:
            self._evaluator = Evaluator(self._task)
        except Exception as error:
            return Failure.of("before its first block", error)
        return None

    def evaluate(
        self,
        share: Share,
        tally: ProgressState,
        watch: BetweenBlocks,
    ) -> Failure | None:
        """Evaluate this rank's share, until nothing is left, a block fails or the watch says
        stop.
        """
        assert self._evaluator is not None
        while not watch.stop():
            chunk = share.take()
            if chunk is None:
                break
            outcome = self._evaluator.evaluate(chunk, watch.stop)
            share.note(outcome.handled, outcome.seconds)
            failure = tally.add(chunk, outcome, self.records[0])
            failure = failure or watch.chunk_done(share.fraction_taken)
            if failure is not None:
                return failure
        return None
