"""Messages of any size between the root and the other ranks, without waiting.

A message is a list of frames, as in :mod:`mpipar.runtime.channel`. MPI itself is handed in. Small
messages are one MPI message; of large ones that has the lengths alone, and the frames follow in
pieces, as most MPI libraries don't send more than 2³¹ − 1 bytes at once.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from mpipar.runtime.channel import Frames, Message

_HEAD = 0  # a tag
_PIECE = 1
_LARGEST_INLINE = 2**14  # bytes; MPI libraries send so much without asking the receiver
_LARGEST_PIECE = 2**30
_PROBES = 2  # without success, until there is nothing: the first may do no more than look
_BURST_SECONDS = 1e-3  # that a large message is given at once
_COUNTS = struct.Struct("<I?")  # frames, whether they are inline


class _Incoming:
    """A message on its way here."""

    def __init__(self, frames: Message, requests: list[Any]) -> None:
        self.frames = frames
        self.requests = requests


class Link:
    """One rank's end of the messages between ranks.

    Parameters
    ----------
    mpi : module
        ``mpi4py.MPI``.
    comm : mpi4py.MPI.Comm
        The ranks; of no other use while there is a link.
    survives : bool
        Whether others can go on when a rank dies.

    Attributes
    ----------
    lost : set of int
        Ranks that have died.
    """

    def __init__(self, mpi: Any, comm: Any, *, survives: bool) -> None:
        self._mpi = mpi
        self._comm = comm
        self._survives = survives
        # Rank, request, and the buffer that MPI reads from until that is done.
        self._outgoing: deque[tuple[int, Any, Any]] = deque()
        self._incoming: dict[int, deque[_Incoming]] = {}
        self.lost: set[int] = set()

    @property
    def is_busy(self) -> bool:
        """Whether messages are on their way: then MPI must be given a chance now and then."""
        return bool(self._outgoing or self._incoming)

    @property
    def is_streaming(self) -> bool:
        """Whether large messages are on their way: then MPI must be given all the time that there
        is.
        """
        return bool(self._incoming) or any(_is_large(buffer) for _, _, buffer in self._outgoing)

    def send(self, rank: int, frames: Frames) -> None:
        """Begin to send a message. Its frames must not change until they have been received."""
        if rank in self.lost:
            return
        whole = [memoryview(frame) for frame in frames]
        lengths = [view.nbytes for view in whole]
        views = [view.cast("B") for view in whole if view.nbytes]
        inline = sum(lengths) <= _LARGEST_INLINE
        head = _COUNTS.pack(len(frames), inline) + struct.pack(f"<{len(frames)}Q", *lengths)
        try:
            if inline:
                self._begin(rank, b"".join((head, *views)), _HEAD)
                return
            self._begin(rank, head, _HEAD)
            for view in views:
                for piece in _pieces(view):
                    self._begin(rank, piece, _PIECE)
        except self._mpi.Exception as error:
            self._note(error)

    def _begin(self, rank: int, buffer: Any, tag: int) -> None:
        request = self._comm.Isend([buffer, self._mpi.BYTE], rank, tag)
        self._outgoing.append((rank, request, buffer))

    def receive(self) -> Iterator[tuple[int, Message]]:
        """Yield the messages that have arrived, with their senders; those of one rank in the order
        of sending.
        """
        self._forget_sent()
        failed = 0
        while failed < _PROBES:
            if self._probe():
                failed = 0
            else:
                failed += 1
        for rank, queue in list(self._incoming.items()):
            while queue and self._is_complete(rank, queue[0]):
                yield rank, queue.popleft().frames
            if not queue:
                self._incoming.pop(rank, None)

    def _probe(self) -> bool:
        """Take in one message, or the head of one; return whether there was any."""
        status = self._mpi.Status()
        try:
            message = self._comm.Improbe(self._mpi.ANY_SOURCE, _HEAD, status)
            if message is None:
                return False
            data = bytearray(status.Get_count(self._mpi.BYTE))
            message.Recv([data, self._mpi.BYTE])
            self._take_in(status.Get_source(), data)
        except self._mpi.Exception as error:
            return self._note(error)
        return True

    def _take_in(self, rank: int, data: bytearray) -> None:
        count, inline = _COUNTS.unpack_from(data)
        lengths = struct.unpack_from(f"<{count}Q", data, _COUNTS.size)
        requests = []
        if inline:
            frames: Message = []
            at = _COUNTS.size + 8 * count
            for length in lengths:
                frames.append(data[at : at + length])
                at += length
        else:
            frames = [bytearray(length) for length in lengths]
            for frame in frames:
                for piece in _pieces(memoryview(frame)):
                    requests.append(self._comm.Irecv([piece, self._mpi.BYTE], rank, _PIECE))
        self._incoming.setdefault(rank, deque()).append(_Incoming(frames, requests))

    def _is_complete(self, rank: int, message: _Incoming) -> bool:
        try:
            while message.requests and _test(message.requests[0]):
                del message.requests[0]
        except self._mpi.Exception as error:
            self._note(error)
            self._incoming.pop(rank, None)  # its sender died in the middle of it
            return False
        return not message.requests

    def _forget_sent(self) -> None:
        for _ in range(len(self._outgoing)):
            rank, request, buffer = self._outgoing.popleft()
            try:
                is_sent = _test(request) if _is_large(buffer) else request.Test()
                if not is_sent:
                    self._outgoing.append((rank, request, buffer))
            except self._mpi.Exception as error:
                self._note(error)

    def _note(self, error: Any) -> bool:
        """Note which ranks have died; return whether any has since. Raises the error if it has
        another cause.
        """
        if not self._survives:
            raise error
        group = self._comm.Get_failed()
        ranks = group.Translate_ranks(list(range(group.Get_size())), self._comm.Get_group())
        new = set(ranks) - self.lost
        self.lost |= new
        self._comm.Ack_failed()  # those that live can be received from again
        return bool(new)


def _pieces(view: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(view), _LARGEST_PIECE):
        yield view[start : start + _LARGEST_PIECE]


def _is_large(buffer: Any) -> bool:
    return len(buffer) > 2 * _LARGEST_INLINE  # more than one with its head


def _test(request: Any) -> bool:
    """Return whether a piece of a large message is through; test many times, as MPI moves but a
    little at each.
    """
    deadline = time.perf_counter() + _BURST_SECONDS
    while not request.Test():
        if time.perf_counter() > deadline:
            return False
    return True
