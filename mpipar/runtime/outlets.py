"""What is said on stdout and stderr, which may be closed, full, blocked, or a terminal that went
away.

A result is told once it is stored, so that nothing here costs more than words: :func:`put` raises
where a text that was asked for can't be written, :func:`note` and :func:`warn` never do.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
from collections.abc import Iterator
from typing import Any

NOTE_SECONDS = 5.0
"""So long a note waits for who reads stderr; a run is not held up by a pipe that nobody empties."""

_PIECE = 4096
"""Bytes that a pipe takes whole, once it has said that it takes any: PIPE_BUF."""

_is_command = False  # whether this process runs a command of mpipar's, and no program of a user's
_closed: set[int] = set()
_blocked: set[int] = set()


def open_missing() -> None:
    """Put the null device where a standard stream is closed.

    The next file to be opened would get its number else, and what a library says on stderr would go
    into a result.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(
                os.open(os.devnull, os.O_RDWR), True
            )  # the lowest free number: this one
            _closed.add(number)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:  # then print(file=sys.stderr) means stdout
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115


def put(text: str, stream: Any) -> None:
    """Write a text and the end of its line, however long it takes. Raises OSError; that nobody
    reads it is none.
    """
    number = _number(stream)
    try:
        if number is None:
            print(text, file=stream, flush=True)
            return
        if number in _closed:
            raise OSError(errno.EBADF, "it is closed")
        stream.flush()
        _write(number, _encoded(f"{text}\n", stream), None)
    except BrokenPipeError:  # as in "| head -1"
        _discard(stream)
    except OSError:
        _discard(stream)
        raise


def note(text: str) -> None:
    """Write a line to stderr, if that can be done: no run ends for a note that nobody gets."""
    hint(f"{text}\n", NOTE_SECONDS)


def print_warnings() -> None:
    """Have all warnings printed from now on: this process runs a command."""
    global _is_command
    _is_command = True


def warn(text: str, logger: str = "mpipar") -> None:
    """Tell the user what they should know. Raises nothing.

    A command prints it. In a program of the user's it goes to a logger, and is printed where
    nothing listens to that, as the last resort of :mod:`logging` does. Not for signal handlers, nor
    for the end of a process: a logger has locks.
    """
    with contextlib.suppress(Exception):  # of a stream, or a handler, of the user's
        logging = None if _is_command else sys.modules.get("logging")  # none listens before that
        if logging is not None and logging.getLogger(logger).hasHandlers():
            logging.getLogger(logger).warning("%s", text)
        else:
            note(f"{logger}: {text}")


def hint(text: str, patience: float = 0.0) -> None:
    """Write to stderr what is taken within so many seconds. Raises nothing."""
    stream = sys.stderr
    with contextlib.suppress(OSError, ValueError, AttributeError):
        number = _number(stream)
        if number is None:
            stream.write(text)
            stream.flush()
            return
        if _is_ready(number, 0.0):
            with contextlib.suppress(OSError):  # what others have left in it
                stream.flush()
        _write(number, _encoded(text, stream), patience)


def flush() -> str | None:
    """Flush stdout and stderr, and return why that of stdout can't be done; what isn't written is
    given up.
    """
    problem = None
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            _discard(stream)
        except (OSError, ValueError) as error:
            _discard(stream)
            if stream is sys.stdout:
                problem = reason_of(error)
    return problem


def reason_of(error: Exception) -> str:
    """Return in a few words why something can't be written."""
    return getattr(error, "strerror", None) or str(error)


class Forgiving:
    """A stream that raises nothing where it can't be written to, for what a kernel prints."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, if that can be done."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, if that can be done."""
        with contextlib.suppress(OSError):
            self._stream.flush()


def forgive() -> None:
    """Let no block fail in this process for what it prints and nobody gets."""
    sys.stdout = Forgiving(sys.stdout)
    sys.stderr = Forgiving(sys.stderr)


@contextlib.contextmanager
def for_kernels(apart: bool) -> Iterator[None]:
    """Let no block fail meanwhile for what it prints.

    Parameters
    ----------
    apart : bool
        Whether that goes to stderr, with what workers and libraries in C say: stdout is for one
        JSON object.
    """
    open_missing()
    streams = sys.stdout, sys.stderr
    forgive()
    try:
        with _all_to_stderr() if apart else contextlib.nullcontext():
            yield
    finally:
        sys.stdout, sys.stderr = streams


@contextlib.contextmanager
def _all_to_stderr() -> Iterator[None]:
    """Have all that goes to stdout go to stderr, also what is written in C."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _number(stream: Any) -> int | None:
    """Return the number of a stream of the system's, None for others, as tests and notebooks
    have.
    """
    try:
        number: int = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return number


def _encoded(text: str, stream: Any) -> bytes:
    return text.encode(getattr(stream, "encoding", None) or "utf-8", "backslashreplace")


def _write(number: int, data: bytes, patience: float | None) -> None:
    """Write to a descriptor, which may be one that doesn't block. Raises OSError."""
    while data:
        if number in _blocked and patience is not None:  # it has been waited for
            patience = 0.0
        if not _is_ready(number, patience):
            if patience:
                _blocked.add(number)
            raise OSError(errno.EAGAIN, "nobody reads it")
        _blocked.discard(number)
        with contextlib.suppress(BlockingIOError):
            data = data[os.write(number, data[:_PIECE]) :]


def _is_ready(number: int, patience: float | None) -> bool:
    poll = select.poll()
    poll.register(number, select.POLLOUT)
    return bool(poll.poll(None if patience is None else 1000 * patience))


def _discard(stream: Any) -> None:
    """Let what is left in a stream go nowhere: Python would complain of it at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
