"""Steps of a job: its ranks, and a look at whether its nodes live."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from mpipar.batch.allocation import Allocation

_ANSWER_SECONDS = 20.0  # that a node is given to show that it lives
_AT_ONCE = 32
# What srun would take over from the job, and is meant for its ranks.
_OF_THE_RANKS = (
    "SLURM_NTASKS",
    "SRUN_",
    "SLURM_MEM_",
    "SLURM_GPU",
    "SLURM_TRES",
    "SLURM_CPUS_PER_",
    "SLURM_EXACT",
    "SLURM_EXCLUSIVE",
    "SLURM_DISTRIBUTION",
    "SLURM_EXPORT_ENV",
    "SLURM_HINT",
    "SLURM_CPU_BIND",
)
# It has no memory of its own: where memory is counted, the ranks' step holds all of it.
_LOOK = (
    "--overlap",
    "--mem=0",
    "--nodes=1",
    "--ntasks=1",
    "--cpus-per-task=1",
    "--mpi=none",
    "--input=none",
)


class Srun:
    """What starts ranks within a job, as a step of it."""

    program = "srun"
    cores_variable = "SLURM_CPUS_PER_TASK"
    # The first three are of salloc and sbatch, in some versions of Slurm.
    of_each_rank = (
        cores_variable,
        "SLURM_GPUS_PER_TASK",
        "SLURM_TRES_PER_TASK",
        "SRUN_CPUS_PER_TASK",
        "SLURM_CPUS_PER_GPU",
        "SLURM_TRES_BIND",
        "SLURM_GPU_BIND",
        "SLURM_HINT",
        "SLURM_THREADS_PER_CORE",
        "SLURM_CPU_BIND",
        "SLURM_CPU_BIND_TYPE",
        "SLURM_CPU_BIND_LIST",
        "SLURM_CPU_BIND_VERBOSE",
    )

    def options(self, given: Allocation, *, whole: bool) -> list[str]:
        """Return options for a step over all ranks; it ends when one of them fails, rather than
        wait for the others.
        """
        options = [
            "--kill-on-bad-exit=1",
            f"--nodes={len(given.nodes)}",
            f"--ntasks={given.ranks}",
        ]
        if given.ranks_per_node:
            options.append(f"--ntasks-per-node={given.ranks_per_node}")
        if not whole:
            options.append(f"--nodelist={','.join(given.nodes)}")
        return options

    def environment(self, around: Mapping[str, str]) -> dict[str, str]:
        """Return the environment for what starts the ranks, an mpirun's own srun included."""
        environment = dict(around)
        # Of sbatch --export=NONE; srun would start ranks with nothing.
        environment.pop("SLURM_EXPORT_ENV", None)
        # The last step may be there still, as on a node that is lost; where memory is counted, it
        # holds all of it.
        environment["SLURM_OVERLAP"] = "1"
        return environment


def lost_nodes(nodes: Sequence[str]) -> set[str]:
    """Return those of some nodes of this job that don't run a program within some seconds."""
    with ThreadPoolExecutor(max(1, min(len(nodes), _AT_ONCE))) as threads:
        answers = dict(zip(nodes, threads.map(_answers, nodes), strict=True))
    return {node for node, lives in answers.items() if not lives}


def _answers(node: str) -> bool:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_OF_THE_RANKS)
    }
    try:
        ended = subprocess.run(
            ["srun", *_LOOK, f"--nodelist={node}", "true"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    except OSError:
        return True  # there is no srun: nobody can tell
    return ended.returncode == 0
