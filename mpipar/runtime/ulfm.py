"""A communicator that survives the death of ranks. MPI itself is handed in.

Open MPI offers this under ``mpirun --with-ft ulfm`` (user-level failure mitigation; W. Bland et
al., *Int. J. High Perform. Comput. Appl.* 27, 244, 2013). An operation that needs a dead rank
raises; whoever notices revokes the communicator, so that the others don't wait for ever, and all
that live shrink it to themselves.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, TypeVar

from mpipar.base.errors import BadInput
from mpipar.base.overriding import override
from mpipar.runtime.communicator import MPIComm, RankLost
from mpipar.runtime.counter import Counter

_MOST_IN_VAIN = 5

F = TypeVar("F", bound=Callable[..., Any])


def _noticing(method: F) -> F:
    """Let a method raise RankLost where MPI says that a rank is dead, or that another rank has
    noticed it.
    """

    @functools.wraps(method)
    def noticing(self: SurvivingComm, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except self._mpi.Exception as error:
            if error.Get_error_class() in self._signs:
                raise RankLost(str(error)) from None
            raise

    return noticing  # type: ignore[return-value]


class SurvivingComm(MPIComm):
    """All ranks that the launcher started, less those that have died since."""

    survives = True

    def __init__(self, mpi: Any) -> None:
        super().__init__(mpi)
        # Non-blocking collectives of Open MPI 5 say no more than "other" about a dead rank.
        self._signs = (
            mpi.ERR_PROC_FAILED,
            mpi.ERR_PROC_FAILED_PENDING,
            mpi.ERR_REVOKED,
            mpi.ERR_OTHER,
        )
        self._in_vain = 0  # repairs in a row that found no rank dead
        self._comm.Set_errhandler(mpi.ERRORS_RETURN)

    barrier = _noticing(MPIComm.barrier)
    bcast = _noticing(MPIComm.bcast)
    gather = _noticing(MPIComm.gather)
    reduce = _noticing(MPIComm.reduce)
    node_neighbours = _noticing(MPIComm.node_neighbours)
    agree = _noticing(MPIComm.agree)

    @override
    def shared_counter(self) -> Counter:
        raise BadInput(
            "schedule: dynamic needs one-sided operations, which don't survive the loss of a rank"
        )

    @override
    def post_stop(self) -> None:
        with contextlib.suppress(self._mpi.Exception):  # agree, which comes next, will notice
            super().post_stop()

    @override
    def stop_posted(self) -> bool:
        try:
            return super().stop_posted()
        except self._mpi.Exception:
            return True

    @_noticing
    @override
    def settle(self) -> None:
        self._comm.Agree(1)

    def _own_copy(self, world: Any) -> Any:
        """Return a communicator of the ranks of world that live. Collective over world."""
        world.Set_errhandler(self._mpi.ERRORS_RETURN)
        try:
            copy = world.Dup()
        except self._mpi.Exception:
            copy = None
        try:
            all_have_one = world.Agree(int(copy is not None))
        except self._mpi.Exception:  # on all ranks
            all_have_one = 0
        if copy is not None and all_have_one:
            return copy
        survivors = self._survivors(world)
        self.lost_ranks = world.Get_size() - survivors.Get_size()
        return survivors

    def _survivors(self, comm: Any) -> Any:
        """Return a communicator of those ranks that live. Collective over these."""
        while True:
            with contextlib.suppress(self._mpi.Exception):
                comm.Revoke()
            try:
                survivors = comm.Shrink()
                survivors.Set_errhandler(self._mpi.ERRORS_RETURN)
                survivors.Barrier()
            except self._mpi.Exception:
                continue  # another rank was lost meanwhile
            return survivors

    @override
    def repair(self) -> None:
        before = self.size
        survivors = self._survivors(self._comm)
        self._comm = survivors
        self.rank, self.size = survivors.Get_rank(), survivors.Get_size()
        self.lost_ranks += before - self.size
        self._in_vain = self._in_vain + 1 if self.size == before else 0
        if self._in_vain > _MOST_IN_VAIN:
            raise RuntimeError("MPI fails again and again, though all ranks live")
