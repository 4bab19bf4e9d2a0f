"""The machine that a study is of, in words."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mpipar._version import __version__
from mpipar.runtime.node import usable_cores
from mpipar.study.design import Measured

_CPU_INFO = Path("/proc/cpuinfo")


def identity() -> dict[str, Any]:
    """Return what of this machine makes a study here another one."""
    return {"host": platform.node(), "cores": usable_cores()}


def describe(runs: Iterable[Measured], *, as_jobs: bool) -> Mapping[str, str]:
    """Return {what: in words} about the machine of some runs, and when the last of them ended."""
    runs = list(runs)
    nodes = ", ".join(_hosts(runs)) or platform.node()
    if as_jobs:
        computer = {
            "nodes": nodes,
            "submitted from": f"{platform.node()} ({processor()}, {_system()})",
        }
    else:
        computer = {
            "host": nodes,
            "processor": processor(),
            "cores that may be used": str(usable_cores()),
            "system": _system(),
        }
    mpipars = ", ".join(_reported(runs, "mpipar")) or __version__
    ended = datetime.datetime.fromtimestamp(max(run.ended for run in runs), datetime.UTC)
    return {
        **computer,
        "MPI": ", ".join(_reported(runs, "mpi")) or "not in use",
        "versions": (
            f"mpipar {mpipars}, Python {platform.python_version()}, numpy {np.__version__}"
        ),
        "date": ended.strftime("%Y-%m-%d %H:%M UTC"),
    }


def _hosts(runs: Sequence[Measured]) -> list[str]:
    found: set[str] = set()
    for run in runs:
        found.update(run.hosts)
    return sorted(found)


def _reported(runs: Sequence[Measured], name: str) -> list[str]:
    """Return what drivers have told under a name, each once."""
    found = set()
    for run in runs:
        told = run.report.get(name)
        if told:
            found.add(str(told))
    return sorted(found)


def _system() -> str:
    return f"{platform.system()} {platform.release()}, {platform.machine()}"


def processor() -> str:
    """Return the name of the processor, as far as the system tells it."""
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith(("model name", "cpu model", "Model")):
            return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()
