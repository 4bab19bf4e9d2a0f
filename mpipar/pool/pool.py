"""The Pool everybody knows, over ranks."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from mpipar.pool.async_result import AsyncResult, Callback, MapResult
from mpipar.pool.common import have_common
from mpipar.pool.list_job import ListJob
from mpipar.pool.pool_runtime import process_runtime
from mpipar.pool.process_view import ProcessView
from mpipar.pool.streaming_job import FedJob


class Pool:
    """Worker processes that do tasks: as :class:`multiprocessing.pool.Pool`, but those of all
    ranks.

    Under a launcher each rank has one worker process, or as many as ``mpipar run --workers`` says;
    ranks other than the root serve where they reach ``Pool(…)``, and end with the root. Without a
    launcher it is a pool on this node. Inside a worker, tasks are done by that worker. Collective
    over all ranks, at the first call.

    Parameters
    ----------
    processes : int, optional
        Number of worker processes, without a launcher; by default one for each core.
    initializer : callable, optional
        Called in each worker process at its start.
    initargs : tuple
        Its arguments.
    maxtasksperchild : int, optional
        After so many tasks (or chunks of ``chunksize`` tasks) a worker process is replaced by a new
        one.
    context : optional
        Ignored: how processes start is not the script's choice here.
    retries : int
        How often a task is tried again after its worker has died. With 0, no task is ever begun
        twice.

    Raises
    ------
    BadInput
        If the launcher started several copies, but MPI can't be loaded or sees one rank alone.

    Examples
    --------
    >>> with Pool(2) as pool:
    ...     pool.map(abs, [-1, 2, -3])
    [1, 2, 3]
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: object = None,
        *,
        retries: int = 1,
    ) -> None:
        if processes is not None and processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if maxtasksperchild is not None and (
            not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0
        ):
            raise ValueError("maxtasksperchild must be a positive int or None")
        self._session = process_runtime.open_pool(
            processes, initializer, initargs, maxtasksperchild, retries
        )
        self._state = "RUN"
        self._finalizer = weakref.finalize(self, self._session.close)
        self._finalizer.atexit = False  # the engine looks after that

    def __repr__(self) -> str:
        return (
            f"<{type(self).__module__}.{type(self).__qualname__} state={self._state}"
            f" pool_size={self._processes}>"
        )

    def __reduce__(self) -> NoReturn:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def __enter__(self) -> Pool:
        self._check_running()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    @property
    def _processes(self) -> int:
        """Number of workers; programs look at it, though its name is private in multiprocessing,
        too.
        """
        return self._session.size

    @property
    def _pool(self) -> list[ProcessView]:
        """The worker processes; programs look at their pids, and whether they are alive."""
        return self._session.processes()

    def _repopulate_pool(self) -> None:
        """Do nothing: workers that end are replaced without being asked; programs call this, though
        it is private.
        """

    def __del__(self) -> None:
        if getattr(self, "_state", None) == "RUN":
            warnings.warn(
                f"unclosed running multiprocessing pool {self!r}",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )

    def _check_running(self) -> None:
        if self._state != "RUN":
            raise ValueError("Pool not running")

    def apply(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] | None = None,
    ) -> Any:
        """Return ``func(*args, **kwds)``, done by a worker."""
        return self.apply_async(func, args, kwds).get()

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: dict[str, Any] | None = None,
        callback: Callback | None = None,
        error_callback: Callback | None = None,
    ) -> AsyncResult:
        """Have ``func(*args, **kwds)`` done, and return the result to come."""
        self._check_running()
        result = AsyncResult(self, callback, error_callback)
        self._session.call(func, tuple(args), dict(kwds or {}), result)
        return result

    def map(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
    ) -> list[Any]:
        """Return ``[func(item) for item in iterable]``; see :meth:`map_async`."""
        return self._map(func, "map", iterable, chunksize, None, None, waits=True).get()  # type: ignore[no-any-return]

    def map_async(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callback | None = None,
        error_callback: Callback | None = None,
    ) -> AsyncResult:
        """Have ``func`` done for each item, and return the list of values to come.

        If tasks raise exceptions, all others are done nevertheless, and that of the first item is
        raised.

        Parameters
        ----------
        func : callable
        iterable : iterable
        chunksize : int, optional
            How many tasks a worker gets together at least. Short tasks are handed out together in
            any case.
        callback, error_callback : callable, optional
            Called with the list, or with the exception, in a thread of its own, before the result
            is ready.
        """
        return self._map(func, "map", iterable, chunksize, callback, error_callback)

    def starmap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[Any]:
        """Return ``[func(*item) for item in iterable]``; see :meth:`map_async`."""
        return self._map(func, "star", iterable, chunksize, None, None, waits=True).get()  # type: ignore[no-any-return]

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callback | None = None,
        error_callback: Callback | None = None,
    ) -> AsyncResult:
        """Have ``func(*item)`` done for each item; see :meth:`map_async`."""
        return self._map(func, "star", iterable, chunksize, callback, error_callback)

    def _map(
        self,
        func: Callable[..., Any],
        kind: str,
        iterable: Iterable[Any],
        chunksize: int | None,
        callback: Callback | None,
        error_callback: Callback | None,
        *,
        waits: bool = False,
    ) -> AsyncResult:
        self._check_running()
        items: Sequence[Any]
        if isinstance(iterable, range):
            items = iterable
        else:
            items = list(iterable)
        result = MapResult(self, callback, error_callback)
        if not items:
            result._outcome = []
            result._event.set()
            return result
        unit = chunksize or default_chunksize(len(items), self._session.size)
        is_chunked = have_common(items)
        if is_chunked:
            unit = self._session.tasks_that_share(unit)
        recalled = self._session.recalled(func, kind, items)
        if not waits and is_chunked:
            items = self._session.snapshots.chunks(items, unit)
        elif not waits:
            items = self._session.snapshots.items(items)
        job = ListJob(
            func,
            kind,
            items,
            result.put,
            chunksize=chunksize or None,
            unit=unit,
            is_chunked=is_chunked,
        )
        if recalled is not None:
            job.recall(recalled)
        self._session.submit(job, waits=waits)
        return result

    def imap(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int = 1,
    ) -> FedJob:
        """Return an iterator over ``func(item)`` in the order of the items.

        Items are taken from the iterable as they are needed, which may be endless; memory stays
        bounded.

        Parameters
        ----------
        func : callable
        iterable : iterable
        chunksize : int
            How many tasks a worker gets together at least. Short tasks are handed out together in
            any case.

        Returns
        -------
        iterator
            Its ``next(timeout)`` raises multiprocessing.TimeoutError if the value isn't there after
            so many seconds.
        """
        return self._imap(func, iterable, chunksize, ordered=True)

    def imap_unordered(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int = 1,
    ) -> FedJob:
        """Return an iterator over ``func(item)`` in any order, as values come; see :meth:`imap`."""
        return self._imap(func, iterable, chunksize, ordered=False)

    def _imap(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int,
        *,
        ordered: bool,
    ) -> FedJob:
        self._check_running()
        if chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize:n}")
        job = FedJob(
            func,
            "map",
            **self._session.fed(func, "map", iterable, chunksize),
            ordered=ordered,
            wake=self._session.wake,
            owner=self,
        )
        self._session.submit(job)
        return job

    def close(self) -> None:
        """Take no more tasks; the workers end when all are done."""
        if self._state == "RUN":
            self._state = "CLOSE"
            self._session.close()

    def terminate(self) -> None:
        """End the workers at once, whatever they do. Results that haven't come raise
        PoolTerminated.
        """
        self._state = "TERMINATE"
        self._finalizer.detach()
        self._session.terminate()

    def join(self) -> None:
        """Wait for the workers to end, after :meth:`close` or :meth:`terminate`. Raises ValueError
        before.
        """
        if self._state == "RUN":
            raise ValueError("Pool is still running")
        self._session.wait()


def default_chunksize(tasks: int, workers: int) -> int:
    """Return how many tasks multiprocessing would hand out together."""
    return -(-tasks // (4 * workers))
