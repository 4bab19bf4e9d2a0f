"""Pools of ten libraries behind one face, each used as its own documentation recommends. Imports
each only when asked.

``map`` is how one writes it at first. ``best`` hands over ``chunk`` items at once, in the way that
the library's own documentation names for short tasks (for long ones, chunk is 1). ``large`` takes
big arrays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Function = Callable[[Any], Any]
Items = Sequence[Any]


class Contestant:
    """A pool whose map is called ``map`` and takes a chunksize, as that of multiprocessing does."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    def map(self, function: Function, items: Items) -> list[Any]:
        """Return the results, as one writes it at first."""
        return list(self.pool.map(function, items))

    def best(self, function: Function, items: Items, chunk: int) -> list[Any]:
        """Return the results, with ``chunk`` items handed over at once."""
        return list(self.pool.map(function, items, chunksize=chunk))

    def large(self, function: Function, arrays: Items) -> list[Any]:
        """Return the results for large arrays."""
        return self.best(function, arrays, 1)


class Unaided(Contestant):
    """mpipar needs no chunksize: what is best is what comes."""

    def best(self, function: Function, items: Items, chunk: int) -> list[Any]:
        """Return the results, with ``chunk`` items handed over at once."""
        return self.map(function, items)


class Joblib(Contestant):
    """joblib: batches are its own affair unless a batch_size is given; arrays go through
    memory-mapped files.
    """

    def map(self, function: Function, items: Items) -> list[Any]:
        """Return the results, as one writes it at first."""
        from joblib import delayed

        return list(self.pool(delayed(function)(item) for item in items))

    def best(self, function: Function, items: Items, chunk: int) -> list[Any]:
        """Return the results, with ``chunk`` items handed over at once."""
        self.pool.batch_size = chunk
        try:
            return self.map(function, items)
        finally:
            self.pool.batch_size = "auto"

    def large(self, function: Function, arrays: Items) -> list[Any]:
        """Return the results for large arrays."""
        return self.map(function, arrays)


class Mpire(Contestant):
    """mpire calls it chunk_size, and makes one array of arrays unless told otherwise."""

    def best(self, function: Function, items: Items, chunk: int) -> list[Any]:
        """Return the results, with ``chunk`` items handed over at once."""
        return list(
            self.pool.map(function, items, chunk_size=chunk, concatenate_numpy_output=False)
        )


class InBatches(Contestant):
    """Libraries without a chunksize, whose documentation says to make tasks of several items where
    they are short.
    """

    def best(self, function: Function, items: Items, chunk: int) -> list[Any]:
        """Return the results, with ``chunk`` items handed over at once."""
        if chunk == 1:
            return self.map(function, items)
        batches = [
            (function, items[start : start + chunk]) for start in range(0, len(items), chunk)
        ]
        return [value for values in self.map(whole_batch, batches) for value in values]


def whole_batch(batch: tuple[Function, Items]) -> list[Any]:
    function, items = batch
    return [function(item) for item in items]


class Dask(InBatches):
    """dask.distributed: futures of a client; large arguments are scattered first."""

    def map(self, function: Function, items: Items) -> list[Any]:
        """Return the results, as one writes it at first."""
        return list(self.pool.gather(self.pool.map(function, list(items), pure=False)))

    def large(self, function: Function, arrays: Items) -> list[Any]:
        """Return the results for large arrays."""
        return self.map(function, self.pool.scatter(list(arrays), hash=False))


class Ray(InBatches):
    """ray: one remote task an item; large arguments go through its store of objects."""

    def map(self, function: Function, items: Items) -> list[Any]:
        """Return the results, as one writes it at first."""
        remote = self.pool.remote(function)
        return list(self.pool.get([remote.remote(item) for item in items]))


@contextlib.contextmanager
def mpipar(workers: int) -> Iterator[Contestant]:
    from mpipar import Pool

    with Pool(workers) as pool:
        yield Unaided(pool)


@contextlib.contextmanager
def multiprocessing(workers: int) -> Iterator[Contestant]:
    from multiprocessing import Pool

    with Pool(workers) as pool:
        yield Contestant(pool)


@contextlib.contextmanager
def futures(workers: int) -> Iterator[Contestant]:
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(workers) as pool:
        yield Contestant(pool)


@contextlib.contextmanager
def joblib(workers: int) -> Iterator[Contestant]:
    from joblib import Parallel

    with Parallel(n_jobs=workers) as pool:
        yield Joblib(pool)


@contextlib.contextmanager
def mpire(workers: int) -> Iterator[Contestant]:
    from mpire import WorkerPool

    with WorkerPool(n_jobs=workers, keep_alive=True) as pool:
        yield Mpire(pool)


@contextlib.contextmanager
def multipool(workers: int) -> Iterator[Contestant]:
    from schwimmbad import MultiPool

    with MultiPool(workers) as pool:
        yield Contestant(pool)


@contextlib.contextmanager
def mpipool(workers: int) -> Iterator[Contestant]:
    import sys

    from schwimmbad import MPIPool

    with MPIPool() as pool:
        if not pool.is_master():
            pool.wait()
            sys.exit(0)
        assert pool.size == workers, (pool.size, workers)
        yield InBatches(pool)


@contextlib.contextmanager
def mpi4py_futures(workers: int) -> Iterator[Contestant]:
    from mpi4py.futures import MPIPoolExecutor

    with MPIPoolExecutor(workers) as pool:
        yield Contestant(pool)


@contextlib.contextmanager
def mpi4py_spinning(workers: int) -> Iterator[Contestant]:
    from mpi4py.futures import MPIPoolExecutor

    with MPIPoolExecutor(workers, backoff=0.0) as pool:
        yield Contestant(pool)


@contextlib.contextmanager
def dask(workers: int) -> Iterator[Contestant]:
    from dask.distributed import Client

    # Any free port, as a second dask on this machine would warn otherwise.
    with Client(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as client:
        yield Dask(client)


@contextlib.contextmanager
def ray(workers: int) -> Iterator[Contestant]:
    import ray

    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        yield Ray(ray)
    finally:
        ray.shutdown()
