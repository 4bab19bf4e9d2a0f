"""mpipar.mcpi, compiled, against the same loop in C with MPI, and generators by hand. Needs a C
compiler and Numba.
"""

from __future__ import annotations

import json

from common import BUILD, PROGRAMS, Effort, Table, driver, mpirun, over, pair, run, shown
from pi import STRICT

GENERATORS = {"xoshiro": "xoshiro256+", "pcg64": "PCG64"}
TEXT = f"""Random points of a square, and how many are in its circle, with `--device compiled`: 16 generators (SFC64)
side by side, in the processor's vectors. C is `benchmarks/programs/mcpi.c`, compiled with `mpicc {" ".join(STRICT)}`,
with one generator a rank, as one would write it by hand. Start-up and compiling are in neither."""


def measure(effort: Effort) -> Table:
    """Compile the yardstick, run both in turn."""
    samples = effort.pick("200000000", "1000000")
    table = Table("mcpi", "Random points against C with MPI", TEXT)
    BUILD.mkdir(exist_ok=True)
    program = str(BUILD / "mcpi")
    run("mpicc", *STRICT, str(PROGRAMS / "mcpi.c"), "-o", program)
    options = ("--samples", samples, "--device", "compiled")
    for generator, name in GENERATORS.items():
        for ranks in (1, 2):
            row = pair(
                effort,
                f"mcpi, {int(samples):,} points, np {ranks}",
                f"C + MPI, {name}",
                lambda: float(driver(ranks, "mpipar.mcpi", *options)["elapsed"]),
                lambda: float(json.loads(mpirun(ranks, program, samples, generator))["elapsed"]),
                command=shown(over(ranks, "python", "-m", "mpipar.mcpi", *options, "--json")),
            )
            table.rows.append(row)
    return table
