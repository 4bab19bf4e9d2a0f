"""What is known of a run that has ended, be it a moment ago or read back from its file.

::

    runtime.run ─▶ Result(run: RunRecord) ─▶ store.attributes.write ─▶ attributes of the HDF5 file
                                                                            │
    show, model  ◀─ Summary(run: RunRecord) ◀─── store.attributes.read ◀────┤
    open_result  ◀─ StoredResult(run: RunRecord) ◀──────────────────────────┘

All that has such a record tells the same of it by the same names: see :class:`OfRun`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from mpipar.core.plan import Plan


class Placement(NamedTuple):
    """Where a run was, and who took which blocks.

    Attributes
    ----------
    schedule : str
        stride, slice or dynamic.
    ranks, nodes : int
        How many there were.
    workers : int
        Worker processes in each rank; 1 is the rank itself.
    device : str
        cpu, compiled or gpu.
    gpus : sequence of str
        The models of the GPUs, if that is the device: of each rank, or each model once.
    library : str
        The MPI library, or nothing.
    simd : sequence of str
        The widest instruction sets of the processors that NumPy has code for: of each rank, or each
        once; nothing where that isn't known.
    compile_seconds : float
        That it took to compile the kernel, before the clock started; 0 where machine code was
        there, or isn't used.
    """

    schedule: str
    ranks: int
    nodes: int
    workers: int
    device: str = "cpu"
    gpus: Sequence[str] = ()
    library: str = ""
    simd: Sequence[str] = ()
    compile_seconds: float = 0.0

    @property
    def simd_levels(self) -> list[str]:
        """Each instruction set once, in alphabetical order."""
        return sorted(set(self.simd) - {""})

    @property
    def gpu_models(self) -> list[str]:
        """Each model of GPU once, in alphabetical order."""
        return sorted(set(self.gpus))


class Trouble(NamedTuple):
    """What a run had to get over.

    Attributes
    ----------
    resumed_blocks : int
        How many blocks were done before this run.
    retried_blocks : int
        How many times a block was evaluated again.
    skipped_blocks : int
        How many blocks failed, and the run went on without them.
    lost_workers : int
        How many worker processes died, or hung, and were replaced.
    lost_ranks : int
        How many ranks died, and the others went on.
    """

    resumed_blocks: int = 0
    retried_blocks: int = 0
    skipped_blocks: int = 0
    lost_workers: int = 0
    lost_ranks: int = 0


class Worked(Protocol):
    """What one process did."""

    @property
    def blocks(self) -> int:
        """Blocks that it evaluated."""

    @property
    def seconds(self) -> float:
        """Its time in kernels."""

    @property
    def longest(self) -> float:
        """The time of its longest block."""


class Timing(NamedTuple):
    """How long a run took, and how its work was shared; lists have an item for each process.

    Attributes
    ----------
    elapsed : float
        Seconds from the barrier before the first block to the end of the reduction.
    blocks : list of int
        Blocks that each process evaluated.
    seconds, longest : list of float
        Time that each process was in kernels, in all and in its longest block.
    """

    elapsed: float
    blocks: list[int]
    seconds: list[float]
    longest: list[float]

    @classmethod
    def of(cls, elapsed: float, processes: Sequence[Worked]) -> Timing:
        """Return the timing of a run whose processes did this."""
        return cls(
            elapsed=elapsed,
            blocks=[one.blocks for one in processes],
            seconds=[one.seconds for one in processes],
            longest=[one.longest for one in processes],
        )

    @property
    def evaluated_blocks(self) -> int:
        """Number of blocks evaluated in this run."""
        return sum(self.blocks)

    @property
    def busy(self) -> float:
        """Seconds that all processes together were in kernels."""
        return sum(self.seconds)

    @property
    def imbalance(self) -> float:
        """The largest of the processes' times in kernels over their mean; 1 is perfect."""
        busy = self.busy
        if busy <= 0:
            return 1.0
        return max(self.seconds) * len(self.seconds) / busy

    @property
    def longest_block(self) -> float:
        """Seconds of the longest block."""
        return max(self.longest, default=0.0)

    @property
    def lower_bound(self) -> float:
        """Seconds that no schedule can beat: the longest block, or an equal share of the time in
        kernels.
        """
        equal_share = self.busy / max(1, len(self.seconds))
        return max(equal_share, self.longest_block)


class RunRecord(NamedTuple):
    """What was run, and how that went.

    Attributes
    ----------
    name : str
        Name of the kernel, which is its driver.
    parameters : dict
        Values of all parameters of the kernel.
    plan : Plan
        n, block size and blocks: of those that were evaluated, if the run ended early because that
        was enough.
    seed : int
        Seed of the random streams.
    placement : Placement
    trouble : Trouble
    timing : Timing
    """

    name: str
    parameters: dict[str, Any]
    plan: Plan
    seed: int
    placement: Placement
    trouble: Trouble
    timing: Timing


class OfRun:
    """Something with a record, ``run``, which it tells of by short names.

    Attributes
    ----------
    run : RunRecord
    """

    __slots__ = ()

    run: RunRecord

    @property
    def name(self) -> str:
        """Name of the kernel."""
        return self.run.name

    @property
    def parameters(self) -> dict[str, Any]:
        """Values of all parameters of the kernel."""
        return self.run.parameters

    @property
    def plan(self) -> Plan:
        """The n, the block size and the blocks that were evaluated."""
        return self.run.plan

    @property
    def seed(self) -> int:
        """Seed of the random streams."""
        return self.run.seed

    @property
    def schedule(self) -> str:
        """Who took which blocks: stride, slice or dynamic."""
        return self.run.placement.schedule

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return self.run.placement.ranks

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self.run.placement.nodes

    @property
    def workers(self) -> int:
        """Worker processes in each rank; 1 is the rank itself."""
        return self.run.placement.workers

    @property
    def device(self) -> str:
        """The device that evaluated blocks: cpu, compiled or gpu."""
        return self.run.placement.device

    @property
    def gpus(self) -> Sequence[str]:
        """The models of the GPUs, if that is the device."""
        return self.run.placement.gpus

    @property
    def library(self) -> str:
        """The MPI library, or nothing."""
        return self.run.placement.library

    @property
    def simd(self) -> list[str]:
        """The widest instruction sets of the processors that NumPy has code for, each once."""
        return self.run.placement.simd_levels

    @property
    def compile_seconds(self) -> float:
        """Seconds that it took to compile the kernel, before the clock started."""
        return self.run.placement.compile_seconds

    @property
    def resumed_blocks(self) -> int:
        """How many blocks were done before this run."""
        return self.run.trouble.resumed_blocks

    @property
    def retried_blocks(self) -> int:
        """How many times a block was evaluated again."""
        return self.run.trouble.retried_blocks

    @property
    def lost_workers(self) -> int:
        """How many worker processes died, or hung, and were replaced."""
        return self.run.trouble.lost_workers

    @property
    def lost_ranks(self) -> int:
        """How many ranks died, and the others went on."""
        return self.run.trouble.lost_ranks

    @property
    def elapsed(self) -> float:
        """Seconds from the barrier before the first block to the end of the reduction."""
        return self.run.timing.elapsed

    @property
    def evaluated_blocks(self) -> int:
        """Number of blocks evaluated in this run."""
        return self.run.timing.evaluated_blocks

    @property
    def imbalance(self) -> float:
        """The largest of the processes' times in kernels over their mean; 1 is perfect."""
        return self.run.timing.imbalance

    @property
    def lower_bound(self) -> float:
        """Seconds that no schedule can beat: the longest block, or an equal share of the time in
        kernels.
        """
        return self.run.timing.lower_bound
