"""Counters that ranks add to. MPI itself is handed in."""

from __future__ import annotations

import threading
from array import array
from typing import Any

from mpipar.base.overriding import override

_HELPER_SECONDS = 5e-4  # between the looks of the counter's helper for what other nodes ask


class Counter:
    """A counter of this process alone."""

    def __init__(self) -> None:
        self._value = 0

    def add(self, increment: int) -> int:
        """Add ``increment`` and return the value before."""
        before = self._value
        self._value += increment
        return before

    def free(self) -> None:
        """Release the counter. Collective over comm."""


class SharedCounter(Counter):
    """A counter in the root's memory, added to from all ranks by one-sided operations: no rank has
    to serve it.
    """

    def __init__(self, mpi: Any, comm: Any) -> None:
        self._sum = mpi.SUM
        is_root = comm.Get_rank() == 0
        self._window = mpi.Win.Allocate(8 * is_root, 8, mpi.INFO_NULL, comm)
        if is_root:
            self._window.Lock(0)
            memoryview(self._window.tomemory()).cast("q")[0] = 0
            self._window.Unlock(0)
        comm.Barrier()
        # One shared lock for the counter's whole life, and no check: taking a lock would be a
        # message to a busy root.
        self._window.Lock_all(mpi.MODE_NOCHECK)
        self._helper: threading.Thread | None = None
        self._helper_may_end = threading.Event()
        if spans_nodes(mpi, comm) and is_root and mpi.Query_thread() == mpi.THREAD_MULTIPLE:
            self._start_helper(comm)

    @override
    def add(self, increment: int) -> int:
        addend, before = (
            array("q", [increment]),
            array("q", [0]),
        )  # named, as MPI uses both until Flush
        self._window.Fetch_and_op(addend, before, 0, 0, self._sum)
        self._window.Flush(0)
        return before[0]

    @override
    def free(self) -> None:
        if self._helper is not None:
            self._helper_may_end.set()
            self._helper.join()
        self._window.Unlock_all()
        self._window.Free()

    def _start_helper(self, comm: Any) -> None:
        """Let a thread of the root give MPI a chance to answer other nodes while the root is in a
        long block.

        Within a node the counter is plain shared memory; over a network, most MPI libraries serve
        one-sided operations only inside their own calls, and a rank would wait for the end of the
        root's block.
        """

        def help_along() -> None:
            while not self._helper_may_end.wait(_HELPER_SECONDS):
                comm.Iprobe()

        self._helper = threading.Thread(
            target=help_along,
            name="mpipar counter",
            daemon=True,
        )
        self._helper.start()


def spans_nodes(mpi: Any, comm: Any) -> bool:
    """Return whether there are ranks on other nodes. Collective over comm."""
    node_comm = comm.Split_type(mpi.COMM_TYPE_SHARED)
    try:
        return bool(node_comm.Get_size() < comm.Get_size())
    finally:
        node_comm.Free()
