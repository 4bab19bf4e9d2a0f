"""What Slurm has given this job, as its environment says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from mpipar.base.errors import BadInput
from mpipar.batch.allocation import Allocation
from mpipar.runtime.mpirun import output_of

_SPREAD = re.compile(r"(\d+)(?:\(x(\d+)\))?")  # 2(x3),1


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
    if int(environment.get("SLURM_HET_SIZE", "1")) > 1:
        raise BadInput(
            "this is a heterogeneous job, whose components can't be one run: submit one component"
        )
    nodes = host_names(environment.get("SLURM_JOB_NODELIST", ""))
    count = int(environment.get("SLURM_JOB_NUM_NODES", len(nodes)))
    per_node = tasks_per_node(environment, count)
    is_even = len(set(per_node)) == 1
    job = environment.get("SLURM_ARRAY_JOB_ID") or number
    task = environment.get("SLURM_ARRAY_TASK_ID", "")
    return Allocation(
        job=job,
        task=task,
        # SLURM_JOB_ID of an array's last task is the whole array's.
        own_id=f"{job}_{task}" if task else number,
        name=environment.get("SLURM_JOB_NAME", "job"),
        folder=environment.get("SLURM_SUBMIT_DIR") or os.getcwd(),
        nodes=nodes,
        ranks=sum(per_node),
        ranks_per_node=per_node[0] if is_even else None,
        restarts=int(environment.get("SLURM_RESTART_COUNT", "0")),
    )


def tasks_per_node(environment: Mapping[str, str], nodes: int) -> list[int]:
    """Return how many ranks each node should have: as asked for, or as Slurm has spread them."""
    asked = environment.get("SLURM_NTASKS_PER_NODE", "")
    total = environment.get("SLURM_NTASKS", "")
    if asked.isdigit() and (not total or int(total) == int(asked) * nodes):
        return [int(asked)] * nodes
    spread: list[int] = []
    for count, times in _SPREAD.findall(environment.get("SLURM_TASKS_PER_NODE", "")):
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
