"""A pool, as the script's threads have it: what they hand in goes to the engine's thread."""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from mpipar.pool.dispatch import Dispatch
from mpipar.pool.jobs import Job, Raised, Recalled, name_of
from mpipar.pool.process_view import ProcessView, views
from mpipar.pool.snapshot_maker import Snapshots, listed

_CALLBACK_SECONDS = 0.2  # between looks whether a pool is over, and its callbacks, too

_MOST_LISTED = 2**20  # of a range, whose end nobody may want to see


class Poster(Protocol):
    """What a session needs of the engine."""

    def post(self, dispatch: Dispatch, action: Callable[[], None]) -> None:
        """Have the engine do something for a pool."""

    def new_job_number(self) -> int:
        """Return a number that no job has."""

    def is_current(self) -> bool:
        """Return whether the thread that asks is the engine's."""


class Session:
    """A pool, for the script's threads.

    Parameters
    ----------
    engine : Poster
    dispatch : Dispatch
        What the engine's thread knows of it.

    Attributes
    ----------
    recall : Recall or None
        What need not be evaluated again, where outcomes are kept.
    """

    def __init__(self, engine: Poster, dispatch: Dispatch) -> None:
        self._engine = engine
        self._dispatch = dispatch
        self.recall = dispatch.recall
        self.size = dispatch.size
        self.snapshots = Snapshots(dispatch.definitions)
        self._callbacks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._callback_thread: threading.Thread | None = None

    @property
    def is_over(self) -> bool:
        """Whether its workers have ended, or can't do anything any more."""
        return self._dispatch.ended.is_set() or self._dispatch.error is not None

    @property
    def broken_by(self) -> BaseException | None:
        """Return why its workers can't start, if that is so."""
        return self._dispatch.broken_by

    def processes(self) -> list[ProcessView]:
        """Return the worker processes, when all have started."""
        self._post(self._dispatch.staff.start)
        return views(self._dispatch)

    @property
    def unfinished(self) -> int:
        """Return how many single tasks have no outcome yet."""
        return self._dispatch.calls.unfinished

    def _post(self, action: Callable[[], None]) -> None:
        self._engine.post(self._dispatch, action)

    def recalled(
        self,
        function: Any,
        kind: str,
        items: Iterable[Any],
    ) -> Recalled | None:
        """Return what is known of a job with such items as they are now, where outcomes are kept;
        those of an iterator are still to come.
        """
        if self.recall is None:
            return None
        number = self._engine.new_job_number()
        there = listed(items)
        if there is None:
            return self.recall.stream(function, kind, number)
        return self.recall.items(function, kind, there, number)

    def fed(
        self,
        function: Any,
        kind: str,
        iterable: Iterable[Any],
        chunksize: int,
    ) -> dict[str, Any]:
        """Return parameters of a FedJob: what is known of it, and its items as they are now, or
        what yields them.
        """
        is_long = type(iterable) is range and bool(iterable[_MOST_LISTED:])
        if self.recall is not None and is_long:
            iterable = iter(iterable)  # digests of all of it would take long, and fill the memory
        recalled = self.recalled(function, kind, iterable)
        sharing = self.tasks_that_share(chunksize)
        taken = self.snapshots.container(iterable, sharing)
        if taken.is_chunked:
            chunksize = sharing
        return {
            **taken._asdict(),
            "chunksize": chunksize,
            "recalled": recalled,
        }

    def tasks_that_share(self, chunksize: int) -> int:
        """Return how many tasks, of so many in a chunk, share what their items have in common: none
        where outcomes are kept, as a task is known by its own item.
        """
        if self.recall is None:
            return chunksize
        return 1

    def submit(self, job: Job, *, waits: bool = False) -> None:
        """Have a job done.

        Parameters
        ----------
        job : Job
            Its items as they are now; see :attr:`snapshots`.
        waits : bool
            Whether the script waits for it, so that it can't change its function meanwhile.
        """
        if job.number < 0:
            job.number = self._engine.new_job_number()
        try:
            if waits:
                job.function_frames, job.stamp, job.lent = self.snapshots.live(job.function)
            else:
                job.function_frames, job.stamp, job.lent = self.snapshots.function(job.function)
        except Exception as error:
            job.error = error
        job.start()
        self._post(lambda: self._dispatch.add(job))

    def call(
        self,
        function: Any,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        sink: Any,
        *,
        is_kept: bool = True,
    ) -> None:
        """Have a single task done, with all as it is now; ``is_kept`` is whether what comes out of
        it is, where outcomes are kept.
        """
        try:
            call = self.snapshots.call(function, arguments, keywords)
        except Exception as error:
            call = Raised(error)
        name = name_of(function)
        task = None
        if self.recall is not None and is_kept and type(call) is not Raised:
            task = self.recall.task(function, arguments, keywords, call)
        self._post(lambda: self._dispatch.add_call(name, call, sink, task))

    def later(self, action: Callable[[], None]) -> None:
        """Call back, in a thread for that alone: it may take long, hand in more, or wait for other
        pools.
        """
        if self._callback_thread is None:
            self._callback_thread = threading.Thread(
                target=self._call_back, name="mpipar callbacks", daemon=True
            )
            self._callback_thread.start()
        self._callbacks.put(action)

    def _call_back(self) -> None:
        while not self.is_over or not self._callbacks.empty():
            with contextlib.suppress(Empty):
                action = self._callbacks.get(timeout=_CALLBACK_SECONDS)
                try:
                    action()
                except BaseException:  # of the script's callback
                    traceback.print_exc()
        self._callback_thread = None
        if not self._callbacks.empty():  # it has come just now
            self.later(_nothing)

    def wake(self) -> None:
        """Have the engine look whether there are new tasks."""
        self._post(_nothing)

    def abandon(self, job: Job) -> None:
        """Have a job ended that nobody waits for any more."""
        self._post(lambda: self._dispatch.abandon(job))

    def cancel_waiting(self) -> None:
        """Cancel all single tasks that no worker has, and what is left of all other jobs."""
        self._post(self._dispatch.cancel_waiting)

    def close(self) -> None:
        """End the workers when all is done."""
        self._post(self._dispatch.close)

    def terminate(self) -> None:
        """End the workers at once, and wait for that."""
        self._post(self._dispatch.terminate)
        if not self._engine.is_current():  # a future's callback
            self._dispatch.ended.wait()

    def wait(self) -> None:
        """Wait until all is over, callbacks too; but don't in a callback."""
        is_callback = threading.current_thread() is self._callback_thread
        if not is_callback and not self._engine.is_current():
            self._dispatch.ended.wait()
            if self._callback_thread is not None:
                done = threading.Event()
                self.later(done.set)
                done.wait()


def _nothing() -> None:
    """Do nothing."""
