"""Communicators: of one process, and of all ranks. MPI itself is handed in by
:mod:`mpipar.runtime.comm`.

Waiting is done asleep: MPI's own blocking calls spin, which takes the cores from ranks that still
compute wherever there are more ranks than cores.
"""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from mpipar.base.overriding import override
from mpipar.runtime.counter import Counter, SharedCounter
from mpipar.runtime.journal import ENDED, tell
from mpipar.runtime.mismatch import library_name
from mpipar.runtime.outlets import flush

if TYPE_CHECKING:
    from mpipar.runtime.link import Link

T = TypeVar("T")

PATIENCE = 3.0
"""Seconds that a failing rank gives the others to finish their blocks, before it aborts them."""

FAILING, STOPPING, GOING_ON = range(3)
"""What a rank says to :meth:`Comm.agree`; a failure on any rank counts more than an early stop of
another.
"""

_STOP = 1  # tag of the one kind of message between ranks


class RankLost(Exception):
    """A rank has died, and the others can go on: call :meth:`Comm.repair`, which is collective, and
    begin again.
    """


class Comm:
    """A communicator of one process, which needs no MPI; the base of :class:`MPIComm`.

    Attributes
    ----------
    rank, size : int
        Number of this rank, and of ranks.
    host : str
        Name of this node.
    library : str
        Name and version of the MPI library; empty if there is none.
    survives : bool
        Whether the others can go on when a rank dies. Then any method may raise RankLost, but for
        those that say so.
    lost_ranks : int
        How many have died so far.
    is_lent : bool
        Whether the other ranks serve pools, and can't take part in anything else.
    """

    rank = 0
    size = 1
    library = ""
    survives = False
    lost_ranks = 0
    is_lent = False

    def __init__(self) -> None:
        self.host = os.uname().nodename

    @property
    def is_root(self) -> bool:
        """Whether this rank is the root, which alone writes to stdout and to files."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait for all ranks, asleep. Collective over comm."""

    def bcast(self, value: T, root: int = 0) -> T:
        """Return the value of rank ``root`` on every rank. Collective over comm."""
        return value

    def gather(self, value: T) -> list[T]:
        """Return all ranks' values in order on the root, an empty list elsewhere. Collective over
        comm.
        """
        return [value]

    def reduce(self, value: T, operation: Callable[[T, T], T]) -> T | None:
        """Return all ranks' values combined on the root, None elsewhere, in O(log size) steps.
        Collective over comm.
        """
        return value

    def node_neighbours(self, value: T) -> tuple[int, list[T]]:
        """Return the local rank and the values of all ranks of this node. Collective over comm."""
        return 0, [value]

    def shared_counter(self) -> Counter:
        """Return a counter, from 0, that all ranks add to. Collective over comm."""
        return Counter()

    def link(self) -> Link | None:
        """Return messages between the ranks that nobody waits for; None if there is one rank.
        Collective over comm.
        """
        return None

    def post_stop(self) -> None:
        """Tell all other ranks to stop after the blocks in flight; then call :meth:`agree`."""

    def stop_posted(self) -> bool:
        """Return whether another rank said to stop, or is lost. Gives MPI a chance to make
        progress. Raises nothing.
        """
        return False

    def settle(self) -> None:
        """Make sure that all ranks have come here, or else let all raise RankLost. Collective over
        comm.
        """

    def repair(self) -> None:
        """Go on without the ranks that have died; rank and size change. Collective over those that
        live.
        """

    def agree(self, state: int, last_words: Callable[[], None]) -> tuple[int, int] | None:
        """Wait until all ranks are done with their local work; return the lowest rank that fails or
        stops, or None.

        Collective over comm. A rank that doesn't go on must have called :meth:`post_stop` before.
        If a rank fails, and the others don't come within :data:`PATIENCE` seconds, it calls
        ``last_words`` and aborts the job.

        Parameters
        ----------
        state : int
            :data:`FAILING`, :data:`STOPPING` or :data:`GOING_ON`.
        last_words : callable

        Returns
        -------
        rank, state : int
            Of the lowest rank that fails, or else of the lowest one that stops.
        """
        if state == GOING_ON:
            return None
        return self.rank, state

    def free(self) -> None:
        """Give up what was made for these ranks alone; nothing can be done with them after that.
        Collective.
        """

    def abort(self, code: int) -> NoReturn:
        """End all ranks at once."""
        tell(ENDED, code=code)
        flush()
        os._exit(code)


class MPIComm(Comm):
    """All ranks that the launcher started, or those of another communicator.

    Parameters
    ----------
    mpi : module
        ``mpi4py.MPI``, initialised.
    of : mpi4py.MPI.Intracomm, optional
        The communicator that has the ranks; by default the world.
    """

    # World is duplicated, so that no message or collective of ours can meet one of the user's. The
    # duplicate lives as long as the process:
    #
    # COMM_WORLD ── Dup ──▶ _comm ── Split_type(SHARED) ──▶ a node's ranks, freed at once after use
    #   (the user's)          reduce, gather, stop messages

    def __init__(self, mpi: Any, of: Any = None) -> None:
        self._mpi = mpi
        self._comm = self._own_copy(mpi.COMM_WORLD if of is None else of)
        self.rank = self._comm.Get_rank()
        self.size = self._comm.Get_size()
        self.host = mpi.Get_processor_name()
        self.library = library_name(mpi.Get_library_version())

    def _own_copy(self, world: Any) -> Any:
        """Return a communicator of the same ranks. Collective over world."""
        return world.Dup()

    @override
    def barrier(self) -> None:
        _wait(self._comm.Ibarrier())

    @override
    def bcast(self, value: T, root: int = 0) -> T:
        self.barrier()  # asleep
        result: T = self._comm.bcast(value, root)
        return result

    @override
    def gather(self, value: T) -> list[T]:
        return self._comm.gather(value) or []

    @override
    def reduce(self, value: T, operation: Callable[[T, T], T]) -> T | None:
        result: T | None = self._comm.reduce(value, operation)
        return result

    @override
    def node_neighbours(self, value: T) -> tuple[int, list[T]]:
        node_comm = self._comm.Split_type(self._mpi.COMM_TYPE_SHARED)
        try:
            return node_comm.Get_rank(), node_comm.allgather(value)
        finally:
            node_comm.Free()

    @override
    def shared_counter(self) -> Counter:
        return SharedCounter(self._mpi, self._comm)

    @override
    def link(self) -> Link | None:
        from mpipar.runtime.link import Link  # pools alone have one

        comm = self._comm.Dup()
        if self.survives:
            comm.Set_errhandler(self._mpi.ERRORS_RETURN)
        return Link(self._mpi, comm, survives=self.survives)

    @override
    def post_stop(self) -> None:
        for rank in range(self.size):
            if rank != self.rank:
                self._comm.Isend([b"", self._mpi.BYTE], rank, _STOP).Free()

    @override
    def stop_posted(self) -> bool:
        return bool(self._comm.Iprobe(self._mpi.ANY_SOURCE, _STOP))

    @override
    def agree(self, state: int, last_words: Callable[[], None]) -> tuple[int, int] | None:
        # Both buffers have names: MPI uses them until the request is done.
        mine = array("q", [state * self.size + self.rank])
        lowest = array("q", [0])
        request = self._comm.Iallreduce(mine, lowest, self._mpi.MIN)
        deadline = None
        if state == FAILING:
            # Later for higher ranks, so that of several failing ranks the lowest has the last word.
            patience = PATIENCE + min(0.1 * self.rank, PATIENCE)
            deadline = time.monotonic() + patience
        if not _wait(request, deadline):
            last_words()
            self.abort(1)
        verdict, rank = divmod(lowest[0], self.size)
        if verdict == GOING_ON:
            return None
        # Leave no message behind for a later run.
        posted = int(state != GOING_ON)
        posted_by_others = self._comm.allreduce(posted) - posted
        for _ in range(posted_by_others):
            # MPICH's Recv from any source hangs between nodes, once Iprobe has seen the message.
            self._comm.Mprobe(self._mpi.ANY_SOURCE, _STOP).Recv([bytearray(1), self._mpi.BYTE])
        return rank, verdict

    @override
    def free(self) -> None:
        self._comm.Free()

    @override
    def abort(self, code: int) -> NoReturn:
        tell(ENDED, code=code)
        flush()
        self._comm.Abort(code)
        os._exit(code)


def _wait(request: Any, deadline: float | None = None) -> bool:
    """Wait for an MPI request, mostly asleep. Return False if the deadline (of time.monotonic)
    passed first.
    """
    nap = 0.0
    while not request.Test():
        if deadline is not None and time.monotonic() > deadline:
            return False
        time.sleep(nap)
        nap = min(nap + 1e-5, 1e-3)
    return True
