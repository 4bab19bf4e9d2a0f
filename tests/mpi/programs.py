"""Drivers for the tests.   mpirun -np 4 python programs.py NAME options"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from typing import Literal

import numpy as np

from mpipar import Block, Concatenate, Count, Each, ExactSum, Histogram, InOrder, MinMax, Moments, PositiveInt, driver


class Unpicklable(Exception):
    """An exception that can't be sent to another process."""

    def __init__(self) -> None:
        super().__init__("with a lock")
        self.lock = threading.Lock()


@driver(n="items", reduction=ExactSum, block=10)
def failing(
    block: Block,
    *,
    items: PositiveInt = 1000,
    at: int = 57,
    how: Literal["raise", "unpicklable", "exit", "text", "killed", "none"] = "raise",
    others_sleep: float = 0.0,
) -> object:
    """Fail at one block, while the others sleep."""
    if block.index != at:
        time.sleep(others_sleep)
        return 1.0
    if how == "raise":
        raise ValueError("this block is bad")
    if how == "unpicklable":
        raise Unpicklable
    if how == "exit":
        sys.exit(3)
    if how == "killed":
        os.kill(os.getpid(), 9)
    return threading.Lock() if how == "none" else "text"


def sleep_seconds(rng: np.random.Generator, mean: float, sigma: float) -> float:
    """Return how long a block of ``sleeping`` sleeps."""
    return mean * rng.lognormal(-sigma * sigma / 2, sigma)


@driver(n="blocks", reduction=ExactSum, block=1)
def sleeping(
    block: Block, rng: np.random.Generator, *, blocks: PositiveInt = 400, mean: float = 0.01, sigma: float = 1.2
) -> float:
    """Sleep for a lognormal time, and return it."""
    seconds = sleep_seconds(rng, mean, sigma)
    time.sleep(seconds)
    return seconds


@driver(n="items", reduction=Concatenate, block=25)
def where(block: Block, *, items: PositiveInt = 1000) -> np.ndarray:
    """Return what each block's process is like: pid, parent, whether MPI is loaded, launcher variables, threads."""
    time.sleep(0.01)  # so that every process gets blocks
    variables = sum(name.startswith(("PMI_", "PMIX_", "OMPI_COMM")) for name in os.environ)
    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    return np.array([[os.getpid(), os.getppid(), "mpi4py.MPI" in sys.modules, variables, threads]])


@driver(
    n="items",
    reduction=Each(
        total=ExactSum(),
        field=ExactSum(),
        count=Count(),
        extremes=MinMax(),
        moments=Moments(),
        histogram=Histogram(np.linspace(-4, 4, 17)),
        joined=Concatenate(),
        product=InOrder(np.matmul),
    ),
    block=97,
)
def everything(block: Block, rng: np.random.Generator, *, items: PositiveInt = 10_000) -> dict[str, object]:
    """Use all reductions at once, on numbers whose sums depend on the order."""
    x = rng.standard_normal(block.size) * 10.0 ** rng.integers(-12, 12, block.size)
    z = rng.standard_normal(block.size)
    angle = float(z.sum())
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return {
        "total": float(x.sum()),
        "field": np.outer(x[:3], x[:2]),
        "count": np.count_nonzero(x > 0),
        "extremes": x,
        "moments": 1e6 + z,
        "histogram": z,
        "joined": z[:2],
        "product": rotation,
    }


@driver(n="items", reduction=InOrder(lambda left, right: 1 / 0), block=10)
def bad_merge(block: Block, *, items: PositiveInt = 1000) -> float:
    """Fail when totals are combined."""
    return 1.0


@driver(n="items", reduction=ExactSum, block=10)
def bad_finish(block: Block, *, items: PositiveInt = 1000) -> float:
    """Fail when the result is made."""
    return 1.0


@bad_finish.finish
def fail(total: float) -> float:
    """Raise."""
    raise KeyError("no result")


if __name__ == "__main__":
    globals()[sys.argv[1]].main(sys.argv[2:])
