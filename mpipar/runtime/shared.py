"""Arrays that exist once on each node, for all of its ranks and workers.

The memory is an anonymous file (``memfd_create``) that one process holds and the others map,
through that process's ``/proc`` entry. It has no name, so nothing is left behind by a run that is
killed, and it isn't in ``/dev/shm``, which containers make small. Ranks, workers and workers that
are started later all come to it in the same way.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from mpipar.core.kernel import BoundKernel
from mpipar.core.reduction import Array
from mpipar.runtime.agreement import all_well
from mpipar.runtime.communicator import Comm
from mpipar.runtime.failure import Failure


class NodeArray(NamedTuple):
    """Where an array is. Can be sent to any process of the same user on the same node.

    Attributes
    ----------
    pid, descriptor : int
        The process that holds the memory, and its file descriptor.
    shape : tuple of int
    dtype : dtype
    """

    pid: int
    descriptor: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    def attach(self) -> Array:
        """Return the array, read-only."""
        with open(f"/proc/{self.pid}/fd/{self.descriptor}", "rb") as file:
            return _mapped(file.fileno(), self, mmap.PROT_READ)

    def release(self) -> None:
        """Close the descriptor, in the process that holds it; the memory lives on where it is
        mapped.
        """
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


@contextlib.contextmanager
def shared_arrays(bound: BoundKernel, comm: Comm) -> Iterator[Mapping[str, NodeArray]]:
    """Make the kernel's shared arrays, one process on each node. Collective over comm.

    Raises
    ------
    RunFailed
        On all ranks, if that fails on any.
    """
    arrays: dict[str, NodeArray] = {}
    made: list[NodeArray] = []
    makes = False
    if bound.shared_names:
        local_rank, _ = comm.node_neighbours(None)
        makes = local_rank == 0
    try:
        for name in bound.shared_names:
            failure = None
            if makes:
                try:
                    made.append(make(functools.partial(bound.make_shared, name)))
                except Exception as error:
                    where = f"making the shared array {name!r}"
                    failure = Failure.of(where, error)
            all_well(comm, failure)
            own = made[-1:] if makes else []
            _, of_node = comm.node_neighbours(own)
            [arrays[name]] = of_node[0]
        yield arrays
    finally:
        for array in made:
            array.release()


def make(function: Callable[[Callable[..., Array]], Any]) -> NodeArray:
    """Return the array that ``function(empty)`` makes, in memory that others can attach to.

    Parameters
    ----------
    function : callable
        Returns an array that it has got from ``empty(shape, dtype)``, filled; any other array is
        copied.
    """
    made: list[tuple[NodeArray, Array]] = []

    def empty(shape: Any, dtype: Any = float) -> Array:
        lengths = (shape,) if isinstance(shape, (int, np.integer)) else shape
        room, array = _allocate(tuple(int(length) for length in lengths), np.dtype(dtype))
        made.append((room, array))
        return array

    try:
        filled = np.asarray(function(empty))
        ours = [room for room, array in made if array is filled]
        if not ours:
            if filled.dtype.hasobject:
                raise TypeError(f"a shared array can't be of {filled.dtype}")
            room, array = _allocate(filled.shape, filled.dtype)
            made.append((room, array))
            array[...] = filled
            ours = [room]
    except BaseException:
        for room, _ in made:
            room.release()
        raise
    for room, _ in made:
        if room is not ours[0]:
            room.release()
    return ours[0]


def _allocate(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[NodeArray, Array]:
    if dtype.hasobject:
        raise TypeError(f"a shared array can't be of {dtype}")
    descriptor = os.memfd_create("mpipar", os.MFD_CLOEXEC)
    room = NodeArray(os.getpid(), descriptor, shape, dtype)
    try:
        os.truncate(descriptor, max(1, room.nbytes))
        return room, _mapped(descriptor, room, mmap.PROT_READ | mmap.PROT_WRITE)
    except BaseException:
        room.release()
        raise


def _mapped(descriptor: int, room: NodeArray, protection: int) -> Array:
    memory = mmap.mmap(descriptor, max(1, room.nbytes), mmap.MAP_SHARED, protection)
    count = room.nbytes // max(1, room.dtype.itemsize)
    return np.frombuffer(memory, room.dtype, count).reshape(room.shape)
