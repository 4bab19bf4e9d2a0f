"""Open files, pipes and sockets of a process for others on its node.

The standard library lends a descriptor once, to one process. A pool has many workers, and new ones
in the place of those that died: here each may have it for as long as somebody on the lender's side
keeps the `Lent`.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import secrets
import socket
import tempfile
import threading
import weakref
import zlib
from multiprocessing import util
from typing import NamedTuple

_KEY_BYTES = 16
_PATIENCE_SECONDS = 60.0  # that a process has to say or hear what it wants
_BACKLOG = 512

_lent: weakref.WeakValueDictionary[bytes, Lent] = weakref.WeakValueDictionary()
_same: weakref.WeakValueDictionary[tuple[int, ...], Lent] = weakref.WeakValueDictionary()
_lock = threading.Lock()
_address: str | None = None


class Lent:
    """A descriptor that others may have as long as this lives, even if its owner closes it.

    Attributes
    ----------
    descriptor : int
        A duplicate.
    key : bytes
        Who knows it may have the descriptor.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = os.dup(descriptor)
        self.key = secrets.token_bytes(_KEY_BYTES)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self.descriptor)


class Borrowable(NamedTuple):
    """What a borrower gets of a descriptor that is lent.

    Attributes
    ----------
    address : str
        Where to ask for it.
    key : bytes
    """

    address: str
    key: bytes

    def detach(self) -> int:
        """Return a descriptor of this process's own. Raises OSError if it isn't lent any more."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_PATIENCE_SECONDS)
            sock.connect(self.address)
            sock.sendall(self.key)
            _, descriptors, *_ = socket.recv_fds(sock, 1, 1, socket.MSG_CMSG_CLOEXEC)
        if not descriptors:
            raise OSError("the script has it no longer")
        return descriptors[0]


def lend(descriptor: int) -> Lent:
    """Lend a descriptor; the last time's, if that is the same and still lent."""
    status = os.fstat(descriptor)
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    key = descriptor, status.st_dev, status.st_ino, flags
    with _lock:
        lent = _same.get(key)
        if lent is None:
            lent = _same[key] = Lent(descriptor)
            _lent[lent.key] = lent
    return lent


def address() -> str:
    """Return where others ask for what this process lends."""
    global _address
    with _lock:
        if _address is None:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(None)
            name = tempfile.mktemp(prefix=f"lent-{_node()}-", dir=util.get_temp_dir())
            sock.bind(name)
            sock.listen(_BACKLOG)
            server = threading.Thread(target=_serve, args=(sock,), name="mpipar lender")
            server.daemon = True
            server.start()
            _address = name
        return _address


@functools.cache
def _node() -> str:
    """Return what tells nodes apart, and containers whose memory isn't the same."""
    facts = os.uname().nodename
    with contextlib.suppress(OSError):  # not every system has these
        memory = os.stat("/dev/shm").st_dev
        with open("/proc/sys/kernel/random/boot_id") as file:
            facts = f"{file.read()} {memory}"
    return f"{zlib.crc32(facts.encode()):08x}"


def is_near(address: str) -> bool:
    """Return whether a lender is on this node, and shares its memory."""
    if address == _address:
        return True
    if not os.path.basename(address).startswith(f"lent-{_node()}-"):
        return False
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(_PATIENCE_SECONDS)
        try:
            sock.connect(address)
        except OSError:
            return False
    return True


def _serve(sock: socket.socket) -> None:
    while True:
        try:
            asker, _ = sock.accept()
        except OSError:  # too many open files, for now
            threading.Event().wait(0.01)
            continue
        with asker, contextlib.suppress(OSError):
            _answer(asker)


def _answer(asker: socket.socket) -> None:
    asker.settimeout(_PATIENCE_SECONDS)
    lent = _lent.get(asker.recv(_KEY_BYTES, socket.MSG_WAITALL))
    if lent is not None:
        socket.send_fds(asker, [b"1"], [lent.descriptor])


def _forget() -> None:
    """Forget the lender in a forked child: its thread is the parent's."""
    global _address, _lock
    _address = None
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget)
