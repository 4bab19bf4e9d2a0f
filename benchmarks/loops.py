"""Loops that are compiled: a user's own against the same in C with MPI, formulas against NumPy and
numexpr.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from common import (
    BUILD,
    PROGRAMS,
    PYTHON,
    Effort,
    Row,
    Table,
    mpirun,
    over,
    pair,
    run,
    shown,
)
from pi import STRICT

TEXT = f"""Loops as one writes them in Python, `benchmarks/programs/mandelbrot.py`, `ising.py` and `queens.py`, with
`--device compiled`; the same in C, `benchmarks/programs/loops.c`, compiled with `mpicc {" ".join(STRICT)}`, deals its
items out in turn."""
OF_FORMULAS = """The formulas of `integrate` and `roots`, with `--device compiled` and with NumPy; and numexpr as one
would use it by hand, a block at a time, over ranks, with a mean and its error, or into an array. Nothing is written to
a disk, and what is measured is without start-up and compiling."""

LOOPS = (
    ("mandelbrot", "--rows", "1000", "60"),
    ("ising", "--side", "12000", "100"),
    ("queens", "--queens", "14", "6"),
)
INTEGRAND, ROOT = "exp(-x**2)*cos(3*x)", "sqrt(x**3)"
FORMULAS = (("integrate", INTEGRAND, 20_000_000), ("roots", ROOT, 20_000_000))


def elapsed(ranks: int, *command: str) -> float:
    """Return the seconds that a program reports."""
    return float(json.loads(mpirun(ranks, *command))["elapsed"])


def measure_loops(effort: Effort) -> Table:
    """Compile the yardstick, run both in turn."""
    table = Table("loops", "Compiled loops", TEXT)
    BUILD.mkdir(exist_ok=True)
    theirs = str(BUILD / "loops")
    run("mpicc", *STRICT, str(PROGRAMS / "loops.c"), "-o", theirs)
    for name, option, full, quick in LOOPS:
        size = effort.pick(full, quick)
        program = (PYTHON, str(PROGRAMS / f"{name}.py"), option, size, "--device", "compiled")
        for ranks in (1, 2):
            row = pair(
                effort,
                f"{name} {size}, np {ranks}",
                f"C + MPI, `{' '.join(STRICT)}`",
                lambda: elapsed(ranks, *program, "--json"),
                lambda: elapsed(ranks, theirs, name, size),
                command=shown(over(ranks, *program)),
            )
            table.rows.append(row)
    return table


def measure_formulas(effort: Effort) -> Table:
    """Run each formula on both devices, and by numexpr, in turn."""
    table = Table("formulas", "Compiled formulas", OF_FORMULAS)
    for driver, f, full in FORMULAS:
        points = str(effort.pick(full, 10_000))
        ours = _formula(driver, f, points, "compiled")
        for other in ("cpu", "numexpr"):
            table.rows += _rows(effort, f"{driver} {f}", ours, _formula(driver, f, points, other))
    return table


def _formula(driver: str, f: str, points: str, by: str) -> Sequence[str]:
    return (PYTHON, str(PROGRAMS / "formula.py"), driver, f, points, by)


def _rows(effort: Effort, what: str, ours: Sequence[str], theirs: Sequence[str]) -> list[Row]:
    rows = []
    for ranks in (1, 2):
        row = pair(
            effort,
            f"{what}, np {ranks}",
            theirs[-1].replace("cpu", "mpipar with NumPy").replace("numexpr", "numexpr + MPI"),
            lambda: elapsed(ranks, *ours),
            lambda: elapsed(ranks, *theirs),
            command=shown(over(ranks, *ours)),
        )
        rows.append(row)
    return rows


def measure(effort: Effort) -> list[Table]:
    """Measure in turn."""
    return [measure_loops(effort), measure_formulas(effort)]
