"""The pool of worker processes inside a rank.

::

    rank ──────────────┐   a socket to each worker: a chunk of block numbers there,
      share.take()     │   the combined partials of the chunk back
                       ├──▶ worker 0     evaluator = Evaluator(task)
      tally.add(…)  ◀──┤    worker 1     evaluator.evaluate(chunk)
                       └──▶ …

A socket for each worker, and no shared queue, means that a worker that dies can't take a lock with
it: it is replaced, and the blocks that it had are evaluated again, one by one, so that a block that
kills its workers becomes known.
"""

from __future__ import annotations

import errno
from collections import Counter
from types import TracebackType

from mpipar.base.errors import BadInput
from mpipar.core.blocks import Blocks
from mpipar.runtime.between_blocks import BetweenBlocks
from mpipar.runtime.channel import Frames
from mpipar.runtime.crew import Berth, Broken, Crew, Event, Lost, Message, Ready, in_process
from mpipar.runtime.evaluate import POLL_SECONDS, Task
from mpipar.runtime.failure import Failure, Skipped, items_of, one_line
from mpipar.runtime.outlets import warn
from mpipar.runtime.pool_worker import packed, prepare, serve, task_as_frames, unpacked
from mpipar.runtime.progress_state import ProgressState, Record
from mpipar.runtime.schedule import Share
from mpipar.runtime.stopwatch import Stopwatch

MOST_DEATHS = 3
"""A block has failed when so many workers have died of it."""


class _Worker(Berth):
    """A berth in the pool, and what is known of the worker that is there now.

    Attributes
    ----------
    record : Record
        What it has done.
    chunk : Blocks or None
        What it evaluates.
    since : float
        When it got that, by the stopwatch of its rank.
    cores : int
        How many cores it may run on; 0 until it is ready.
    broken : Failure or None
        Why it can't get ready.
    lost : str
        Why it has died; empty as long as it lives.
    """

    record: Record

    def __init__(self) -> None:
        super().__init__()
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was known of the last one."""
        self.chunk: Blocks | None = None
        self.since = 0.0
        self.cores = 0
        self.broken: Failure | None = None
        self.lost = ""


def _explained(error: Exception) -> str:
    """Return why a process could not be started."""
    reason = one_line(error)
    if getattr(error, "errno", 0) == errno.EMFILE:
        reason += " (ulimit -n: the limit of open files)"
    return reason


class PoolEvaluator:
    """A pool that evaluates chunks of blocks; a context manager.

    Parameters
    ----------
    task : Task
        What is evaluated.
    count : int
        Number of worker processes.
    rank : int
        Rank of this process, for the records.
    host : str
        Its node.
    block_timeout : float, optional
        Seconds after which a block has failed, but for those that the job was suspended.

    Attributes
    ----------
    records : list of Record
        One for each worker, also of those that have died.
    """

    def __init__(
        self,
        task: Task,
        count: int,
        *,
        rank: int,
        host: str,
        block_timeout: float | None = None,
    ) -> None:
        try:
            greeting = task_as_frames(task)
        except Exception as error:
            raise BadInput(
                f"workers: the kernel can't be sent to workers ({one_line(error)})"
            ) from None
        prepare()
        self._task, self._rank, self._host = task, rank, host
        self._timeout = float("inf") if block_timeout is None else block_timeout
        self._spent = Stopwatch(POLL_SECONDS)  # a job may be suspended
        self._again: list[Blocks] = []  # single blocks of workers that have died
        self._failures: Counter[int] = Counter()  # {block: how often it failed that way}
        self.records: list[Record] = []
        self._crew = self._new_crew(greeting)
        self._workers: list[_Worker] = []
        self._problem: Failure | None = None  # why there aren't all
        try:
            self._start_all(count)
        except BaseException:  # Ctrl-C, and there is no context yet that would end them
            self._end()
            raise

    def _new_crew(self, greeting: Frames) -> Crew[_Worker]:
        try:
            return Crew(in_process(serve), lambda worker: greeting)
        except OSError as error:
            raise BadInput(f"workers: {_explained(error)}") from None

    def _start_all(self, count: int) -> None:
        while len(self._workers) < count and self._problem is None:
            worker = _Worker()
            self._workers.append(worker)
            self._problem = self._start(worker)

    def _start(self, worker: _Worker) -> Failure | None:
        """Start a worker in an empty berth; return why that can't be done."""
        try:
            self._crew.start(worker)
        except (OSError, EOFError) as error:
            return Failure("starting a worker", _explained(error))
        assert worker.pid is not None
        worker.record = Record(self._rank, self._host, worker.pid)
        worker.begin_anew()
        self.records.append(worker.record)
        return None

    def __enter__(self) -> PoolEvaluator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        idle = [worker for worker in self._workers if worker.chunk is None]
        for worker in idle:
            self._crew.retire(worker)
        self._crew.kill(*self._workers)  # whose blocks are no longer wanted
        self._crew.end()

    def wait_until_ready(self) -> Failure | None:
        """Wait until all workers have loaded the kernel; return why one can't. Those that die are
        replaced.
        """
        for worker in self._workers:
            while self._problem is None and not worker.cores:
                for event in self._crew.wait(POLL_SECONDS):
                    self._note(event)
                self._problem = self._replace_stillborn(worker)
        return self._problem

    @property
    def cores(self) -> int:
        """How many cores a worker may run on."""
        return min(worker.cores for worker in self._workers)

    def evaluate(
        self,
        share: Share,
        tally: ProgressState,
        watch: BetweenBlocks,
    ) -> Failure | None:
        """Evaluate this rank's share, until nothing is left, a block fails or the watch says stop.

        Blocks in flight are finished in any case but a failure.
        """
        self._again.clear()
        while True:
            stopping = watch.stop()
            if not stopping:
                self._hand_out(share)
            if self._is_idle() and (stopping or self._has_ready()):
                return None
            failure = (
                self._take_in(share, tally)
                or self._replace_failing(tally)
                or watch.chunk_done(share.fraction_taken)
            )
            if failure is not None:
                return failure

    def _hand_out(self, share: Share) -> None:
        """Give a chunk to each worker that is ready and has none, as far as there are any."""
        for worker in self._workers:
            if worker.chunk is None and worker.cores:
                chunk = self._again.pop() if self._again else share.take()
                if chunk is not None:
                    worker.chunk, worker.since = chunk, self._spent()
                    self._crew.send(worker, packed(chunk))

    def _is_idle(self) -> bool:
        return all(worker.chunk is None for worker in self._workers)

    def _has_ready(self) -> bool:
        """Return whether a worker has looked for a chunk: those that have just been replaced
        haven't.
        """
        return any(worker.cores for worker in self._workers)

    def _take_in(self, share: Share, tally: ProgressState) -> Failure | None:
        """Wait a moment, and take in what workers have sent; return why the run can't go on."""
        for event in self._crew.wait(POLL_SECONDS):
            if not isinstance(event, Message):
                self._note(event)
                continue
            worker, outcome = event.berth, unpacked(event.frames)
            chunk, worker.chunk = worker.chunk, None
            assert chunk is not None
            share.note(outcome.handled, outcome.seconds)
            failure = tally.add(chunk, outcome, worker.record)
            if failure is not None:
                return failure._replace(where=f"worker {worker.record.pid}, {failure.where}")
        return None

    def _note(self, event: Event[_Worker]) -> None:
        """Note what has become of a worker."""
        worker = event.berth
        match event:
            case Ready():
                worker.cores = int(bytes(event.frames[0]))
            case Broken():
                worker.broken = unpacked(event.frames)
            case Lost():
                worker.lost = event.reason

    def _replace_failing(self, tally: ProgressState) -> Failure | None:
        """Replace workers that have died or take too long; return why the run can't go on.

        One that has died without a chunk is replaced when it has been given one.
        """
        now = self._spent()
        for worker in self._workers:
            may_be_late = now - worker.since > self._timeout
            if worker.lost or worker.broken is not None or may_be_late:
                failure = self._replace_stillborn(worker) or self._replace_at_work(worker, tally)
                if failure is not None:
                    return failure
        return None

    def _replace_stillborn(self, worker: _Worker) -> Failure | None:
        """Replace a worker if it has died before it was ready; return why the run can't go on."""
        if worker.broken is not None or worker.cores or not worker.lost:
            return worker.broken
        if worker.stillborn == MOST_DEATHS:
            return Failure(
                f"worker {worker.record.pid}, before its first block",
                f"{worker.lost}, {MOST_DEATHS} times",
            )
        self._tell(worker, f"before its first block: {worker.lost}")
        return self._start(worker)

    def _replace_at_work(self, worker: _Worker, tally: ProgressState) -> Failure | None:
        """Replace a worker if it has died at a chunk, or is late and has sent nothing; return why
        the run can't go on.
        """
        if worker.chunk is None:
            return None
        if worker.lost:
            return self._replace_lost(worker, tally, worker.lost, MOST_DEATHS)
        if self._crew.has_sent(worker):
            return None
        reason = f"took more than {self._timeout:g} s"
        return self._replace_lost(
            worker,
            tally,
            reason,
            1 + self._task.on_error.retries,
        )

    def _tell(self, worker: _Worker, what: str) -> None:
        where = f"rank {self._rank} on host {self._host}, worker {worker.record.pid}"
        warn(f"{where}, {what}; it is replaced")

    def _replace_lost(
        self,
        worker: _Worker,
        tally: ProgressState,
        reason: str,
        most: int,
    ) -> Failure | None:
        """Replace a worker that has died or hangs, and have its blocks evaluated again; return why
        the run can't go on.

        Parameters
        ----------
        worker : _Worker
        tally : ProgressState
        reason : str
            What became of it.
        most : int
            A block has failed when this has happened to it so often.
        """
        chunk = worker.chunk
        assert chunk is not None
        first, last = chunk.ranges[0][0], chunk.ranges[-1][-1]
        blocks = f"block {first}" if chunk.count == 1 else f"one of blocks {first} to {last}"
        self._tell(worker, f"{blocks}: {reason}")
        pid = worker.record.pid
        self._crew.kill(worker)
        failure = self._start(worker)
        if failure is not None:
            return failure
        tally.lost_workers += 1
        if chunk.count > 1:
            self._again += [chunk[position : position + 1] for position in range(chunk.count)]
            return None
        self._failures[first] += 1
        if self._failures[first] < most:
            tally.retried += 1
            self._again.append(chunk)
            return None
        block = self._task.bound.plan[first]
        if self._task.on_error.skip:
            tally.new.skipped.append(Skipped.of(block, reason))
            return None
        times = f", {most} times" if most > 1 else ""
        return Failure(f"worker {pid}, {items_of(block)}", f"{reason}{times}")
