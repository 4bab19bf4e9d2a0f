"""Drivers for the tests.   mpirun -np 4 python programs.py NAME options"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mpipar import (
    Block,
    Concatenate,
    Count,
    Dataset,
    Each,
    Estimate,
    ExactSum,
    Histogram,
    InOrder,
    MinMax,
    Moments,
    PositiveInt,
    Reduction,
    driver,
)


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
    block: Block,
    rng: np.random.Generator,
    *,
    blocks: PositiveInt = 400,
    mean: float = 0.01,
    sigma: float = 1.2,
) -> float:
    """Sleep for a lognormal time, and return it."""
    seconds = sleep_seconds(rng, mean, sigma)
    time.sleep(seconds)
    return seconds


@driver(n="items", reduction=Concatenate, block=25)
def where(block: Block, *, items: PositiveInt = 1000) -> np.ndarray:
    """Return what each block's process is like: pid, parent, whether MPI is loaded, launcher
    variables, threads.
    """
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
def everything(
    block: Block, rng: np.random.Generator, *, items: PositiveInt = 10_000
) -> dict[str, object]:
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


ROWS: dict[str, Reduction] = {
    "mapped": Dataset("mapped", "f4", row=(2,), units="m", description="a row for each item"),
    "filtered": Dataset("filtered", int, one_each=False),
    "table": Dataset("table", description="columns of several types"),
    "sum": ExactSum(),
}

Kind = Literal["mapped", "filtered", "table", "all"]


def rows_of(kind: Kind) -> Reduction:
    """Return one dataset, or all of them beside a sum."""
    return Each(**ROWS) if kind == "all" else ROWS[kind]


@driver(n="items", reduction=rows_of, block=23)
def rows(
    block: Block,
    rng: np.random.Generator,
    *,
    items: int = 500,
    kind: Kind = "all",
    bad: list[int] = [],  # noqa: B006
) -> Any:
    """Make rows of several kinds."""
    time.sleep(0.002)  # so that all processes get blocks
    k = np.arange(block.start, block.stop)
    x = rng.standard_normal((block.size, 2))
    if block.index in bad:
        raise ValueError("this block is bad")
    if block.index % 3:
        table = np.array([(i, f"name π {i}") for i in k], [("k", int), ("name", "U12")])
    else:
        table = np.array(
            [(i, i / 7) for i in k], [("k", float if block.index else int), ("x", float)]
        )
    made = {
        "mapped": x,
        "filtered": k[k * k % 11 == 3] if block.index % 5 else k[:0],
        "table": table,
        "sum": x.sum(),
    }
    return made if kind == "all" else made[kind]


@driver(n="items", reduction=ExactSum, block=10)
def unlucky(
    block: Block,
    rng: np.random.Generator,
    *,
    items: PositiveInt = 400,
    bad: list[int] = [],  # noqa: B006
    marks: Path | None = None,
) -> float:
    """Fail in some blocks: always, or once each if there is a folder to leave a mark in."""
    time.sleep(0.002)
    x = float(rng.standard_normal(block.size).sum())
    if block.index in bad:
        mark = None if marks is None else marks / str(block.index)
        if mark is None or not mark.exists():
            if mark is not None:
                mark.touch()
            raise ValueError(f"unlucky number {block.index}")
    return x


@driver(
    n="items",
    reduction=lambda keep: (
        Each(x=Moments(), rows=Dataset("x", float)) if keep else Each(x=Moments())
    ),
    block=20,
)
def until(
    block: Block,
    rng: np.random.Generator,
    *,
    items: PositiveInt = 20_000,
    error: float | None = None,
    keep: bool = False,
    how: Literal["well", "enough raises", "finish raises"] = "well",
    bad: list[int] = [],  # noqa: B006
) -> dict[str, object]:
    """Sample until the error is small enough."""
    if block.index in bad:
        raise ValueError("this block is bad")
    x = rng.standard_normal(block.size)
    return {"x": x, "rows": x} if keep else {"x": x}


@until.finish
def mean(total: dict[str, Any], *, how: str) -> Estimate:
    """Return the mean."""
    if how == "finish raises":
        raise KeyError("no result")
    return Estimate(total["x"].value, total["x"].error)


@until.enough
def small_error(result: Estimate, *, error: float, how: str) -> bool:
    """Return whether the error is small enough."""
    if how == "enough raises":
        raise KeyError("no answer")
    return result.error <= error


def meet(folder: Path, what: str, processes: int) -> None:
    """Wait until so many processes are here."""
    (folder / f"{what}-{os.getpid()}").touch()
    deadline = time.monotonic() + 60
    while len(list(folder.glob(f"{what}-*"))) < processes:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not all {processes} processes came")
        time.sleep(0.002)


def pss(pid: int | str = "self") -> int:
    """Return the memory of a process in bytes, of shared pages its share."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    [kib] = [line.split()[1] for line in lines if line.startswith("Pss:")]
    return 1024 * int(kib)


@driver(n="items", reduction=Each(sum=ExactSum(), memory=Concatenate()), block=1)
def lookup(
    block: Block,
    table: np.ndarray,
    weights: np.ndarray,
    *,
    items: PositiveInt = 40,
    kib: PositiveInt = 64,
    folder: Path | None = None,
    measure: int = 0,
    fail: bool = False,
) -> dict[str, object]:
    """Look numbers up in a table that all processes of a node share, and measure their memory."""
    total = float(table.sum() * weights[block.index % 3] + table[block.index % len(table)])
    memory = np.zeros((0, 2), int)
    if measure and folder is not None:
        meet(folder, "touched", measure)
        maker = int((folder / "makers").read_text().split()[0])
        memory = np.array([[os.getpid(), pss()], [maker, pss(maker)]])
        meet(folder, "measured", measure)
    return {"sum": total, "memory": memory}


@lookup.shared
def table(empty: Any, *, kib: int, folder: Path | None, fail: bool) -> np.ndarray:
    """Make a table of this size."""
    if folder is not None:
        with (folder / "makers").open("a") as makers:
            makers.write(f"{os.getpid()}\n")
    if fail:
        raise ValueError("no table today")
    made: np.ndarray = empty(128 * kib)
    made[:] = 1.0
    made[::1000] = np.sqrt(np.arange(len(made[::1000])))
    return made


@lookup.shared
def weights(empty: Any) -> list[float]:
    """Return what is to be copied."""
    return [1.5, 2.5, -0.1]


if __name__ == "__main__":
    globals()[sys.argv[1]].main(sys.argv[2:])
