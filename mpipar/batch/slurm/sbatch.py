"""Jobs are submitted, or tested."""

from __future__ import annotations

from collections.abc import Sequence

from mpipar.batch.scheduler import SubmitRefused
from mpipar.batch.slurm.answers import is_away, message, unavailable
from mpipar.batch.slurm.calls import run


def submit(arguments: Sequence[str], timeout: float = 60.0) -> str:
    """Submit a batch job, and return its number.

    Raises
    ------
    SubmitRefused
        If Slurm doesn't take it.
    SchedulerUnavailable
        If there is no sbatch, or it hasn't ended in time: the job may have been submitted then.
    """
    ended = run("sbatch", "--parsable", *arguments, timeout=timeout)
    if ended.returncode and is_away(ended.stderr):
        raise unavailable("sbatch", ended)
    number = _number(ended.stdout)
    if ended.returncode or not number.isdigit():
        raise SubmitRefused(f"sbatch: {message(ended)}")
    return number


def test(arguments: Sequence[str]) -> str:
    """Ask whether Slurm would take a batch job, and return what it says of when that would start.

    Raises
    ------
    SubmitRefused
        If it would not.
    SchedulerUnavailable
        If there is no sbatch, or it hasn't ended in time.
    """
    ended = run("sbatch", "--test-only", *arguments)
    if ended.returncode and is_away(ended.stderr):
        raise unavailable("sbatch", ended)
    if ended.returncode:
        raise SubmitRefused(f"sbatch: {message(ended)}")
    return message(ended)


def _number(printed: str) -> str:
    """Return the number of the job, which comes after what a site may say: "12", or
    "12;cluster".
    """
    lines = printed.strip().splitlines()
    if not lines:
        return ""
    return lines[-1].partition(";")[0]
