"""Large data for all workers of a node: it is there once, until one of them writes to it.

::

    rank: Held(frames) ──ticket──▶ its workers, and ranks on its node: opened(ticket)

It is in memory that belongs to no file, and is found by way of the rank that holds it.
"""

from __future__ import annotations

import mmap
import os
import pickle
import weakref
from collections.abc import Iterator

from mpipar.runtime.channel import Frames


class Held:
    """Frames as they are now.

    Parameters
    ----------
    frames : list

    Attributes
    ----------
    ticket : bytes
        Where others on this node find them; nothing if there are none.
    """

    def __init__(self, frames: Frames) -> None:
        self.ticket = b""
        self._sizes = [memoryview(frame).nbytes for frame in frames]
        if not frames:
            return
        file = os.memfd_create("mpipar", os.MFD_CLOEXEC)
        weakref.finalize(self, os.close, file)
        os.truncate(file, sum(map(_whole_pages, self._sizes)))
        for frame, start in zip(frames, _starts(self._sizes), strict=True):
            _write(file, memoryview(frame).cast("B"), start)
        place = f"/proc/{os.getpid()}/fd/{file}"
        self.ticket = pickle.dumps((place, self._sizes))

    def message(self, *, is_on_this_node: bool) -> Frames:
        """Return the ticket; for another node, the frames follow it."""
        if is_on_this_node:
            return [self.ticket]
        return [self.ticket, *opened(self.ticket)]


def _write(file: int, data: memoryview, start: int) -> None:
    while data:
        count = os.pwrite(file, data, start)
        start += count
        data = data[count:]


def opened(ticket: bytes) -> Frames:
    """Return what another process on this node holds; what is written to it, none sees."""
    if not ticket:
        return []
    place, sizes = pickle.loads(ticket)
    with open(place, "rb") as file:
        memory = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    found = []
    for start, size in zip(_starts(sizes), sizes, strict=True):
        end = start + size
        found.append(memory[start:end])
    return found


def _starts(sizes: list[int]) -> Iterator[int]:
    start = 0
    for size in sizes:
        yield start
        start += _whole_pages(size)


def _whole_pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
