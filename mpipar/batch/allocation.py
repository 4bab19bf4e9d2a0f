"""What Slurm has given this job, as its environment says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mpipar.base.errors import BadInput
from mpipar.runtime.mpirun import output_of


@dataclass(frozen=True)
class Allocation:
    """Nodes and what is to run on them.

    Attributes
    ----------
    job : str
        The job's number; that of the whole array for a task of one.
    task : str
        The task's number within its array; empty if there is none.
    own_id : str
        What scontrol and scancel take for this job alone; SLURM_JOB_ID of an array's last task is
        the whole array's.
    name : str
        The job's name.
    folder : str
        Where it was submitted.
    nodes : tuple of str
        Names of the nodes, this one first.
    ranks : int
        How many ranks there should be.
    ranks_per_node : int or None
        How many on each node; None if not the same on all.
    restarts : int
        How often the job has been requeued.
    """

    job: str
    task: str
    own_id: str
    name: str
    folder: str
    nodes: tuple[str, ...]
    ranks: int
    ranks_per_node: int | None
    restarts: int

    @property
    def label(self) -> str:
        """The job's name and number, which its log and journal are named by."""
        return f"{self.name}-{self.job}{'_' * bool(self.task)}{self.task}"

    def without(self, lost: set[str]) -> Allocation:
        """Return what is left when nodes are lost."""
        nodes = tuple(node for node in self.nodes if node not in lost)
        per_node = self.ranks_per_node or max(1, self.ranks // len(self.nodes))
        return replace(self, nodes=nodes, ranks=per_node * len(nodes), ranks_per_node=per_node)


def allocation(environment: Mapping[str, str] = os.environ) -> Allocation:
    """Return this job's allocation.

    Raises
    ------
    BadInput
        If this isn't a job.
    """
    number = environment.get("SLURM_JOB_ID", "")
    if not number:
        raise BadInput("this is for jobs of Slurm: submit it by sbatch (SLURM_JOB_ID is not set)")
    nodes = host_names(environment.get("SLURM_JOB_NODELIST", ""))
    count = int(environment.get("SLURM_JOB_NUM_NODES", len(nodes)))
    per_node = tasks_per_node(environment, count)
    job, task = (
        environment.get("SLURM_ARRAY_JOB_ID") or number,
        environment.get("SLURM_ARRAY_TASK_ID", ""),
    )
    return Allocation(
        job=job,
        task=task,
        own_id=f"{job}_{task}" if task else number,
        name=environment.get("SLURM_JOB_NAME", "job"),
        folder=environment.get("SLURM_SUBMIT_DIR") or os.getcwd(),
        nodes=nodes,
        ranks=sum(per_node),
        ranks_per_node=per_node[0] if len(set(per_node)) == 1 else None,
        restarts=int(environment.get("SLURM_RESTART_COUNT", "0")),
    )


def tasks_per_node(environment: Mapping[str, str], nodes: int) -> list[int]:
    """Return how many ranks each node should have: what was asked for, or else how Slurm has spread
    them.
    """
    asked = environment.get("SLURM_NTASKS_PER_NODE", "")
    total = environment.get("SLURM_NTASKS", "")
    if asked.isdigit() and (not total or int(total) == int(asked) * nodes):
        return [int(asked)] * nodes
    spread: list[int] = []
    for count, times in re.findall(
        r"(\d+)(?:\(x(\d+)\))?", environment.get("SLURM_TASKS_PER_NODE", "")
    ):
        spread += [int(count)] * int(times or 1)
    if total and sum(spread) != int(total):  # e.g. --exclusive: Slurm counts cores there
        each, more = divmod(int(total), nodes)
        return [each + (index < more) for index in range(nodes)]
    return spread or [1] * nodes


def host_names(text: str) -> tuple[str, ...]:
    """Return the names in a list such as ``n[1-3],gpu07``, this node's first. Raises BadInput."""
    names = text.split(",")
    if "[" in text:
        names = output_of("scontrol", "show", "hostnames", text).split()
        if not names:
            raise BadInput(
                "scontrol can't be run; does the prologue take Slurm's programs from the path?"
            )
    own = os.environ.get("SLURMD_NODENAME")
    return tuple(sorted(names, key=lambda name: name != own))
