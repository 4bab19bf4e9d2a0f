"""What there is of Slurm around this process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from mpipar.batch.slurm.site.remarks import facts
from mpipar.runtime.mpirun import output_of

_ALLOCATION = (
    "SLURM_JOB_ID",
    "SLURM_JOB_NODELIST",
    "SLURM_NTASKS",
    "SLURM_CPUS_PER_TASK",
    "SLURM_GPUS_ON_NODE",
)


def about() -> Iterator[tuple[str, str]]:
    """Yield names and values: of Slurm itself, and of the job that this process is in."""
    if shutil.which("srun") is None:
        return
    version = output_of("srun", "--version")
    if not version.startswith("slurm"):
        yield "Slurm", "srun is here, but finds no cluster"
        return
    yield "Slurm", version
    yield "srun --mpi=", ", ".join(_kinds_of_mpi()) or "unknown"
    yield from facts()
    if "SLURM_JOB_ID" in os.environ:
        told = [f"{name}={os.environ[name]}" for name in _ALLOCATION if name in os.environ]
        yield "allocation", ", ".join(told)


def _kinds_of_mpi() -> list[str]:
    """Return what srun can start, by its list, which has a heading."""
    lines = [line.strip() for line in output_of("srun", "--mpi=list").splitlines()]
    return [line for line in lines if line and not line.endswith((":", "..."))]
