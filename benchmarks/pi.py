"""mpipar.pi against the same sum in C with MPI. ``elapsed`` of both is without start-up. Needs a C
compiler.

The MPI of this environment must bring mpicc; that of Intel does not.
"""

from __future__ import annotations

import json

from common import (
    BIN,
    BUILD,
    PROGRAMS,
    Effort,
    Failed,
    Row,
    Table,
    driver,
    mpirun,
    over,
    pair,
    run,
    shown,
)

STRICT = ("-O3", "-march=native")
FAST = (*STRICT, "-ffast-math")
TEXT = f"""The midpoint rule for π: one division a step, and nothing but arithmetic. C is
`benchmarks/programs/pi.c`, compiled with `mpicc {" ".join(STRICT)}`, and once more with `-ffast-math`, which lets
the compiler reorder the sum and approximate the division, at the price of the last digits. mpipar's kernel is NumPy
in double precision, which passes over each block in memory several times; its sum over blocks is exact. How far C
is ahead depends on the width of the processor's vectors."""


def compiled(flags: tuple[str, ...]) -> str:
    """Return the path of the yardstick."""
    if not (BIN / "mpicc").exists():
        raise Failed("this MPI brings no mpicc")
    BUILD.mkdir(exist_ok=True)
    program = BUILD / f"pi{len(flags)}"
    run("mpicc", *flags, str(PROGRAMS / "pi.c"), "-o", str(program))
    return str(program)


def measure(effort: Effort) -> Table:
    """Compile the yardstick, run both in turn."""
    steps = effort.pick("1000000000", "10000000")
    table = Table("pi", "Pi against C with MPI", TEXT)

    def python(ranks: int) -> float:
        return float(driver(ranks, "mpipar.pi", "--steps", steps)["elapsed"])

    def c(ranks: int, program: str) -> float:
        return float(json.loads(mpirun(ranks, program, steps))["elapsed"])

    for flags in (STRICT, FAST):
        for ranks in (1, 2):
            what, other = f"π, {int(steps):,} steps, np {ranks}", f"C + MPI, `{' '.join(flags)}`"
            command = shown(over(ranks, "python", "-m", "mpipar.pi", "--steps", steps, "--json"))
            try:
                program = compiled(flags)
            except Failed as failure:
                table.rows.append(Row(what, other, failed=str(failure), command=command))
                continue
            ours, theirs = (lambda: python(ranks)), (lambda: c(ranks, program))
            table.rows.append(pair(effort, what, other, ours, theirs, command=command))
    return table
