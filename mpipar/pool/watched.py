"""Importing a script without doing anything again that others can see.

Where the script's own top level is about to write a file, start a process, open a connection and so
on, it is stopped. What the modules that it imports do, is theirs.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_IMPORT = "<frozen importlib._bootstrap>"
_REFUSED = {  # Python's audit events
    *(
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.truncate",
        "os.link",
        "os.symlink",
        "os.chmod",
        "os.chown",
    ),
    *(
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.exec",
        "os.spawn",
        "os.system",
        "os.kill",
        "os.killpg",
    ),
    *("os.utime", "os.lockf", "fcntl.flock", "fcntl.lockf", "subprocess.Popen", "pty.spawn"),
    "_thread.start_new_thread",
    *(
        "socket.connect",
        "socket.bind",
        "socket.sendto",
        "socket.sendmsg",
        "socket.getaddrinfo",
        "builtins.input",
    ),
    *(
        "shutil.rmtree",
        "shutil.move",
        "shutil.copyfile",
        "shutil.make_archive",
        "shutil.unpack_archive",
    ),
    *("tempfile.mkdtemp", "tempfile.mkstemp", "syslog.syslog"),
}

_script: str | None = None  # the file whose import is being watched
_seen: list[str] = []
_is_installed = False


class NotHarmless(RuntimeError):
    """A script is about to do something when it is imported that can be seen outside of its
    process.
    """


@contextlib.contextmanager
def watched(script: str) -> Iterator[list[str]]:
    """Stop a script inside this context from doing what others can see.

    Parameters
    ----------
    script : str
        Its file.

    Yields
    ------
    list of str
        What it was stopped from, even if it took no notice.
    """
    global _script
    _install()
    _script = script
    _seen.clear()
    try:
        yield _seen
    finally:
        _script = None


def _install() -> None:
    global _is_installed
    if _is_installed:
        return
    _is_installed = True
    sys.addaudithook(_look)
    import multiprocessing.connection
    import multiprocessing.heap
    import multiprocessing.process
    import multiprocessing.shared_memory
    import multiprocessing.synchronize

    for owner, name in (
        (multiprocessing.synchronize.SemLock, "__init__"),
        (multiprocessing.heap.Arena, "__init__"),
        (multiprocessing.connection._ConnectionBase, "__init__"),
        (multiprocessing.shared_memory.SharedMemory, "__init__"),
        (multiprocessing.process.BaseProcess, "start"),
    ):
        _have_checked(owner, name)


def _have_checked(owner: Any, name: str) -> None:
    """Stop the script from calling a method whose object is to be the same in all processes."""
    call: Callable[..., Any] = getattr(owner, name)

    def checked(self: Any, *arguments: Any, **options: Any) -> Any:
        if _script is not None and _asked_by_script():
            refuse(f"{type(self).__module__}.{type(self).__name__}")
        return call(self, *arguments, **options)

    setattr(owner, name, checked)


def refuse(what: str) -> None:
    """Stop a script that is being imported, if one is."""
    if _script is not None:
        _seen.append(what)
        raise NotHarmless(what)


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if _script is not None and _is_refused(event, arguments) and _asked_by_script():
        _seen.append(f"{event} {arguments[0] if arguments else ''}".strip())
        raise NotHarmless(_seen[-1])


def _is_refused(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        path, _, flags = arguments
        return bool((flags or 0) & _WRITING) and not str(path).startswith("/dev/")
    if event == "os.mkdir":
        return not os.path.isdir(arguments[0])
    if event == "mmap.__new__":
        return bool(arguments[0] == -1)
    if event == "sqlite3.connect":
        return bool(arguments[0] != ":memory:")
    return event in _REFUSED


def _asked_by_script() -> bool:
    """Return whether the script itself, and no module that it imports, has called what is being
    done.
    """
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file == _script:
            return True
        if file == _IMPORT:
            return False
        frame = frame.f_back
    return False


def is_watching() -> bool:
    """Return whether a script is being imported."""
    return _script is not None
