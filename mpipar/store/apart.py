"""Reading what may make a library stand still: in a copy of this process, within limits."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import warnings
from collections.abc import Callable
from typing import TypeVar

from mpipar.base.errors import BadInput

T = TypeVar("T")

SECONDS = 20
"""Processor time that is given."""

BYTES = 2**32
"""Memory that is given beside what this process has."""


def apart(read: Callable[[], T], what: str) -> T:
    """Return what a function returns, which is called in a copy of this process.

    Parameters
    ----------
    read : callable
        What it returns, and raises, can be pickled.
    what : str
        What is read, for the message.

    Raises
    ------
    BadInput
        If the function takes more time or memory than is given, or crashes; and whatever else it
        raises.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of threads, which the copy doesn't need
        process = os.fork()
    if process == 0:
        _serve(read, writing)
    os.close(writing)
    try:
        with open(reading, "rb") as pipe:
            data = pipe.read()
    except BaseException:
        os.kill(process, signal.SIGKILL)
        raise
    finally:
        os.waitpid(process, 0)
    if not data:
        raise BadInput(
            f"{what} is damaged: reading it takes more than {SECONDS} s or {BYTES >> 30} GiB, or"
            " crashes"
        )
    is_error, found = pickle.loads(data)
    if is_error:
        raise found
    result: T = found
    return result


def _serve(read: Callable[[], object], writing: int) -> None:
    """Send what a function returns or raises, and end; nothing if that can't be had within the
    limits.
    """
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what HDF5 says of its own end is nobody's
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (_size() + BYTES, resource.RLIM_INFINITY))
        spent = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(spent.ru_utime + spent.ru_stime) + 1 + SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        try:
            outcome = False, read()
        except BadInput as error:
            outcome = True, error
        with open(writing, "wb") as pipe:
            pipe.write(pickle.dumps(outcome))
    finally:
        os._exit(0)


def _size() -> int:
    """Return how many bytes of addresses this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
