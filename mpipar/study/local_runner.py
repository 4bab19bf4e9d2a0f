"""Runs of a study on this machine, or in this allocation, by the mpirun of this environment."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput, RunFailed
from mpipar.base.text import several
from mpipar.runtime.launcher import launch
from mpipar.runtime.mpirun import find_mpirun, settings_for, with_its_folder
from mpipar.study.design import SIZES, Measured, Run
from mpipar.study.folder import SCRATCH
from mpipar.study.target import Target

_LONGEST_VALUE = 1000  # characters; of a longer one the record has the hash
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl
_END_SECONDS = 5.0  # that a run which is to end is given
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class LocalRunner:
    """Runs on this machine, one after another.

    Parameters
    ----------
    target : Target
    folder : Path
        Of the study.
    with_output : bool
        Whether the driver must have a file for its result.
    with_mpi : bool
        Whether there are runs that need an mpirun. Where there is one, those of one rank are
        started by it, too, so that all are alike; but for serial ones.

    Raises
    ------
    BadInput
        If that can't be here.
    """

    def __init__(self, target: Target, folder: Path, *, with_output: bool, with_mpi: bool) -> None:
        self._target, self._with_output = target, with_output
        self._scratch = folder.absolute() / SCRATCH
        self._mpirun = find_mpirun()
        if launch() is not None:
            raise BadInput("scale: it starts mpirun itself, and can't be started by a launcher")
        if with_mpi and self._mpirun is None:
            raise BadInput("--ranks: there is no mpirun (pip install 'mpipar[mpich]' brings one)")

    def measure(self, runs: Sequence[Run]) -> Iterator[tuple[Run, Measured]]:
        """Yield what each run gave. Raises RunFailed if one fails."""
        for run in runs:
            yield run, self._once(run)

    def _once(self, run: Run) -> Measured:
        size = run.size
        command = [
            sys.executable,
            *self._target.command(size),
            f"--workers={size.workers}",
            "--json",
            "--no-progress",
        ]
        if self._mpirun is not None and (size.mode != SIZES or size.ranks > 1):
            command = [self._mpirun, "-n", str(size.ranks), *command]
        if self._with_output:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch.mkdir()
            command.append(f"--output={self._scratch / 'run.h5'}")
        try:
            code, wall, stdout, stderr = timed(command, self._environment(run))
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
        if code != 0:
            said = [line.strip() for line in stderr.splitlines() if line.strip()]
            own = [line for line in said if "mpipar" in line]
            raise RunFailed(
                f"{size.words}: exit code {code}: {(own or said or ['it says nothing'])[-1][:500]}"
            )
        return measured(stdout, wall, [os.uname().nodename], run)

    def _environment(self, run: Run) -> dict[str, str]:
        environment = {
            name: value for name, value in os.environ.items() if name != "MPIPAR_WORKERS"
        }
        if self._mpirun is not None:
            environment["PATH"] = with_its_folder(self._mpirun)
        return {**settings_for(run.size.ranks, with_workers=run.size.workers > 1), **environment}


def measured(text: str, wall: float, hosts: list[str], run: Run) -> Measured:
    """Return what a run gave, from what its driver printed. Raises RunFailed if that can't be
    used.
    """
    report = last_json(text)
    if report is None:
        raise RunFailed(f"{run.size.words}: the driver printed no JSON")
    if report["ranks"] != run.size.ranks or report["workers"] != run.size.workers:
        got = f"{several(report['ranks'], 'rank')} × {several(report['workers'], 'worker')}"
        raise RunFailed(f"{run.size.words}: the driver ran with {got}")
    for what in (
        "resumed_blocks",
        "skipped_blocks",
        "retried_blocks",
        "lost_ranks",
        "lost_workers",
    ):
        if report.get(what):
            raise RunFailed(
                f"{run.size.words}: not a measurement, as there are {report[what]}"
                f" {what.replace('_', ' ')}"
            )
    kept = (
        "driver",
        "value",
        "error",
        "n",
        "n_blocks",
        "block",
        "seed",
        "ranks",
        "workers",
        "nodes",
        "schedule",
        "imbalance",
        "parameters",
        "mpi",
        "mpipar",
    )
    short = {name: report.get(name) for name in kept}
    value = json.dumps(short["value"])
    if len(value) > _LONGEST_VALUE:
        short["value"] = f"sha256 {hashlib.sha256(value.encode()).hexdigest()}"
    return Measured(float(report["elapsed"]), wall, short, hosts, time.time())


def last_json(text: str) -> dict[str, Any] | None:
    """Return the last line of a text that is the JSON of a driver, or None."""
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            with contextlib.suppress(ValueError, RecursionError):
                found = json.loads(line)
                if (
                    isinstance(found, dict)
                    and {"elapsed", "ranks", "workers", "value"} <= found.keys()
                ):
                    return found
    return None


def timed(
    command: Sequence[str], environment: dict[str, str], limit: float | None = None
) -> tuple[int, float, str, str]:
    """Run a command in a group of its own; return its exit code, the seconds it took, and what it
    printed.

    Raises subprocess.TimeoutExpired if it takes longer than ``limit`` seconds, and ends it.
    """
    end_with_us = functools.partial(_end_with, os.getpid(), ctypes.CDLL(None))
    process = None
    begun = time.perf_counter()
    try:
        with _interruptions_wait():
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
                preexec_fn=end_with_us,
            )
        stdout, stderr = process.communicate(timeout=limit)
    except BaseException:  # Ctrl-C: the run is nobody's any more
        if process is not None:
            _end(process)
        raise
    return process.returncode, time.perf_counter() - begun, stdout, stderr


@contextlib.contextmanager
def _interruptions_wait() -> Iterator[None]:
    """Handle signals at the end of this: what Python calls around a fork drops the exceptions that
    handlers raise.

    A mask would not do: it is that of one thread, and Python runs handlers here whichever thread
    got the signal.
    """
    came: list[int] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in _INTERRUPTIONS:
            if callable(signal.getsignal(number)):
                handlers[number] = signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for held, handler in handlers.items():
            signal.signal(held, handler)
        for one in came:
            signal.raise_signal(one)


def _end_with(parent: int, libc: ctypes.CDLL) -> None:
    """Let the kernel end this process when its parent dies, of whatever: nobody would know that it
    still runs.
    """
    signal.signal(
        signal.SIGTERM, signal.SIG_DFL
    )  # else, until its program is loaded, it has its parent's handler
    libc.prctl(_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != parent:  # which has died before
        os.kill(os.getpid(), signal.SIGTERM)


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.communicate(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
