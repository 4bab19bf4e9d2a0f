"""Messages between a rank and its children, over a socket. Imports nothing of mpipar.

A message is a list of *frames*, each a buffer of any length: large arrays travel as frames of their own and are never
copied into a pickle. :class:`Channel` is the rank's end, which never waits; :func:`send` and :func:`receive` are the
child's, which does.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview
Frames: TypeAlias = Sequence[Buffer]
Message: TypeAlias = list[bytearray]

_COUNT = struct.Struct("<I")
_MOST_AT_ONCE = 2**24  # bytes that are read of one channel before others have their turn
_MOST_BUFFERS = 64  # of one system call; the system's own limit is 1024


def _packed(frames: Frames) -> list[memoryview]:
    """Return what is written for a message: its number of frames, their lengths, and what isn't empty of them."""
    lengths = [memoryview(frame).nbytes for frame in frames]
    head = _COUNT.pack(len(frames)) + struct.pack(f"<{len(frames)}Q", *lengths)
    return [memoryview(head), *(memoryview(frame).cast("B") for frame in frames if memoryview(frame).nbytes)]


def send(sock: socket.socket, frames: Frames) -> None:
    """Send a message, waiting as long as it takes. Raises OSError when the other end is gone."""
    for buffer in _packed(frames):
        sock.sendall(buffer)


def receive(sock: socket.socket) -> Message:
    """Return the next message, waiting for it. Raises EOFError when the other end is gone."""
    message: Message | None = None
    parser = _parser()
    view = next(parser)
    while True:
        got = sock.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
        if not view:
            try:
                view = next(parser)
            except StopIteration as end:
                message = end.value
                assert message is not None
                return message


def _parser() -> Generator[memoryview, None, Message]:
    """Yield the buffers that a message is to be read into, one after the other; return its frames."""
    count = bytearray(_COUNT.size)
    yield memoryview(count)
    lengths = bytearray(8 * _COUNT.unpack(count)[0])
    if lengths:
        yield memoryview(lengths)
    frames = [bytearray(length) for (length,) in struct.iter_unpack("<Q", lengths)]
    for frame in frames:
        if frame:
            yield memoryview(frame)
    return frames


class Channel:
    """The rank's end of a socket to a child: sends and receives messages without ever waiting.

    Parameters
    ----------
    sock : socket
        Connected; closed by :meth:`close`.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._unsent: deque[memoryview] = deque()
        self._parser = _parser()
        self._view = next(self._parser)

    def fileno(self) -> int:
        """Return the number of the socket's descriptor."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether there is something to flush once the socket can be written to."""
        return bool(self._unsent)

    def send(self, frames: Frames) -> None:
        """Send a message as far as that is possible now; :meth:`flush` sends the rest."""
        self._unsent.extend(_packed(frames))
        self.flush()

    def flush(self) -> None:
        """Go on sending. What a dead child doesn't take is dropped."""
        unsent = self._unsent
        while unsent:
            try:
                sent = self._socket.sendmsg([buffer for buffer, _ in zip(unsent, range(_MOST_BUFFERS), strict=False)])
            except BlockingIOError:
                return
            except OSError:
                unsent.clear()
                return
            while unsent and sent >= len(unsent[0]):
                sent -= len(unsent.popleft())
            if sent:
                unsent[0] = unsent[0][sent:]

    def receive(self) -> Iterator[Message]:
        """Yield the messages that are complete. Raises EOFError when the child has closed its end."""
        allowance = _MOST_AT_ONCE
        while allowance > 0:
            try:
                got = self._socket.recv_into(self._view)
            except BlockingIOError:
                return
            except OSError:
                raise EOFError from None
            if not got:
                raise EOFError
            allowance -= got
            self._view = self._view[got:]
            if not self._view:
                try:
                    self._view = next(self._parser)
                except StopIteration as end:
                    self._parser = _parser()
                    self._view = next(self._parser)
                    yield end.value

    def close(self) -> None:
        """Close the socket."""
        self._unsent.clear()
        self._socket.close()
