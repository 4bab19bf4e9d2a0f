"""Jobs are submitted, or tested."""

from __future__ import annotations

from collections.abc import Sequence

from mpipar.base.errors import BadInput
from mpipar.batch.scheduler import Accepted, SubmitRefused
from mpipar.batch.slurm.answers import is_away, message, unavailable
from mpipar.batch.slurm.calls import environment, run
from mpipar.batch.slurm.scontrol import setting

_BAD_ARRAY = "Invalid job array specification"


def submit(arguments: Sequence[str], timeout: float = 60.0) -> Accepted:
    """Submit a batch job.

    Raises
    ------
    BadInput
        If it would go to another cluster than the one that is asked of it later.
    SubmitRefused
        If Slurm doesn't take it.
    SchedulerUnavailable
        If there is no sbatch, or it hasn't ended in time: the job may have been submitted then.
    """
    _check_cluster()
    ended = run("sbatch", "--parsable", *arguments, timeout=timeout)
    if ended.returncode and is_away(ended.stderr):
        raise unavailable("sbatch", ended)
    number = _number(ended.stdout)
    if ended.returncode or not number.isdigit():
        raise SubmitRefused(f"sbatch: {message(ended)}{_limit_of_arrays(ended.stderr)}")
    return Accepted(number, ended.stderr.strip())


def test(arguments: Sequence[str]) -> str:
    """Ask whether Slurm would take a batch job, and return what it says of when that would start.

    Raises
    ------
    BadInput
        As :func:`submit`.
    SubmitRefused
        If it would not.
    SchedulerUnavailable
        If there is no sbatch, or it hasn't ended in time.
    """
    _check_cluster()
    ended = run("sbatch", "--test-only", *arguments)
    if ended.returncode and is_away(ended.stderr):
        raise unavailable("sbatch", ended)
    if ended.returncode:
        raise SubmitRefused(f"sbatch: {message(ended)}{_limit_of_arrays(ended.stderr)}")
    return message(ended)


def _check_cluster() -> None:
    """Raise BadInput if sbatch is told of another cluster than all other programs."""
    told = environment()
    wanted = told.get("SBATCH_CLUSTERS")
    if wanted and wanted != told.get("SLURM_CLUSTERS"):
        raise BadInput(
            f"SBATCH_CLUSTERS is {wanted!r}, which sbatch alone obeys: set SLURM_CLUSTERS instead,"
            " so that mpipar status and cancel ask the same cluster"
        )
    clusters = told.get("SLURM_CLUSTERS", "")
    if "," in clusters:
        raise BadInput(f"SLURM_CLUSTERS: expected one cluster, got {clusters!r}")


def _limit_of_arrays(said: str) -> str:
    """Return how large an array may be, where that is what is wrong."""
    if _BAD_ARRAY not in said:
        return ""
    most = setting("MaxArraySize")
    if not most.isdigit():
        return ""
    return f" (this cluster's MaxArraySize is {most}: array.tasks may be {int(most) - 1} at most)"


def _number(printed: str) -> str:
    """Return the number of the job, which comes after what a site may say: "12", or
    "12;cluster".
    """
    lines = printed.strip().splitlines()
    if not lines:
        return ""
    return lines[-1].partition(";")[0]
