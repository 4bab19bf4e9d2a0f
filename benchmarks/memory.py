"""Peak memory of a rank at 10¹⁰ steps, against 10⁷.   python benchmarks/memory.py"""

from __future__ import annotations

import sys

from common import mpirun, report

PEAK = """
import resource, sys
import mpipar.pi
try:
    mpipar.pi.pi.main(sys.argv[1:])
finally:
    sys.stdout.write(f"\\npeak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}\\n")
"""


def peak(steps: str) -> float:
    """Return the largest peak of 2 ranks, in MiB."""
    printed = mpirun(2, sys.executable, "-c", PEAK, "--steps", steps)
    return max(float(line.split()[1]) for line in printed.splitlines() if line.startswith("peak"))


def main() -> None:
    """Measure both three times, print the ratio."""
    report(
        "peak memory of a rank, 1e10 against 1e7 steps",
        [peak("1e10") for _ in range(3)],
        [peak("1e7") for _ in range(3)],
        "MiB",
    )


if __name__ == "__main__":
    main()
