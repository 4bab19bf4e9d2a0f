"""What the figures were measured on, and with: for the head of the page."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from pathlib import Path

from common import BIN, HERE, PYTHON, Failed, mpirun, run
from entrants import OTHERS, version

LIBRARIES = ("mpi4py", "numpy", "h5py")


def first_line(*command: str) -> str:
    """Return the first line that a command prints, or that there is none."""
    try:
        return run(*command, limit=20.0).splitlines()[0].strip()
    except (Failed, IndexError):
        return "not here"


def processor() -> str:
    """Return the name of the processor."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def memory() -> str:
    """Return the size of the memory."""
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"


def mpi() -> str:
    """Return the name of the MPI, as its library says it."""
    try:
        printed = mpirun(
            1, PYTHON, "-c", "from mpi4py import MPI; print(MPI.Get_library_version())", limit=30.0
        )
    except Failed as failure:
        return str(failure)
    lines = [line.strip("\0 ") for line in printed.splitlines()]
    return " ".join(next((line for line in lines if line), "unknown").split())


def revision() -> str:
    """Return what git calls this state of the project, if it is one of git's."""
    ended = subprocess.run(
        ("git", "describe", "--always", "--dirty"),
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    return f" ({ended.stdout.strip()})" if ended.returncode == 0 else ""


def kernel() -> str:
    """Return the kernel and its release, in figures: what follows them names a build, or a
    machine.
    """
    return f"{platform.system()} {''.join(re.findall(r'^[0-9.]+', platform.release())).rstrip('.')}"


def busy_cores(seconds: float = 2.0) -> float:
    """Return how many cores others keep busy. The load average won't do: it remembers the
    installation before.
    """

    def idle_and_all() -> tuple[int, int]:
        times = [
            int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        ]
        return times[3] + times[4], sum(times)

    idle, whole = idle_and_all()
    time.sleep(seconds)
    idle_then, whole_then = idle_and_all()
    return (os.cpu_count() or 1) * (1 - (idle_then - idle) / max(1, whole_then - whole))


def warning() -> str:
    """Return what makes the figures doubtful before anything is measured; empty if nothing does."""
    cores, busy = len(os.sched_getaffinity(0)), busy_cores()
    return f"something else kept {busy:.1f} of {cores} cores busy" if 2 * busy > cores else ""


def describe() -> dict[str, str]:
    """Return names and values."""
    packages = [
        *LIBRARIES,
        *dict.fromkeys(package for entrant in OTHERS for package in entrant.packages),
    ]
    listed = [
        f"{package} {version(package) or '(not installed)'}" for package in dict.fromkeys(packages)
    ]
    return {
        "processor": processor(),
        "cores": f"{len(os.sched_getaffinity(0))} for this process, {os.cpu_count()} in all",
        "memory": memory(),
        "kernel": kernel(),
        "Python": f"{platform.python_version()}, {platform.python_implementation()}",
        "MPI": mpi(),
        "C compiler": first_line(str(BIN / "mpicc"), "--version"),
        "primesieve": first_line("primesieve", "--version"),
        "mpipar": f"{version('mpipar') or 'not installed'}{revision()}",
        "libraries": ", ".join(listed),
    }
