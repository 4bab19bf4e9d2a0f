"""Whether the nodes of a job live: each is asked to run a program."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

_ANSWER_SECONDS = 20.0  # that a node is given to show that it lives
_AT_ONCE = 32
# What srun would take over from the job, and is meant for its ranks.
_OF_THE_RANKS = (
    *(
        "SLURM_NTASKS",
        "SRUN_",
        "SLURM_MEM_",
        "SLURM_GPU",
        "SLURM_TRES",
        "SLURM_CPUS_PER_",
        "SLURM_EXACT",
    ),
    *("SLURM_EXCLUSIVE", "SLURM_DISTRIBUTION", "SLURM_EXPORT_ENV", "SLURM_HINT", "SLURM_CPU_BIND"),
)


def lost_nodes(nodes: Sequence[str]) -> set[str]:
    """Return those of some nodes of this job that don't run a program within some seconds."""
    with ThreadPoolExecutor(max(1, min(len(nodes), _AT_ONCE))) as threads:
        return {
            node
            for node, lives in zip(nodes, threads.map(_answers, nodes), strict=True)
            if not lives
        }


def _answers(node: str) -> bool:
    # It has no memory of its own: where memory is counted, the ranks' step holds all of it.
    options = [
        "--overlap",
        "--mem=0",
        "--nodes=1",
        "--ntasks=1",
        "--cpus-per-task=1",
        "--mpi=none",
        "--input=none",
    ]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_OF_THE_RANKS)
    }
    try:
        ended = subprocess.run(
            ["srun", *options, f"--nodelist={node}", "true"],
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
