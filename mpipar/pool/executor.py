"""An executor of concurrent.futures over ranks."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import math
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool, _RemoteTraceback
from itertools import chain, islice, starmap
from multiprocessing import TimeoutError as PoolTimeoutError
from multiprocessing.pool import RemoteTraceback  # type: ignore[attr-defined]
from typing import Any

from mpipar.base.errors import WorkerLost
from mpipar.pool.jobs import Raised
from mpipar.pool.pool_runtime import process_runtime
from mpipar.pool.process_view import ProcessView
from mpipar.pool.session import Session
from mpipar.pool.streaming_job import FedJob

_open: set[Session] = set()
_is_over = False  # whether the script's main part has ended


class TaskLost(WorkerLost, BrokenProcessPool):
    """A task of an executor was given up, as the workers that had it died. The executor itself can
    go on.
    """


def _as_of_an_executor(error: BaseException, session: Session) -> BaseException:
    """Return an exception as users of executors expect it: a BrokenExecutor where workers died, or
    can't start.
    """
    if type(error) is WorkerLost:
        return TaskLost(*error.args)
    cause: Any = error.__cause__
    if type(cause) is RemoteTraceback:
        error.__cause__ = _RemoteTraceback(cause.tb)
    if error is session.broken_by:
        broken = BrokenProcessPool(f"the workers can't start: {type(error).__name__}: {error}")
        broken.__cause__ = error
        return broken
    return error


class _Sink:
    """A future, as the engine sees it."""

    __slots__ = ("_future", "_session")

    def __init__(self, future: concurrent.futures.Future[Any], session: Session) -> None:
        self._future = future
        self._session = session

    def start(self) -> bool:
        """Return whether the future was not cancelled."""
        return self._future.set_running_or_notify_cancel()

    def cancel(self) -> None:
        """Cancel the future."""
        self._future.cancel()

    def put(self, outcome: Any) -> None:
        """Take in the outcome."""
        if self._future._done_callbacks:  # type: ignore[attr-defined]
            self._session.later(
                lambda: self._set(outcome)
            )  # they may take long, and wait for other futures
        else:
            self._set(outcome)

    def _set(self, outcome: Any) -> None:
        if type(outcome) is Raised:
            self._future.set_exception(_as_of_an_executor(outcome.error, self._session))
        else:
            self._future.set_result(outcome)


class Executor(concurrent.futures.Executor):
    """Worker processes of all ranks as a :class:`concurrent.futures.Executor`.

    Where the workers are is as for :class:`mpipar.Pool`. Collective over all ranks, at the first
    call.

    Parameters
    ----------
    max_workers : int, optional
        Number of worker processes, without a launcher; by default one for each core.
    mp_context : optional
        Ignored: how processes start is not the script's choice here.
    initializer : callable, optional
        Called in each worker process at its start.
    initargs : tuple
        Its arguments.
    max_tasks_per_child : int, optional
        After so many tasks a worker process is replaced by a new one.
    retries : int
        How often a task is tried again after its worker has died. With 0, no task is ever begun
        twice.

    Raises
    ------
    BadInput
        If the launcher started several copies, but MPI can't be loaded or sees one rank alone.

    Examples
    --------
    >>> with Executor(2) as executor:
    ...     executor.submit(pow, 2, 10).result()
    1024
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: object = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        *,
        max_tasks_per_child: int | None = None,
        retries: int = 1,
    ) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if max_tasks_per_child is not None and max_tasks_per_child <= 0:
            raise ValueError("max_tasks_per_child must be >= 1")
        self._session = process_runtime.open_pool(
            max_workers, initializer, initargs, max_tasks_per_child, retries, takes_exit=True
        )
        self._is_shut_down = False
        weakref.finalize(self, self._session.close).atexit = False
        _open.difference_update([session for session in _open if session.is_over])
        _open.add(
            self._session
        )  # not this: what was submitted is done even if nobody keeps the executor

    @property
    def _max_workers(self) -> int:
        """Number of workers; programs look at it, though its name is private in concurrent.futures,
        too.
        """
        return self._session.size

    @property
    def _processes(self) -> dict[int, ProcessView]:
        """The worker processes by their pids; the same holds for it."""
        return {process.pid: process for process in self._session.processes()}

    @property
    def _broken(self) -> str | bool:
        """Why the workers can't start, or False; the same holds for it."""
        error = self._session.broken_by
        return False if error is None else f"{type(error).__name__}: {error}"

    @property
    def _pending_work_items(self) -> dict[int, None]:
        """As many as there are tasks without an outcome."""
        return dict.fromkeys(range(self._session.unfinished))

    def submit(
        self,
        fn: Callable[..., Any],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> concurrent.futures.Future[Any]:
        """Have ``fn(*args, **kwargs)`` done, and return a future. Raises RuntimeError after
        :meth:`shutdown`.
        """
        self._check()
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._session.call(fn, args, kwargs, _Sink(future, self._session))
        return future

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """Return an iterator over ``fn(*items)`` in order.

        Parameters
        ----------
        fn : callable
        *iterables : iterable
            Of its arguments.
        timeout : float, optional
            Seconds from now after which :class:`TimeoutError` is raised for a value that isn't
            there.
        chunksize : int
            How many tasks a worker gets together at least. Short tasks are handed out together in
            any case.
        buffersize : int, optional
            How many items are taken from the iterables, at most, before the value of the first is
            fetched; by default all are taken now.
        """
        self._check()
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        if type(self).submit is not Executor.submit and buffersize is None:
            return self._submitted(fn, iterables, timeout, chunksize)
        deadline = None if timeout is None else time.monotonic() + timeout
        arguments: Iterable[Any] = zip(*iterables, strict=False)
        window: float = math.inf
        if buffersize is None:
            arguments = list(arguments)
        else:
            window = buffersize
        job = FedJob(
            fn,
            "star",
            **self._session.fed(fn, "star", arguments, chunksize),
            wake=self._session.wake,
            window=window,
            owner=self,
        )
        self._session.submit(job)
        return _values(self._session, job, deadline)

    def _submitted(
        self,
        fn: Callable[..., Any],
        iterables: tuple[Iterable[Any], ...],
        timeout: float | None,
        chunksize: int,
    ) -> Iterator[Any]:
        """Map by :meth:`submit`, for a class that has one of its own."""
        items = zip(*iterables, strict=False)
        chunks = iter(lambda: list(islice(items, chunksize)), [])
        values = super().map(functools.partial(_calls, fn), chunks, timeout=timeout)
        return chain.from_iterable(values)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; the workers end when all are done.

        Parameters
        ----------
        wait : bool
            Whether to wait for that.
        cancel_futures : bool
            Whether to cancel what no worker has yet.
        """
        if not self._is_shut_down or cancel_futures:
            self._is_shut_down = True
            if cancel_futures:
                self._session.cancel_waiting()
            self._session.close()
        if wait:
            self._session.wait()

    def _check(self) -> None:
        if self._is_shut_down or _is_over:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if self._session.broken_by is not None:
            raise _as_of_an_executor(self._session.broken_by, self._session)


def _calls(function: Callable[..., Any], chunk: list[tuple[Any, ...]]) -> list[Any]:
    return list(starmap(function, chunk))


def _seconds_until(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    return max(0.0, deadline - time.monotonic())


def _values(
    session: Session,
    job: FedJob,
    deadline: float | None,
) -> Iterator[Any]:
    """Yield the values of a job; cancel what is left of it when that is enough."""
    try:
        while True:
            try:
                outcome = job.outcome(_seconds_until(deadline))
            except StopIteration:
                return
            except PoolTimeoutError:
                raise TimeoutError from None
            except BaseException as error:  # there will be no more
                outcome = Raised(error)
            if type(outcome) is Raised:
                raise _as_of_an_executor(outcome.error, session)
            values = [outcome]
            del outcome
            yield values.pop()  # nothing here keeps what the script may want to be rid of
    finally:
        session.abandon(job)


def _shut_down_all() -> None:
    """Have all done that was submitted, as the executors of concurrent.futures do at the end of a
    script.
    """
    for session in list(_open):
        session.close()
    for session in list(_open):
        session.wait()
    _open.clear()


def _end_with_script() -> None:
    global _is_over
    _is_over = True
    _shut_down_all()


process_runtime.before_end(_shut_down_all)
# As concurrent.futures does: before other threads are waited for, which may wait for futures.
with contextlib.suppress(RuntimeError):  # it is too late
    threading._register_atexit(_end_with_script)  # type: ignore[attr-defined]
