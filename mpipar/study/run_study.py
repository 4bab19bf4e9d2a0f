"""A study from its first run to its last."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from mpipar.base.errors import MpiparError
from mpipar.study.design import Measured, Run, Size, in_order
from mpipar.study.folder import StudyFolder


class Runner(Protocol):
    """What carries out runs."""

    def measure(self, runs: Sequence[Run]) -> Iterator[tuple[Run, Measured]]:
        """Yield what each run gave."""


class ValuesDiffer(MpiparError, RuntimeError):
    """Two runs of one problem gave values that are not the same, to the last bit."""


def run_study(
    sizes: Sequence[Size],
    repeats: int,
    runner: Runner,
    record: StudyFolder,
    say: Callable[[str], None],
) -> dict[Run, Measured]:
    """Carry out all runs that have not been done, and return what all of the study gave.

    Parameters
    ----------
    sizes : sequence of Size
    repeats : int
    runner : Runner
    record : StudyFolder
        Where runs go as they are done.
    say : callable
        Called with a line for each.

    Raises
    ------
    ValuesDiffer
        As soon as a value isn't that of the other runs of its problem.
    RunFailed
        If a run fails.
    """
    runs = in_order(sizes, repeats)
    left = [run for run in runs if run not in record.runs]
    done = len(runs) - len(left)
    if done:
        say(f"{done} of {len(runs)} runs are done")
    check_values({run: record.runs[run] for run in runs if run in record.runs})
    begun, new = time.monotonic(), 0
    for run, measured in runner.measure(left):
        record.add(run, measured)
        done, new = done + 1, new + 1
        remaining = (time.monotonic() - begun) / new * (len(runs) - done)
        told = f"{measured.elapsed:.4g} s, start-up {startup(measured):.2g} s"
        more = f"; about {remaining:.0f} s left" if done < len(runs) else ""
        say(f"{done} of {len(runs)}: {run.size.words}, repeat {run.repeat}: {told}{more}")
        check_values({run: record.runs[run] for run in runs if run in record.runs})
    return {run: record.runs[run] for run in runs}


def startup(measured: Measured) -> float:
    """Return the seconds that a run took besides the driver's own."""
    return max(0.0, measured.wall - measured.elapsed)


def check_values(runs: dict[Run, Measured]) -> None:
    """Raise ValuesDiffer if runs of the same problem gave different values."""
    first: dict[Any, tuple[Run, str]] = {}
    for run, measured in runs.items():
        report = measured.report
        problem = json.dumps([report.get(name) for name in ("n", "parameters", "seed", "block")])
        value = json.dumps([report["value"], report.get("error")])
        other, expected = first.setdefault(problem, (run, value))
        if value != expected:
            raise ValuesDiffer(
                f"THE VALUES DIFFER: {_shown(expected)} with {other.size.words}, repeat"
                f" {other.repeat}, but {_shown(value)} with {run.size.words}, repeat {run.repeat};"
                " times of wrong results mean nothing"
            )


def _shown(value: str) -> str:
    value = value[1:-1].removesuffix(", null")
    return value if len(value) <= 100 else f"{value[:100]}…"
