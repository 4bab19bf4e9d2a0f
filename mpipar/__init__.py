"""Run a kernel over MPI ranks, a node-local pool, or both, and get the same bits every time.

Names are loaded when they are first used: ``import mpipar`` loads neither MPI, HDF5 nor NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mpipar._version import __version__

if TYPE_CHECKING:
    from mpipar.base.errors import (
        BadInput,
        BadKernel,
        ItemFailed,
        MpiparError,
        PoolTerminated,
        RunFailed,
        StoppedEarly,
        UnfitResult,
        WorkerLost,
    )
    from mpipar.command.driver import Driver, driver
    from mpipar.command.map import map as map
    from mpipar.command.map_outcomes import Outcomes, mapped
    from mpipar.command.run_kernel import run
    from mpipar.core.ordered import Concatenate, InOrder
    from mpipar.core.parameters import AtLeast, NonNegativeInt, PositiveInt
    from mpipar.core.plan import Block, Plan
    from mpipar.core.reduction import Count, Dataset, Each, Estimate, ExactSum, Reduction
    from mpipar.core.statistics import Histogram, MinMax, Moments
    from mpipar.core.streams import stream
    from mpipar.pool.executor import Executor
    from mpipar.pool.manager import Manager
    from mpipar.pool.pool import Pool
    from mpipar.runtime.result import Result
    from mpipar.store.open_result import StoredResult, UnfinishedResult, open_result
    from mpipar.store.script_result import ScriptResult

_HOME = {
    "driver": "command.driver",
    "run": "command.run_kernel",
    "map": "command.map",
    "mapped": "command.map_outcomes",
    "Outcomes": "command.map_outcomes",
    "Result": "runtime.result",
    "StoredResult": "store.open_result",
    "UnfinishedResult": "store.open_result",
    "ScriptResult": "store.script_result",
    "open_result": "store.open_result",
    "ItemFailed": "base.errors",
    "UnfitResult": "base.errors",
    "Dataset": "core.reduction",
    "Driver": "command.driver",
    "BadInput": "base.errors",
    "BadKernel": "base.errors",
    "MpiparError": "base.errors",
    "RunFailed": "base.errors",
    "StoppedEarly": "base.errors",
    "AtLeast": "core.parameters",
    "NonNegativeInt": "core.parameters",
    "PositiveInt": "core.parameters",
    "Block": "core.plan",
    "Plan": "core.plan",
    "Concatenate": "core.ordered",
    "Count": "core.reduction",
    "Each": "core.reduction",
    "Estimate": "core.reduction",
    "ExactSum": "core.reduction",
    "Histogram": "core.statistics",
    "InOrder": "core.ordered",
    "MinMax": "core.statistics",
    "Moments": "core.statistics",
    "Reduction": "core.reduction",
    "stream": "core.streams",
    "Executor": "pool.executor",
    "Manager": "pool.manager",
    "Pool": "pool.pool",
    "PoolTerminated": "base.errors",
    "WorkerLost": "base.errors",
}

__all__ = [
    "AtLeast",
    "BadInput",
    "BadKernel",
    "Block",
    "Concatenate",
    "Count",
    "Dataset",
    "Driver",
    "Each",
    "Estimate",
    "ExactSum",
    "Executor",
    "Histogram",
    "InOrder",
    "ItemFailed",
    "Manager",
    "MinMax",
    "Moments",
    "MpiparError",
    "NonNegativeInt",
    "Outcomes",
    "Plan",
    "Pool",
    "PoolTerminated",
    "PositiveInt",
    "Reduction",
    "Result",
    "RunFailed",
    "ScriptResult",
    "StoppedEarly",
    "StoredResult",
    "UnfinishedResult",
    "UnfitResult",
    "WorkerLost",
    "__version__",
    "driver",
    "mapped",
    "open_result",
    "run",
    "stream",
]  # and map, which "from mpipar import *" must not put in the place of Python's


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mpipar' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"mpipar.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "map"]
