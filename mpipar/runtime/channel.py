"""Messages between a rank and its children, over a socket.

A message is a list of *frames*, each a buffer of any length: large arrays travel as frames of their
own and are never copied into a pickle. :class:`Channel` is the rank's end, which never waits;
:func:`send` and :class:`Receiver` are the child's, which do. A small message is written by one
system call, and read by one.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import socket

Buffer: TypeAlias = bytes | bytearray | memoryview
Frames: TypeAlias = Sequence[Buffer]
Message: TypeAlias = list[bytearray]

_COUNT = struct.Struct("<I")
_MOST_AT_ONCE = 2**24  # bytes that are read of one channel before others have their turn
_MOST_BUFFERS = 64  # of one system call; the system's own limit is 1024
_SMALL = 2**14  # bytes of frames that are copied together, rather than written one by one
_READ = (
    2**16
)  # bytes that are read at once, but for large frames, which are read into their own memory


def _packed(frames: Frames) -> list[bytes | memoryview]:
    """Return what is written for a message: its number of frames, their lengths, and what isn't
    empty of them.
    """
    lengths = [len(frame) if type(frame) is bytes else memoryview(frame).nbytes for frame in frames]
    head = struct.pack(f"<I{len(frames)}Q", len(frames), *lengths)
    if sum(lengths) <= _SMALL:
        return [b"".join((head, *frames))]
    filled = [
        memoryview(frame).cast("B") for frame, length in zip(frames, lengths, strict=True) if length
    ]
    return [head, *filled]


def send(sock: socket.socket, frames: Frames) -> None:
    """Send a message, waiting as long as it takes. Raises OSError when the other end is gone."""
    for buffer in _packed(frames):
        sock.sendall(buffer)


class _Assembly:
    """Puts messages together from what is read: :attr:`room` is to be filled, and how far told to
    :meth:`filled`.
    """

    def __init__(self) -> None:
        self._buffer = bytearray(_READ)
        self._view = memoryview(self._buffer)
        self._at = self._end = 0  # of what has been read into it, and isn't part of a message yet
        self._frames: Message | None = None  # of a message whose lengths are known
        self._missing: deque[memoryview] = deque()  # of these frames

    @property
    def has_begun(self) -> bool:
        """Whether a part of a message is here."""
        return self._at < self._end or bool(self._missing)

    @property
    def room(self) -> memoryview:
        """Where the next bytes are to go."""
        if self._missing:
            return self._missing[0]
        if self._at:
            rest = self._buffer[self._at : self._end]
            self._at, self._end = 0, len(rest)
            self._view[: self._end] = rest
        return self._view[self._end :]

    def filled(self, count: int) -> None:
        """Take in that so many bytes are there."""
        if not self._missing:
            self._end += count
            return
        rest = self._missing.popleft()[count:]
        if rest:
            self._missing.appendleft(rest)

    def message(self) -> Message | None:
        """Return the next message, if all of it is there."""
        if self._frames is None:
            self._frames = self._begun()
        if self._frames is None or self._missing:
            return None
        frames, self._frames = self._frames, None
        return frames

    def _begun(self) -> Message | None:
        """Return the frames of the next message, as far as they are there, if their lengths are."""
        if self._end - self._at < _COUNT.size:
            return None
        (count,) = _COUNT.unpack_from(self._buffer, self._at)
        size = _COUNT.size + 8 * count
        if self._end - self._at < size:
            self._make_room(size)
            return None
        lengths = struct.unpack_from(f"<{count}Q", self._buffer, self._at + _COUNT.size)
        self._at += size
        return [self._frame(length) for length in lengths]

    def _make_room(self, size: int) -> None:
        """See to it that the lengths of many frames have room."""
        if size > len(self._buffer):
            rest = self._buffer[self._at : self._end]
            self._buffer = rest + bytes(2 * size - len(rest))
            self._view = memoryview(self._buffer)
            self._at, self._end = 0, len(rest)

    def _frame(self, length: int) -> bytearray:
        """Return a frame, as far as it is there."""
        there = self._buffer[self._at : min(self._at + length, self._end)]
        self._at += len(there)
        if len(there) < length:
            begun = len(there)
            there += bytes(length - begun)
            self._missing.append(memoryview(there)[begun:])
        return there


class Receiver:
    """A child's end of a socket, for what comes.

    Parameters
    ----------
    sock : socket
        Connected.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._assembly = _Assembly()

    @property
    def has_begun(self) -> bool:
        """Whether at least a part of the next message has been read already."""
        return self._assembly.has_begun

    def receive(self) -> Message:
        """Return the next message, waiting for it. Raises EOFError when the other end is gone."""
        assembly = self._assembly
        while (message := assembly.message()) is None:
            got = self._socket.recv_into(assembly.room)
            if not got:
                raise EOFError
            assembly.filled(got)
        return message


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
        self._assembly = _Assembly()

    def fileno(self) -> int:
        """Return the number of the socket's descriptor."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether there is something to flush once the socket can be written to."""
        return bool(self._unsent)

    @property
    def has_begun(self) -> bool:
        """Whether at least a part of the next message has come, or the child has gone."""
        from socket import MSG_PEEK  # a run without workers does without it

        if self._assembly.has_begun:
            return True
        try:
            self._socket.recv(1, MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:  # the child is dead, which is something, too
            return True
        return True

    def send(self, frames: Frames) -> None:
        """Send a message as far as that is possible now; :meth:`flush` sends the rest."""
        pieces = _packed(frames)
        if len(pieces) == 1 and not self._unsent:
            pieces = self._rest(pieces[0])
        if pieces:
            self._unsent.extend(map(memoryview, pieces))
            self.flush()

    def _rest(self, piece: bytes | memoryview) -> list[bytes | memoryview]:
        """Send what is small at once; return what is left of it."""
        try:
            sent = self._socket.send(piece)
        except BlockingIOError:
            return [piece]
        except OSError:  # the child is dead
            return []
        return [piece[sent:]] if sent < len(piece) else []

    def flush(self) -> None:
        """Go on sending. What a dead child doesn't take is dropped."""
        unsent = self._unsent
        while unsent:
            try:
                sent = self._socket.sendmsg(
                    [buffer for buffer, _ in zip(unsent, range(_MOST_BUFFERS), strict=False)]
                )
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
        """Yield the messages that are complete. Raises EOFError when the child has closed its
        end.
        """
        assembly = self._assembly
        allowance = _MOST_AT_ONCE
        while allowance > 0:
            try:
                got = self._socket.recv_into(assembly.room)
            except BlockingIOError:
                return
            except OSError:
                raise EOFError from None
            if not got:
                raise EOFError
            allowance -= got
            assembly.filled(got)
            while (message := assembly.message()) is not None:
                yield message

    def close(self) -> None:
        """Close the socket."""
        self._unsent.clear()
        self._socket.close()
