"""A way to wake a rank of this node that sleeps.

MPI has no descriptor that a process could sleep on until a message comes: its own waiting spins. A
rank sleeps on its doorbell instead, a datagram socket, and looks for messages when it rings. A ring
that is lost costs no more than time, as everybody looks now and then; between nodes nobody rings.
"""

from __future__ import annotations

import contextlib
import secrets
import socket

_MOST_RINGS = 1000  # that are forgotten at once


class Doorbell:
    """A doorbell.

    Attributes
    ----------
    name : bytes
        What others of this node ring it by.
    """

    def __init__(self) -> None:
        self.name = (
            b"\0mpipar-" + secrets.token_hex(16).encode()
        )  # of no file system, gone with the process
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(self.name)

    def fileno(self) -> int:
        """Return the descriptor to sleep on."""
        return self._socket.fileno()

    def ring(self, name: bytes) -> bool:
        """Ring another one, or this one from another thread; return whether it is there."""
        try:
            self._socket.sendto(b"", name)
        except BlockingIOError:  # it has been rung many times already
            return True
        except OSError:
            return False
        return True

    def quiet(self) -> None:
        """Forget that it was rung."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MOST_RINGS):
                self._socket.recv(1)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
