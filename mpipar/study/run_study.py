"""A study from its first run to its last."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from mpipar.base.errors import MpiparError
from mpipar.study.design import Measured, Run, Size, in_order
from mpipar.study.folder import StudyFolder

_LONGEST_VALUE = 100  # characters of a value in a message
_PROBLEM = ("n", "parameters", "seed", "block")  # of a report: runs alike in these agree in value


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
    folder: StudyFolder,
    say: Callable[[str], None],
) -> dict[Run, Measured]:
    """Carry out all runs that have not been done, and return what all of the study gave.

    Parameters
    ----------
    sizes : sequence of Size
    repeats : int
    runner : Runner
    folder : StudyFolder
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
    left = [run for run in runs if run not in folder.runs]
    done = len(runs) - len(left)
    if done:
        say(f"{done} of {len(runs)} runs are done")
    check_values(_done(runs, folder))
    begun = time.monotonic()
    for new, (run, measured) in enumerate(runner.measure(left), start=1):
        folder.add(run, measured)
        line = f"{done + new} of {len(runs)}: {_told(run, measured)}"
        if new < len(left):
            seconds_a_run = (time.monotonic() - begun) / new
            line += f"; about {seconds_a_run * (len(left) - new):.0f} s left"
        say(line)
        check_values(_done(runs, folder))
    return {run: folder.runs[run] for run in runs}


def _done(runs: Sequence[Run], folder: StudyFolder) -> dict[Run, Measured]:
    """Return what those of the runs gave that are done; the folder may have others."""
    return {run: folder.runs[run] for run in runs if run in folder.runs}


def _told(run: Run, measured: Measured) -> str:
    times = f"{measured.elapsed:.4g} s, start-up {startup(measured):.2g} s"
    return f"{run.words}: {times}"


def startup(measured: Measured) -> float:
    """Return the seconds that a run took besides the driver's own."""
    return max(0.0, measured.wall - measured.elapsed)


def check_values(runs: Mapping[Run, Measured]) -> None:
    """Raise ValuesDiffer if runs of the same problem gave different values."""
    first: dict[str, tuple[Run, str]] = {}
    for run, measured in runs.items():
        report = measured.report
        problem = json.dumps([report.get(name) for name in _PROBLEM])
        value = json.dumps([report["value"], report.get("error")])
        other, expected = first.setdefault(problem, (run, value))
        if value != expected:
            raise ValuesDiffer(
                f"THE VALUES DIFFER: {_shown(expected)} with {other.words},"
                f" but {_shown(value)} with {run.words};"
                " times of wrong results mean nothing"
            )


def _shown(value: str) -> str:
    """Return a value and its error as a message has them, from both as a JSON list."""
    value = value[1:-1].removesuffix(", null")
    if len(value) > _LONGEST_VALUE:
        return f"{value[:_LONGEST_VALUE]}…"
    return value
