"""What is said and done where tasks end their workers."""

from __future__ import annotations

from mpipar.base.errors import WorkerLost
from mpipar.pool.jobs import Job, Raised
from mpipar.pool.slot import Slot
from mpipar.runtime.outlets import warn


class Losses:
    """Tells of workers that were lost, and which tasks are to blame.

    Parameters
    ----------
    hosts : list of str
        The nodes of all ranks.
    retries : int
        How often a task is tried again after its worker has died.
    """

    def __init__(self, hosts: list[str], retries: int) -> None:
        self._hosts = hosts
        self._retries = retries

    def tell(self, slot: Slot, reason: str) -> None:
        """Say that a worker is replaced."""
        warn(f"{self._place(slot)}: {reason}; it is replaced")

    def blame(
        self,
        job: Job,
        task: int,
        slot: Slot,
        reason: str,
    ) -> Raised | None:
        """Note that a task has ended a worker; return its outcome if it is not tried again."""
        job.deaths[task] += 1
        deaths = job.deaths[task]
        if deaths <= self._retries:
            return None
        text = f"task {task} of {job.describe(task)} was given up: {reason}, {self._place(slot)}"
        if deaths > 1:
            text += f", the last of {deaths} workers that had it"
        return Raised(WorkerLost(text))

    def _place(self, slot: Slot) -> str:
        return f"rank {slot.rank} on host {self._hosts[slot.rank]}"
