"""The workers of all ranks as a backend of joblib.

::

    Parallel ──BatchedCalls──▶ submit ──pickle──▶ Session.call ──▶ a worker
       ▲                                                              │
       └──callback, which submits the next── a thread of the team ◀───┘

Tasks are pickled as joblib's own backend does it: what they use of the main script travels with
each batch, as it is at that moment.
"""

from __future__ import annotations

import os
import pickle
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import cloudpickle
from joblib.parallel import (
    AutoBatchingMixin,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
)

from mpipar.pool import worker_manager
from mpipar.pool.engine import Engine
from mpipar.pool.jobs import Raised
from mpipar.pool.pool_runtime import process_runtime

_idle: list[_Team] = []  # at most one: the next Parallel is likely to want the same


class MpiparBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """What ``joblib.parallel_config(backend="mpipar")`` stands for: worker processes of all ranks.

    Under a launcher each rank has one worker process, or as many as ``mpipar run --workers`` says,
    and ``n_jobs`` says how many of these are used at most. Without a launcher, that many are
    started on this node, by default one for each core. They stay for the next call. Inside a task,
    joblib's own choice is in effect: threads, if any.

    Parameters
    ----------
    retries : int
        How often a batch of tasks is tried again after its worker has died. With 0, no task is ever
        begun twice.

    Examples
    --------
    >>> with joblib.parallel_config(backend="mpipar"):  # doctest: +SKIP
    ...     scores = cross_val_score(model, X, y)
    """

    default_n_jobs = -1  # who names this backend wants its workers
    supports_retrieve_callback = True
    parallel: Any = None  # whose own this is

    def __init__(self, *, retries: int = 1, **options: Any) -> None:
        if retries < 0:
            raise ValueError(f"retries must be 0 or more, got {retries}")
        super().__init__(**options)
        self._retries = retries
        self._n_jobs = 1
        self._team: _Team | None = None
        self._is_aborted = False
        self._lock = threading.Lock()  # of these two

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many workers there are for ``n_jobs``; -1 is all. Collective at the first
        call, as a pool is.
        """
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs == 1 or not worker_manager.may_have_children():
            return 1
        return sum(_workers(process_runtime.attend(), n_jobs))

    def configure(
        self,
        n_jobs: int | None = 1,
        parallel: Any = None,
        **options: Any,
    ) -> int:
        """Return how many workers there will be; they start with the first task."""
        self._n_jobs = self.effective_n_jobs(n_jobs)
        if self._n_jobs == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        if (
            parallel is not self.parallel
        ):  # this is parallel_config's, for all calls: which may be in one another
            own = MpiparBackend(
                retries=options.get("retries", self._retries), nesting_level=self.nesting_level
            )
            own.parallel = parallel
            raise FallbackToBackend(own)
        return self._n_jobs

    def start_call(self) -> None:
        """Begin."""
        self._is_aborted = False

    def submit(self, func: Any, callback: Callable[[Any], object] | None = None) -> Any:
        """Have a batch of tasks done; afterwards, ``callback`` is called with the outcome."""
        with self._lock:
            if self._is_aborted:  # meanwhile
                return None
            if self._team is None:
                self._team = _hire(self._n_jobs, self._retries)
            team = self._team
        call: Any = _Call(team, callback)
        recall = team.session.recall
        if recall is not None:
            from mpipar.pool.joblib_recall import in_part

            func, call = in_part(func, call, recall)
            if func is None:
                return call
        try:
            batch = _Batch(func)
        except (
            Exception
        ) as error:  # to be raised where values are fetched, not where the last batch came out
            call.put(Raised(error))
        else:
            team.session.call(batch, (), {}, call, is_kept=False)
        return call

    apply_async = submit  # before joblib 1.5

    def retrieve_result_callback(self, out: Any) -> Any:
        """Return the values of a batch, or raise what a task raised."""
        if type(out) is Raised:
            raise out.error
        return out

    def terminate(self) -> None:
        """Let the workers go: the next call may want them."""
        team = self._let_go()
        if team is not None:
            team.rest()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """End the workers, whatever they do. There will be new ones for the next call."""
        team = self._let_go(is_aborted=True)
        if team is not None:
            team.session.terminate()
            team.end()

    def _let_go(self, *, is_aborted: bool = False) -> _Team | None:
        self.reset_batch_stats()
        with self._lock:
            self._is_aborted |= is_aborted
            team = self._team
            self._team = None
        return team


class _Batch:
    """Tasks of joblib as they travel. Raises whatever pickling them raises."""

    def __init__(self, tasks: Any) -> None:
        self.__qualname__ = getattr(tasks.items[0][0], "__qualname__", "a task")  # for messages
        self._buffers: list[Any] = []
        self._pickled = cloudpickle.dumps(
            tasks,
            protocol=5,
            buffer_callback=self._buffers.append,
        )

    def __call__(self) -> Any:
        return pickle.loads(self._pickled, buffers=self._buffers)()


class _Call:
    """Who wants the outcome of a batch."""

    def __init__(self, team: _Team, callback: Callable[[Any], object] | None) -> None:
        self._team = team
        self._callback = callback

    def start(self) -> bool:
        """Return True: the engine's way to ask whether the result is still wanted."""
        return True

    def cancel(self) -> None:
        """Do nothing: who wants no more results ends the workers."""

    def put(self, outcome: Any) -> None:
        """Take in the outcome."""
        if self._callback is not None:
            self._team.done.put((self._callback, outcome))


class _Team:
    """The workers of a call of Parallel, with a thread for its callbacks: these take tasks from the
    script's iterator.

    That may itself wait for other calls of Parallel, and so may no thread that they need.
    """

    def __init__(
        self,
        engine: Engine,
        workers: list[int],
        retries: int,
    ) -> None:
        self.key = engine, workers, retries
        self.session = engine.session(workers=workers, retries=retries, takes_exit=True)
        self.done: SimpleQueue[tuple[Callable[[Any], object], Any] | None] = SimpleQueue()
        threading.Thread(target=self._call_back, name="mpipar joblib", daemon=True).start()

    def _call_back(self) -> None:
        while (item := self.done.get()) is not None:
            callback, outcome = item
            try:
                callback(outcome)
            except Exception:
                traceback.print_exc()
            del item, callback, outcome  # or the last values would stay

    @property
    def is_fit(self) -> bool:
        """Return whether there may be more calls."""
        return not self.session.is_over

    def rest(self) -> None:
        """Wait for the next call of Parallel, unless others do so already."""
        if _idle or not self.is_fit:
            self.end()
        else:
            _idle.append(self)

    def end(self) -> None:
        """End the workers when they have done what they have."""
        self.session.close()
        self.done.put(None)


def _hire(n_jobs: int, retries: int) -> _Team:
    """Return so many workers that nobody else uses."""
    engine = process_runtime.attend()
    workers = _workers(engine, n_jobs)
    try:
        team = _idle.pop()
    except IndexError:
        return _Team(engine, workers, retries)
    if team.key == (engine, workers, retries) and team.is_fit:
        return team
    team.end()
    return _Team(engine, workers, retries)


def _workers(engine: Engine, n_jobs: int | None) -> list[int]:
    """Return how many workers each rank has when a call of Parallel asks for ``n_jobs``."""
    if n_jobs is None:
        workers = process_runtime.workers_of_pool(engine, None)
        count = sum(workers)
    elif n_jobs < 0:  # -1 is all, -2 all but one, …
        workers = process_runtime.workers_of_pool(engine, None)
        count = max(1, sum(workers) + 1 + n_jobs)
    else:
        workers = process_runtime.workers_of_pool(engine, n_jobs)
        count = min(n_jobs, sum(workers))
    places = []
    for rank, most in enumerate(workers):
        places += [(number, rank) for number in range(most)]
    counts = Counter(rank for _, rank in sorted(places)[:count])
    return [counts[rank] for rank in range(len(workers))]


os.register_at_fork(after_in_child=_idle.clear)
