"""Slurm, as :class:`mpipar.batch.scheduler.Scheduler` has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mpipar.batch.allocation import Allocation
from mpipar.batch.job_state import JobState
from mpipar.batch.scheduler import Accepted, Answer, Request, Times
from mpipar.batch.slurm import (
    about,
    calls,
    options,
    reasons,
    sbatch,
    scancel,
    scontrol,
    script,
    squeue,
    srun,
    variables,
)
from mpipar.batch.slurm.site.remarks import remarks


class Slurm:
    """All that is asked of Slurm, each by the module that knows how."""

    name = "Slurm"
    options_table = "sbatch"
    script_name = "job.sbatch"
    warning_option = "--signal"
    starter = srun.Srun()

    def cluster(self) -> str:
        """Return Slurm's name of the cluster, or the path of its configuration."""
        return scontrol.cluster()

    def environment(self) -> dict[str, str]:
        """Return an environment with nothing in it of a job."""
        return calls.environment()

    def refusal(self, option: str) -> str:
        """Return why an option of sbatch can't be given by a user; empty if it can."""
        return options.refusal(option)

    def options(self, wanted: Request) -> list[str]:
        """Return the options of sbatch."""
        return options.options(wanted)

    def script(self, prologue: str) -> str:
        """Return the text for sbatch."""
        return script.job_script(prologue)

    def command(self, options: Sequence[str], script: Path, arguments: Sequence[str]) -> list[str]:
        """Return the words that begin with sbatch."""
        return ["sbatch", *options, str(script), *arguments]

    def submit(self, command: Sequence[str]) -> Accepted:
        """Run sbatch."""
        return sbatch.submit(command[1:])

    def test(self, options: Sequence[str]) -> str:
        """Run sbatch --test-only, of a script that does nothing."""
        return sbatch.test([*options, "--wrap=true"])

    def remarks(self, wanted: Request, launcher: str) -> list[str]:
        """Return what scontrol, sinfo and sacctmgr say that matters for a job."""
        return remarks(wanted, launcher)

    def states(self, ids: Iterable[str]) -> dict[str, JobState]:
        """Return what squeue and sacct know of jobs."""
        return squeue.states(ids)

    def why_pending(self, reason: str) -> str:
        """Return squeue's reason in plain words."""
        return reasons.why(reason)

    def cancel(self, ids: Iterable[str], *, waiting_only: bool = False) -> None:
        """Run scancel."""
        scancel.cancel(ids, only="PENDING" if waiting_only else None)

    def signal(self, ids: Iterable[str]) -> None:
        """Run scancel --batch --signal=TERM."""
        scancel.cancel(ids, signal="TERM", batch=True)

    def about(self) -> Iterator[tuple[str, str]]:
        """Yield what srun says of itself, and the variables of the job."""
        return about.about()

    def allocation(self) -> Allocation:
        """Return what the variables of this job say."""
        return variables.allocation()

    def times(self, id: str) -> Times | None:
        """Return what squeue says of a job's times."""
        return squeue.times(id)

    def nodes(self, id: str) -> set[str]:
        """Return what squeue says of a job's nodes."""
        return squeue.nodes(id)

    def lost_nodes(self, nodes: Sequence[str]) -> set[str]:
        """Return the nodes on which srun can't run a program."""
        return srun.lost_nodes(nodes)

    def requeue(self, id: str) -> Answer:
        """Run scontrol requeue."""
        return scontrol.requeue(id)

    def end(self, id: str) -> Answer:
        """Run scancel."""
        return scontrol.end(id)
