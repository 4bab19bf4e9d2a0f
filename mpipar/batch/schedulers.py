"""Which scheduler is in use: the one place that names them."""

from __future__ import annotations

from mpipar.batch.scheduler import Scheduler
from mpipar.batch.slurm.scheduler import Slurm

_IN_USE: Scheduler = Slurm()


def scheduler() -> Scheduler:
    """Return the scheduler that jobs are submitted to, and run under."""
    return _IN_USE
