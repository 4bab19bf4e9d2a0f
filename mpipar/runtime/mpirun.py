"""Which mpirun there is, and of which MPI. Imports nothing of mpipar."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

OPEN_MPI, INTEL_MPI, MPICH, UNKNOWN = "Open MPI", "Intel MPI", "MPICH", "unknown"

_SIGNS = {"Open MPI": OPEN_MPI, "Open-MPI": OPEN_MPI, "OpenRTE": OPEN_MPI, "Intel": INTEL_MPI, "HYDRA": MPICH}
_SECONDS = 10.0  # that another program is given


def find_mpirun() -> str | None:
    """Return the mpirun that belongs to this Python: the one beside it, or else the first on the path, or None."""
    beside = Path(sys.executable).with_name("mpirun")
    return str(beside) if beside.exists() else shutil.which("mpirun") or shutil.which("mpiexec")


def vendor_of(mpirun: str) -> str:
    """Return whose a program ``mpirun`` is, by what it says about its version."""
    text = output_of(mpirun, "--version")
    return next((vendor for sign, vendor in _SIGNS.items() if sign in text), UNKNOWN)


def with_its_folder(mpirun: str, path: str | None = None) -> str:
    """Return the value of PATH with the folder of ``mpirun`` in front, for the parts that it starts."""
    return os.pathsep.join((os.path.dirname(mpirun), path or os.environ.get("PATH", os.defpath)))


def output_of(*command: str) -> str:
    """Return what a program prints; nothing if it can't be run, or takes too long."""
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (ended.stdout + ended.stderr).strip()
