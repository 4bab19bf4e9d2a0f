"""Which mpirun there is, of which MPI, and what it must be told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from mpipar.runtime.node import usable_cores

OPEN_MPI, INTEL_MPI, MPICH, UNKNOWN = "Open MPI", "Intel MPI", "MPICH", "unknown"

_SIGNS = {
    "Open MPI": OPEN_MPI,
    "Open-MPI": OPEN_MPI,
    "OpenRTE": OPEN_MPI,
    "Intel": INTEL_MPI,
    "HYDRA": MPICH,
}
_SECONDS = 10.0  # that another program is given


def find_mpirun() -> str | None:
    """Return the mpirun that belongs to this Python: the one beside it, or else the first on the
    path, or None.
    """
    beside = Path(sys.executable).with_name("mpirun")
    return str(beside) if beside.exists() else shutil.which("mpirun") or shutil.which("mpiexec")


def vendor_of(mpirun: str) -> str:
    """Return whose a program ``mpirun`` is, by what it says about its version."""
    text = output_of(mpirun, "--version")
    return next((vendor for sign, vendor in _SIGNS.items() if sign in text), UNKNOWN)


def with_its_folder(mpirun: str, path: str | None = None) -> str:
    """Return the value of PATH with the folder of ``mpirun`` in front, for the parts that it
    starts.
    """
    return os.pathsep.join((os.path.dirname(mpirun), path or os.environ.get("PATH", os.defpath)))


def settings_for(ranks: int, *, with_workers: bool) -> dict[str, str]:
    """Return what MPI libraries must know for so many ranks on this node; each reads its own."""
    settings: dict[str, str] = {}
    if ranks > usable_cores():
        settings |= {
            "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
            "OMPI_MCA_rmaps_base_oversubscribe": "1",
        }
    if with_workers:  # a rank with workers needs more than the core that an MPI would pin it to
        settings |= {"PRTE_MCA_hwloc_default_binding_policy": "none", "I_MPI_PIN": "off"}
    return settings


def output_of(*command: str) -> str:
    """Return what a program prints; nothing if it can't be run, or takes too long."""
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (ended.stdout + ended.stderr).strip()
