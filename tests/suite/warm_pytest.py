"""Runs tests in forks of an interpreter that has loaded what they need but mpipar, which may have
been changed in between.

    python -m suite.warm_pytest SECONDS

Each line on standard input is the arguments of a pytest, as JSON; the answer is a line of JSON with
its exit code, or -9 where it took longer than so many seconds, and what it printed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from typing import IO

import pytest

BROKEN = 70  # exit code of a pytest that did not come to an end of its own
PRELOADED = ("numpy", "numpy.ma", "h5py", "hypothesis", "hypothesis.extra.numpy", "cloudpickle")


def ended(arguments: list[str], seconds: float) -> tuple[int, str]:
    """Run pytest in a fork; return its exit code, and what it printed."""
    with tempfile.TemporaryFile() as output:
        pid = os.fork()
        if pid == 0:
            _become_pytest(arguments, output)
        code = _waited_for(pid, seconds)
        output.seek(0)
        return code, output.read().decode(errors="replace")


def _become_pytest(arguments: list[str], output: IO[bytes]) -> None:
    os.setsid()
    code = BROKEN
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        code = int(pytest.main(arguments))
    finally:
        sys.stdout.flush()
        os._exit(code)


def _waited_for(pid: int, seconds: float) -> int:
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
        print(json.dumps(ended(json.loads(line), float(sys.argv[1]))), flush=True)


if __name__ == "__main__":
    main()
