"""Jobs are submitted, or tested."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence

from mpipar.base.errors import BadInput
from mpipar.batch.scheduler import Accepted, SchedulerUnavailable, SubmitRefused
from mpipar.batch.slurm.answers import is_away, message, unavailable
from mpipar.batch.slurm.calls import environment, run
from mpipar.batch.slurm.scontrol import setting

_BAD_ARRAY = "Invalid job array specification"
_EVERY_CLUSTER = "all"
# With --parsable, and of a site's own sbatch that doesn't know that.
_TAKEN = re.compile(r"(?:Submitted batch job )?(\d+)(?:;\S+| on cluster \S+)?")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def submit(arguments: Sequence[str], timeout: float = 60.0) -> Accepted:
    """Submit a batch job.

    Raises
    ------
    BadInput
        If it would go to another cluster than the one that is asked of it later.
    SubmitRefused
        If Slurm doesn't take it.
    SchedulerUnavailable
        If there is no sbatch, it hasn't ended in time, or a site's own doesn't make clear whether
        it has submitted the job: that may be so then.
    """
    _check_cluster()
    ended = run("sbatch", "--parsable", *arguments, timeout=timeout)
    if ended.returncode and is_away(ended.stderr):
        raise unavailable("sbatch", ended)
    numbers = _numbers(ended.stdout)
    if ended.returncode and not numbers:
        raise SubmitRefused(f"sbatch: {message(ended)}{_limit_of_arrays(ended.stderr)}")
    if ended.returncode or len(numbers) != 1:
        raise _unclear(ended, numbers)
    return Accepted(numbers[0], ended.stderr.strip())


def _unclear(ended: subprocess.CompletedProcess[str], numbers: list[str]) -> SchedulerUnavailable:
    """Return the error of an sbatch that may have submitted a job."""
    printed = " and ".join(numbers) or "no number of a job"
    said = f" ({message(ended)})" if ended.stderr.strip() else ""
    return SchedulerUnavailable(
        f"sbatch printed {printed}, and ended with {ended.returncode}{said}: the job may have been"
        " submitted, which squeue --me shows"
    )


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
    if "," in clusters or clusters == _EVERY_CLUSTER:
        raise BadInput(f"SLURM_CLUSTERS: expected one cluster, got {clusters!r}")


def _limit_of_arrays(said: str) -> str:
    """Return how large an array may be, where that is what is wrong."""
    if _BAD_ARRAY not in said:
        return ""
    most = setting("MaxArraySize")
    if not most.isdigit():
        return ""
    return f" (this cluster's MaxArraySize is {most}: array.tasks may be {int(most) - 1} at most)"


def _numbers(printed: str) -> list[str]:
    """Return the numbers of jobs, each once, among what a site may say before and after: "12", or
    "12;cluster".
    """
    numbers: dict[str, None] = {}
    for line in _COLOUR.sub("", printed).splitlines():
        found = _TAKEN.fullmatch(line.strip())
        if found is not None:
            numbers[found[1]] = None
    return list(numbers)
