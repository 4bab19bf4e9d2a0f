"""How costs grow: with the number of ranks, and with that of blocks. The kernels do nothing."""

from __future__ import annotations

import json
import statistics
from typing import Any

from common import PROGRAMS, PYTHON, Effort, Failed, Table, mpirun, over, say, shown, wall

PROGRAM = str(PROGRAMS / "growth.py")
RANKS_TEXT = """All ranks on this one machine: beyond its cores they are oversubscribed, and what MPI makes of that
is most of what is seen. “Start” is a whole command on so many ranks (`mpipar.pi`, 10⁴ steps), “import” the same
with `mpi4py.MPI` and NumPy imported and nothing else. “Run” is one run of a kernel that does nothing, one block a
rank, from the barrier before it to the end of its exact reduction; “allreduce” is a barrier and an `allreduce` of a
float in the same processes. Medians."""
BLOCKS_TEXT = """One run of so many blocks of one item, whose kernel returns 1.0, on 2 ranks: what a block costs
beyond its kernel, the exact sum included. Memory is the peak of a rank."""


def by_ranks(effort: Effort) -> Table:
    """Return the table of costs over ranks."""
    head = ["ranks", "start, s", "import, s", "start / import", "run, ms", "allreduce, ms"]
    table = Table("growth-ranks", "From 1 to 64 ranks", RANKS_TEXT, head=head)
    small = (PYTHON, "-m", "mpipar.pi", "--steps", "1e4")
    imports = (PYTHON, "-c", "from mpi4py import MPI; import numpy")
    for ranks in effort.pick((1, 2, 4, 8, 16, 32, 64), (1, 2)):
        repeats = "3" if ranks > 16 or effort.quick else "15"
        line: list[Any] = [ranks]
        try:
            pairs = [
                (
                    wall(lambda: mpirun(ranks, *small)),
                    wall(lambda: mpirun(ranks, *imports)),
                )
                for _ in range(effort.pick(3 if ranks <= 16 else 1, 1))
            ]
            ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
            program = json.loads(mpirun(ranks, PYTHON, PROGRAM, "ranks", repeats))
            line += [
                ours,
                theirs,
                ours / theirs,
                1000 * program["run"],
                1000 * program["allreduce"],
            ]
        except Failed as failure:
            line.append(str(failure))
        table.cells.append(line)
        say(
            f"  {ranks} ranks:"
            f" {', '.join(f'{cell:.3g}' for cell in line[1:] if isinstance(cell, float))}"
        )
    table.commands = [shown(over(64, *small)), shown(over(64, PYTHON, PROGRAM, "ranks", "3"))]
    return table


def by_blocks(effort: Effort) -> Table:
    """Return the table of costs over blocks."""
    head = ["blocks", "whole run, s", "a block and rank, µs", "memory, MiB"]
    table = Table("growth-blocks", "From 100 to 100 million blocks", BLOCKS_TEXT, head=head)
    for power in effort.pick(range(2, 9), range(2, 4)):
        blocks = 10**power
        try:
            told = json.loads(mpirun(2, PYTHON, PROGRAM, "blocks", str(blocks), limit=240.0))
            line = [blocks, told["elapsed"], 1e6 * told["elapsed"] * 2 / blocks, told["mib"]]
        except Failed as failure:
            line = [blocks, str(failure)]
        table.cells.append(line)
        say(f"  {blocks:,} blocks: {line[1]}")
    table.commands = [shown(over(2, PYTHON, PROGRAM, "blocks", "1000000"))]
    return table


def measure(effort: Effort) -> list[Table]:
    """Measure both."""
    return [by_ranks(effort), by_blocks(effort)]
