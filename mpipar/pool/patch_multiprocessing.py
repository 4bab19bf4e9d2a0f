"""The names of multiprocessing and concurrent.futures standing for mpipar's."""

from __future__ import annotations

import concurrent.futures
import concurrent.futures.process
import multiprocessing
import multiprocessing.context
import multiprocessing.pool
import sys
from types import ModuleType
from typing import Any

from mpipar.pool import importing, watched
from mpipar.pool.arrivals import on_arrival
from mpipar.pool.executor import Executor
from mpipar.pool.joblib_hook import register
from mpipar.pool.manager import Manager
from mpipar.pool.pool import Pool
from mpipar.pool.pool_runtime import process_runtime


def install() -> None:
    """Let the names that scripts take from multiprocessing and concurrent.futures stand for
    mpipar's, and joblib know its backend.
    """

    def cpu_count() -> int:
        """Return the number of workers of all ranks."""
        if watched.is_watching():
            return importing.cpu_count()
        return sum(process_runtime.workers_of_pool(process_runtime.attend(), None))

    stand_ins: list[tuple[Any, dict[str, Any]]] = [
        (multiprocessing, {"Pool": Pool, "Manager": Manager, "cpu_count": cpu_count}),
        (_copy_of_pool_module(), {"Pool": Pool}),
        (
            multiprocessing.context.BaseContext,  # what get_context("spawn") and the like return
            {
                "Pool": lambda _, *arguments, **options: Pool(*arguments, **options),
                "Manager": lambda _: Manager(),
                "cpu_count": lambda _: cpu_count(),
            },
        ),
        (concurrent.futures, {"ProcessPoolExecutor": Executor}),
        (concurrent.futures.process, {"ProcessPoolExecutor": Executor}),
    ]
    for place, names in stand_ins:
        for name, value in names.items():
            setattr(place, name, value)
    on_arrival("joblib.parallel", lambda _: register())


def _copy_of_pool_module() -> ModuleType:
    """Put a copy in the place of ``multiprocessing.pool``, and return it: the module's own
    ThreadPool uses its Pool.
    """
    copy = ModuleType("multiprocessing.pool")
    vars(copy).update(vars(multiprocessing.pool))
    sys.modules["multiprocessing.pool"] = multiprocessing.pool = copy
    return copy
