"""mpipar.pi against the same sum in C with MPI. ``elapsed`` of both is without start-up. Needs a C
compiler.

The MPI of this environment must bring mpicc; that of Intel does not.
"""

from __future__ import annotations

import functools
import itertools
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
is ahead of that depends on the width of the processor's vectors. With `--device compiled`, neighbours share a
division."""
DEVICES = {"": (), ", compiled": ("--device", "compiled")}


@functools.cache
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

    def c(ranks: int, program: str) -> float:
        return float(json.loads(mpirun(ranks, program, steps))["elapsed"])

    for flags, device, ranks in itertools.product((STRICT, FAST), DEVICES, (1, 2)):
        options = ("mpipar.pi", "--steps", steps, *DEVICES[device])
        what = f"π, {int(steps):,} steps, np {ranks}{device}"
        other = f"C + MPI, `{' '.join(flags)}`"
        command = shown(over(ranks, "python", "-m", *options, "--json"))
        try:
            program = compiled(flags)
        except Failed as failure:
            table.rows.append(Row(what, other, failed=str(failure), command=command))
            continue
        row = pair(
            effort,
            what,
            other,
            lambda: float(driver(ranks, *options)["elapsed"]),
            lambda: c(ranks, program),
            command=command,
        )
        table.rows.append(row)
    return table
