"""Drivers for the fault tests.   mpirun -np 2 python fault_programs.py NAME options"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from mpipar import Block, Dataset, Each, ExactSum, PositiveInt, driver


def note(log: Path | None, block: Block) -> None:
    """Append the number of a block that has been evaluated to a file, at once."""
    if log is not None:
        with log.open("ab", buffering=0) as file:
            file.write(b"%d\n" % block.index)


@driver(n="blocks", reduction=ExactSum, block=1)
def steady(
    block: Block,
    rng: np.random.Generator,
    *,
    blocks: PositiveInt = 300,
    sleep: float = 0.005,
    log: Path | None = None,
) -> float:
    """Sleep a little, and return a number whose sum depends on the order if it is not exact."""
    time.sleep(sleep)
    note(log, block)
    return float(rng.standard_normal() * 10.0 ** rng.integers(-9, 9))


@driver(
    n="items",
    reduction=Each(
        total=ExactSum(), rows=Dataset("rows", float), some=Dataset("some", float, one_each=False)
    ),
    block=50,
)
def rows(
    block: Block,
    rng: np.random.Generator,
    *,
    items: PositiveInt = 15_000,
    sleep: float = 0.005,
    log: Path | None = None,
) -> dict[str, object]:
    """Return a row for each item, and some of them in a second dataset."""
    time.sleep(sleep)
    x = rng.standard_normal(block.size)
    note(log, block)
    return {"total": float(x.sum()), "rows": x, "some": x[x > 1]}


@driver(n="blocks", reduction=ExactSum, block=1)
def deadly(
    block: Block,
    *,
    blocks: PositiveInt = 40,
    at: int = 17,
    how: str = "kill",
    once: Path | None = None,
) -> float:
    """Kill the own process, or hang, at one block; if ``once`` is given, only as long as that file
    isn't there.
    """
    if block.index == at and not (once is not None and once.exists()):
        if once is not None:
            once.touch()
        if how == "kill":
            os.kill(os.getpid(), 9)
        time.sleep(1000)
    time.sleep(0.002)
    return float(block.index)


def raise_at(block: Block, at: list[int], unless: Path | None) -> None:
    """Raise for some blocks, as long as a file isn't there."""
    if block.index in at and not (unless is not None and unless.exists()):
        raise ArithmeticError(f"block {block.index} has no result")


@driver(n="blocks", reduction=ExactSum, block=1)
def failing(
    block: Block,
    rng: np.random.Generator,
    *,
    blocks: PositiveInt = 40,
    at: list[int] = [17],  # noqa: B006
    unless: Path | None = None,
    log: Path | None = None,
) -> float:
    """Raise for some blocks, as long as a file isn't there."""
    time.sleep(0.002)
    raise_at(block, at, unless)
    note(log, block)
    return float(rng.standard_normal() * 10.0 ** rng.integers(-9, 9))


@driver(
    n="items",
    reduction=Each(
        total=ExactSum(), rows=Dataset("rows", float), some=Dataset("some", float, one_each=False)
    ),
    block=50,
)
def failing_rows(
    block: Block,
    rng: np.random.Generator,
    *,
    items: PositiveInt = 2000,
    at: list[int] = [17],  # noqa: B006
    unless: Path | None = None,
    log: Path | None = None,
) -> dict[str, object]:
    """As failing, with rows."""
    time.sleep(0.002)
    raise_at(block, at, unless)
    note(log, block)
    x = rng.standard_normal(block.size)
    return {"total": float(x.sum()), "rows": x, "some": x[x > 1]}


if __name__ == "__main__":
    globals()[sys.argv[1]].main(sys.argv[2:])
