"""What checkpoints cost: runs that commit often against runs that do not. Both write the same
output in the end.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from common import Effort, Table, driver, over, pair, shown

RANKS = 2
TEXT = """Runs that commit what is done to the disk every second (the default is once a minute) and every 20 ms,
against runs that never do. π has one number a rank to commit, `roots` a million rows for each tenth of a second."""


def measure(effort: Effort) -> Table:
    """Measure in turn."""
    table = Table("checkpoint", "The cost of checkpoints", TEXT)
    with tempfile.TemporaryDirectory(dir=".") as name:
        output = Path(name) / "run.h5"

        def elapsed(module: str, options: tuple[str, ...], seconds: str) -> float:
            output.unlink(missing_ok=True)
            more = ("--output", str(output), "--checkpoint", seconds)
            return float(driver(RANKS, module, *options, *more)["elapsed"])

        cases = (
            ("π", "mpipar.pi", ("--steps", effort.pick("4e9", "1e7")), "1"),
            (
                "roots",
                "mpipar.roots",
                ("--points", effort.pick("1e7", "1e5"), "--block", "1000"),
                "0.02",
            ),
        )
        for title, module, options, often in cases:
            command = shown(
                over(
                    RANKS,
                    "python",
                    "-m",
                    module,
                    *options,
                    "--output",
                    "run.h5",
                    "--checkpoint",
                    often,
                )
            )
            ours, theirs = (
                (lambda: elapsed(module, options, often)),
                (lambda: elapsed(module, options, "1e9")),
            )
            table.rows.append(
                pair(
                    effort,
                    f"{title}, `--checkpoint {often}`, np {RANKS}",
                    "none",
                    ours,
                    theirs,
                    command=command,
                    bound=True,
                )
            )
    return table
