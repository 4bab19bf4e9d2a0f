"""What is submitted for a job: options of the scheduler, a script, and the script's arguments."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from mpipar.batch.job_file import Job
from mpipar.batch.scheduler import Request
from mpipar.batch.schedulers import scheduler
from mpipar.batch.site import Site

SITE = "site.toml"
"""The profile in the job's folder: the user's own may not be seen by the nodes."""


class Plan(NamedTuple):
    """What is submitted.

    Attributes
    ----------
    options : list of str
        Of the scheduler.
    script : str
        The text of the batch script.
    path : Path
        Where it goes.
    command : list of str
        The script's arguments: what it runs.
    wanted : Request
        What the options say.
    """

    options: list[str]
    script: str
    path: Path
    command: list[str]
    wanted: Request

    def shown(self) -> str:
        """Return the exact script and command, for people, and for a shell."""
        return f"# {self.path}\n{self.script}\n# the command\n{shlex.join(self.words())}"

    def words(self) -> list[str]:
        """Return the command that submits."""
        return scheduler().command(self.options, self.path, self.command)


def plan(job: Job, site: Site, tasks: list[int], after: list[str]) -> Plan:
    """Return what is to be submitted for a job, or for some tasks of an array."""
    path = Path(job.folder) / scheduler().script_name
    wanted = _request(job, site, tasks, after)
    options = scheduler().options(wanted)
    script = scheduler().script(site.prologue)
    return Plan(options, script, path, _command(job, site), wanted)


def _command(job: Job, site: Site) -> list[str]:
    """Return the command of the job's step."""
    step = ["--name", job.name, "--folder", job.folder, "--attempts", str(job.attempts)]
    if (job.ranks or (job.nodes or 1) * (job.ranks_per_node or 1)) == 1:
        step.append("--serial")
    if job.workers is not None:
        step += ["--workers", str(job.workers)]
    if not job.requeue:
        step.append("--no-requeue")
    if job.shrink:
        step.append("--shrink")
    if site.text:
        step += ["--site", f"{job.folder}/{SITE}"]
    python = site.python or sys.executable
    return [python, "-m", "mpipar.batch.step", *step, "--", *job.arguments]


def _request(job: Job, site: Site, tasks: list[int], after: list[str]) -> Request:
    """Return what a job wants of the scheduler."""
    cores = job.cores_per_rank
    if cores is None and isinstance(job.workers, int):
        cores = job.workers
    ranks_per_node = job.ranks_per_node
    if not ranks_per_node and not job.ranks:
        ranks_per_node = 1
    return Request(
        name=job.name,
        folder=job.folder,
        nodes=job.nodes,
        ranks=job.ranks,
        ranks_per_node=ranks_per_node,
        cores_per_rank=cores,
        gpus_per_node=job.gpus_per_node,
        whole_nodes=job.workers == "auto" and cores is None,
        memory=job.memory,
        time=job.time,
        partition=job.partition or site.partition,
        account=job.account or site.account,
        warn=job.warn,
        requeue=job.requeue,
        may_lose_nodes=job.shrink,
        tasks=tasks if job.tasks else [],
        at_once=job.at_once,
        after=after,
        own_options={**site.own_options, **job.own_options},
    )
