"""Runs tests in forks of an interpreter that has loaded what they need but mpipar, which may have
been changed in between.

    python -m suite.warm_pytest SECONDS

Each line on standard input is the arguments of a pytest, as JSON; the answer is a line with its
exit code, or -9 where it took longer than so many seconds.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time

import pytest

PRELOADED = ("numpy", "numpy.ma", "h5py", "hypothesis", "hypothesis.extra.numpy", "cloudpickle")


def exit_code(arguments: list[str], seconds: float) -> int:
    """Run pytest in a fork; return its exit code."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(nothing, number)
        os._exit(int(pytest.main(arguments)))
    until = time.monotonic() + seconds
    ended, status = os.waitpid(pid, os.WNOHANG)
    while not ended and time.monotonic() < until:
        time.sleep(0.02)
        ended, status = os.waitpid(pid, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if not ended:
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    """Answer until standard input ends."""
    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        print(exit_code(json.loads(line), float(sys.argv[1])), flush=True)


if __name__ == "__main__":
    main()
