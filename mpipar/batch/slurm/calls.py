"""How Slurm's programs are called: each has a time limit, and nothing of a job around."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import time
from collections.abc import Iterator

from mpipar.batch.scheduler import SchedulerUnavailable
from mpipar.runtime.launcher import is_launchers, launch

PATIENCE = 30.0
"""Seconds that a program is given."""

SHORT_PATIENCE = 1.5
"""Seconds in which the controller is to show that it is there."""

_SOON = 0.7  # seconds after which it may be away
_GONE = "Slurm's controller doesn't answer"
_away_at = -math.inf  # when that was noticed last, by time.monotonic
# Which Slurm it is, and who asks.
_KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT")
# What a job is and reads, where its log goes, and whether sbatch waits for it is never the user's.
_NEVER = ("SBATCH_ARRAY_INX", "SBATCH_WAIT", "SBATCH_ERROR", "SBATCH_INPUT")
_OF_A_JOB = (
    "SLURM_",
    "SLURMD_",
    "SRUN_",
    "SQUEUE_",
    "SACCT_",
    "SCANCEL_",
    "SCONTROL_",
    "SINFO_",
    "MPIPAR_",
    *_NEVER,
)
_USERS_OWN = "SBATCH_"  # outside of jobs
# BITSTR_LEN: or lists of an array's tasks are cut short.
_FORMATS = {"SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0", "LC_ALL": "C"}


class NoAnswer(SchedulerUnavailable):
    """A program has not ended in time."""


def environment() -> dict[str, str]:
    """Return the environment for Slurm's programs, with nothing of a job around this process.

    What a user sets for sbatch (``SBATCH_ACCOUNT``) is kept outside of jobs; within, it may be
    Slurm's own. So is what a user sets for an MPI (``OMPI_MCA_…``) where there is no launcher,
    which would set such for its ranks.
    """
    launched = launch() is not None
    hidden: tuple[str, ...] = _OF_A_JOB
    if "SLURM_JOB_ID" in os.environ:
        hidden = (*hidden, _USERS_OWN)

    def is_kept(name: str) -> bool:
        if name in _KEPT:
            return True
        if launched and is_launchers(name):
            return False
        return not name.startswith(hidden)

    return {name: value for name, value in os.environ.items() if is_kept(name)}


def ask(
    program: str,
    *arguments: str,
    timeout: float = PATIENCE,
) -> subprocess.CompletedProcess[str]:
    """Run a program of Slurm that only asks: not for long where the controller is away, rather than
    busy.

    Raises
    ------
    SchedulerUnavailable
        If it isn't here, or doesn't end in time.
    """
    if is_known_to_be_away():
        raise NoAnswer(_GONE)
    with _started(program, *arguments) as process:
        said = _communicate(process, min(_SOON, timeout))
        if said is None and _is_away():
            raise NoAnswer(_GONE)
        said = said or _communicate(process, timeout)
        if said is None:
            raise _too_slow(program, timeout)
    return subprocess.CompletedProcess([program, *arguments], process.returncode, *said)


def _is_away() -> bool:
    """Return whether the controller doesn't answer the shortest question."""
    global _away_at
    try:
        said = run("scontrol", "ping", timeout=SHORT_PATIENCE).stdout
        is_away = "is DOWN" in said and "is UP" not in said  # there may be a second controller
    except SchedulerUnavailable:
        is_away = True
    if is_away:
        _away_at = time.monotonic()
    return is_away


def is_known_to_be_away() -> bool:
    """Return whether the controller was found to be away just now."""
    return time.monotonic() < _away_at + SHORT_PATIENCE


def run(
    program: str,
    *arguments: str,
    timeout: float = PATIENCE,
) -> subprocess.CompletedProcess[str]:
    """Run a program of Slurm. Raises SchedulerUnavailable if it isn't here, or doesn't end in
    time.
    """
    with _started(program, *arguments) as process:
        said = _communicate(process, timeout)
        if said is None:
            raise _too_slow(program, timeout)
    return subprocess.CompletedProcess([program, *arguments], process.returncode, *said)


def _too_slow(program: str, seconds: float) -> NoAnswer:
    return NoAnswer(f"{program} has not answered for {seconds:g} s; Slurm may be overloaded")


def _communicate(process: subprocess.Popen[str], timeout: float) -> tuple[str, str] | None:
    """Return what a program has printed; None if it has not ended in time."""
    try:
        return process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        return None


@contextlib.contextmanager
def _started(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program within this context, which ends it if anything goes wrong."""
    # The environment of sbatch is the job's, too.
    formats = {} if program == "sbatch" else _FORMATS
    try:
        process = subprocess.Popen(
            [program, *arguments],
            env={**environment(), **formats},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError:
        raise SchedulerUnavailable(
            f"there is no {program} on this machine: Slurm isn't here, or not on the path"
        ) from None
    except OSError as error:
        raise SchedulerUnavailable(f"{program} can't be run: {error.strerror}") from None
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise
