"""What a command that hangs has started, where each of its processes is, and its end.

Python prints its stack when it gets SIGABRT, as PYTHONFAULTHANDLER is set for all that tests start
(conftest.py): ranks, workers and scripts alike, whatever they wait for. Where py-spy is, it tells
the same of processes that have another handler.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from suite.warm import CLIENT, MARK

_PROC = Path("/proc")
_TELL_SECONDS = 10.0  # for stacks to be printed, on a machine that may be busy


def processes_of(leader: int) -> list[int]:
    """Return a process that leads a session with all of that, and all that these have started: as
    children, or by the server of warm interpreters, which names what it forks after who asked.
    """
    others = {}
    for entry in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            _, parent, _, session, *_ = _status(entry)
            asker = (entry / "comm").read_text().strip().removeprefix(MARK)
            others[int(entry.name)] = {parent, session, asker}
    found = [leader] if leader in others else []
    wanted = [str(leader)]
    for started_by in wanted:
        new = [pid for pid, starters in others.items() if started_by in starters]
        new = [pid for pid in new if pid not in found]
        found += new
        wanted += map(str, new)
    return found


def seconds_of(leader: int) -> float:
    """Return the processor seconds of all processes of a session, for what tells slow from hung."""
    ticks = 0
    for pid in processes_of(leader):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, _status(_PROC / str(pid))[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def end_hung(process: subprocess.Popen[str]) -> tuple[str, str, str]:
    """End all that a process that hangs has started.

    Returns
    -------
    stdout, stderr : str
        What it had printed; the stacks are on stderr.
    where : str
        A line for each process: what it is, and what it waits for.
    """
    pids = processes_of(process.pid)
    where = "\n".join(filter(None, map(_described, pids)))
    python = [pid for pid in pids if _is_python(pid)]
    # A launcher would end the others once one has ended, and workers end with what started them:
    # all stand, then each Python tells, the youngest first.
    _send(signal.SIGSTOP, pids)
    until = time.monotonic() + _TELL_SECONDS
    for pid in sorted(python, reverse=True):
        _send(signal.SIGABRT, [pid])
        _send(signal.SIGCONT, [pid])
        while _runs(pid) and time.monotonic() < until:
            time.sleep(0.005)
    _send(signal.SIGCONT, pids)
    try:
        stdout, stderr = process.communicate(timeout=_TELL_SECONDS)
    except subprocess.TimeoutExpired:
        _send(signal.SIGKILL, pids)
        stdout, stderr = process.communicate()
    _send(signal.SIGKILL, processes_of(process.pid))
    return stdout, stderr, where


def _status(entry: Path) -> list[str]:
    """Return the fields of a process' stat that follow its name: state, parent, group, session."""
    return (entry / "stat").read_text().rpartition(")")[2].split()


def _runs(pid: int) -> bool:
    try:
        return _status(_PROC / str(pid))[0] not in "ZX"
    except OSError:
        return False


def _command(pid: int) -> str:
    return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def _is_python(pid: int) -> bool:
    """Return whether a process is one whose stack can be had: no launcher, and no client."""
    try:
        executable = os.readlink(f"/proc/{pid}/exe")
        return executable == os.path.realpath(sys.executable) and CLIENT not in _command(pid)
    except OSError:
        return False


def _described(pid: int) -> str:
    entry = _PROC / str(pid)
    try:
        told = f"process {pid} ({_status(entry)[0]}, in {(entry / 'wchan').read_text()}): "
        told += _command(pid)[:200]
    except OSError:
        return ""
    spy = shutil.which("py-spy")
    if spy is not None and _is_python(pid):
        dump = [spy, "dump", "--pid", str(pid)]
        told += f"\n{subprocess.run(dump, capture_output=True, text=True, timeout=30).stdout}"
    return told


def _send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
