"""What a job was given: nodes, and what is to run on them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mpipar.batch.task_numbers import job_id


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
        What the scheduler takes for this job alone, or this task of an array.
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
        return f"{self.name}-{job_id(self.job, self.task)}"

    def without(self, lost: set[str]) -> Allocation:
        """Return what is left when nodes are lost."""
        nodes = tuple(node for node in self.nodes if node not in lost)
        per_node = self.ranks_per_node or max(1, self.ranks // len(self.nodes))
        return replace(self, nodes=nodes, ranks=per_node * len(nodes), ranks_per_node=per_node)
