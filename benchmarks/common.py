"""What the benchmarks share: commands with a time limit, measures in turn, and the tables that come
of them.

A topic is a module with a function ``measure(effort)`` that returns a `Table`, or several. Tables
are plain data: they go to a file as JSON, and page.py and picture.py make what a reader sees from
that file alone.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
HERE = Path(__file__).parent.resolve()
BUILD = HERE / "build"
PROGRAMS = HERE / "programs"
PROGRAMS_OF_OTHERS = BUILD / "bin"  # what install.py could only put there
PYTHON = sys.executable
ENVIRONMENT = {
    **os.environ,
    "PATH": os.pathsep.join([str(BIN), os.environ["PATH"], str(PROGRAMS_OF_OTHERS)]),
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "RAY_USAGE_STATS_ENABLED": "0",
    "OMP_NUM_THREADS": "1",
}
_MARK = "MPIPAR_BENCH_RUN"
_numbers = itertools.count(1)


class Failed(Exception):
    """A command could not do what it was to do. The text goes into the table."""


@dataclass(frozen=True)
class Effort:
    """How much to measure: as many rounds as there are seconds for, and ``least`` if twice the
    seconds allow it.
    """

    quick: bool = False
    seconds: float = 60.0
    least: int = 3

    def goes_on(self, done: int, most: int, seconds: float) -> bool:
        """Return whether there is another round, after some that took so many seconds."""
        if self.quick or done == 0:
            return done == 0
        allowed = self.seconds if done >= self.least else 2 * self.seconds
        return done < most and seconds * (done + 1) / done <= allowed

    def pick(self, full: Any, quick: Any) -> Any:
        """Return the one or the other."""
        return quick if self.quick else full


@dataclass
class Row:
    """What mpipar and another took, in turn, pair by pair; or why there is nothing to compare.

    A ``bound`` is what nobody can take less than; else the other is something that one could use
    instead. A row that is ``aside`` isn't counted among the comparisons: it is another way to do
    the same, or the other has fewer processes.
    """

    what: str
    other: str
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    unit: str = "s"
    command: str = ""
    failed: str = ""
    bound: bool = False
    aside: bool = False


@dataclass
class Table:
    """Rows about one thing, or lines of text (``cells``) where ratios say nothing."""

    name: str
    title: str
    text: str
    rows: list[Row] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    cells: list[list[Any]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Finished:
    """A command that has ended, or that was ended: then its code is None."""

    code: int | None
    stdout: str
    stderr: str
    began: float
    seconds: float

    def reason(self) -> str:
        """Return one line that says why it failed."""
        if self.code is None:
            return f"no end after {self.seconds:.0f} s"
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip(" =-")]
        errors = [line for line in lines if "Error" in line]
        return f"exit code {self.code}" + (f": {(errors or lines)[-1][:150]}" if lines else "")


def finished(
    command: Sequence[str],
    limit: float = 120.0,
    begins: str = "",
    within: float = 60.0,
    **environment: str,
) -> Finished:
    """Run a command, and end all processes that it has started, wherever they went.

    The limit counts from the start; or from when ``begins`` is on stdout, ``within`` so many
    seconds.
    """
    mark = f"{os.getpid()}-{next(_numbers)}"
    began, clock = time.time(), time.perf_counter()
    scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, scratch as folder:
        own = {"RAY_TMPDIR": folder, "DASK_TEMPORARY_DIRECTORY": folder, _MARK: mark}
        process = subprocess.Popen(
            command,
            env={**ENVIRONMENT, **environment, **own},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            until = time.perf_counter() + (within if begins else 0.0)
            while (
                time.perf_counter() < until
                and process.poll() is None
                and begins.encode() not in _so_far(out)
            ):
                time.sleep(0.02)
            code: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            seconds = time.perf_counter() - clock
            _end_all(mark)
            process.wait()
        for file in (out, err):
            file.seek(0)
        return Finished(
            code,
            out.read().decode(errors="replace"),
            err.read().decode(errors="replace"),
            began,
            seconds,
        )


def _so_far(file: Any) -> bytes:
    """Return what another process has written to a file, wherever it is in it."""
    return os.pread(file.fileno(), 2**20, 0)


def _end_all(mark: str) -> None:
    """Kill the processes that have a mark in their environment, until there are none."""
    while pids := marked(mark):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def marked(mark: str) -> list[int]:
    """Return the processes that have a mark in their environment and have not ended."""
    wanted = f"{_MARK}={mark}".encode()
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                pids.append(int(process.name))
    return pids


def run(*command: str, limit: float = 120.0) -> str:
    """Return what a command prints; raise `Failed` with the reason if it fails."""
    try:
        ended = finished(command, limit)
    except FileNotFoundError:
        raise Failed(f"there is no {command[0]}") from None
    if ended.code != 0:
        raise Failed(f"`{shown(command)}`: {ended.reason()}")
    return ended.stdout


def over(ranks: int, *command: str) -> list[str]:
    """Return a command under this environment's mpirun."""
    return ["mpirun", "-np", str(ranks), *command]


def mpirun(ranks: int, *command: str, limit: float = 120.0) -> str:
    """Return what a command prints under this environment's mpirun."""
    return run(*over(ranks, *command), limit=limit)


def driver(ranks: int, module: str, *options: str) -> dict[str, Any]:
    """Return the JSON of a driver under mpirun."""
    result: dict[str, Any] = json.loads(mpirun(ranks, PYTHON, "-m", module, *options, "--json"))
    return result


def shown(command: Sequence[str]) -> str:
    """Return a command as one would type it in the root of the project."""
    words = [
        (
            "python"
            if word == PYTHON
            else word.replace(f"{HERE}{os.sep}", "benchmarks/").replace(f"{BIN}{os.sep}", "")
        )
        for word in command
    ]
    return shlex.join(words)


def wall(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def in_turn(
    effort: Effort, measures: Mapping[str, Callable[[], float]], most: int = 7
) -> dict[str, list[float]]:
    """Return the results of each measure, taken in turn so that drift meets all alike, after one
    run of each.
    """
    results: dict[str, list[float]] = {name: [] for name in measures}
    began = time.perf_counter()
    if not effort.quick:
        for measure in measures.values():
            measure()
    done = 0
    while effort.goes_on(done, most, time.perf_counter() - began):
        done += 1
        for name, measure in measures.items():
            results[name].append(measure())
    return results


def pair(
    effort: Effort,
    what: str,
    other: str,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    **more: Any,
) -> Row:
    """Return the row of two measures, taken in turn."""
    try:
        results = in_turn(effort, {"ours": ours, "theirs": theirs})
    except Failed as failure:
        return Row(what, other, failed=str(failure), **more)
    row = Row(what, other, results["ours"], results["theirs"], **more)
    say(
        f"  {what}: {statistics.median(row.ours):.3g} {row.unit}, {other}:"
        f" {statistics.median(row.theirs):.3g}"
    )
    return row


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)
