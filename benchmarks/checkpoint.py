"""What checkpoints cost: runs that commit each second against runs that do not.   python benchmarks/checkpoint.py [S]

Both write the same output in the end. The kernels are pi (a sum) and roots (a row for each item).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from common import driver, in_turn, report

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
RANKS = 2


def elapsed(folder: Path, module: str, *options: str) -> float:
    """Return the time of a run, from its first block to the end of the reduction."""
    output = folder / "run.h5"
    output.unlink(missing_ok=True)
    return float(driver(RANKS, module, *options, "--output", str(output))["elapsed"])


def main() -> None:
    """Measure in turn, print the ratios."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        probe = elapsed(folder, "mpipar.pi", "--steps", "1e10")
        steps = str(int(1e10 * SECONDS / probe))
        for module, options, title in (
            ("mpipar.pi", ("--steps", steps), f"pi, {SECONDS:g} s"),
            ("mpipar.roots", ("--points", "1e7", "--block", "1000"), "roots, 10⁷ rows in 10⁴ blocks"),
        ):

            def run(seconds: str, module: str = module, options: tuple[str, ...] = options) -> float:
                return elapsed(folder, module, *options, "--checkpoint", seconds)

            ours, theirs = in_turn(5, lambda: run("1"), lambda: run("1e9"))
            report(f"{title}, --checkpoint 1 against none, np {RANKS}", ours, theirs)
            if module == "mpipar.roots":
                ours, theirs = in_turn(5, lambda: run("0.02"), lambda: run("1e9"))
                report(f"{title}, --checkpoint 0.02 against none, np {RANKS}", ours, theirs)


if __name__ == "__main__":
    main()
