"""The machine that a study is of, in words."""

from __future__ import annotations

import contextlib
import datetime
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mpipar._version import __version__
from mpipar.runtime.node import usable_cores
from mpipar.study.design import Measured


def identity() -> dict[str, Any]:
    """Return what of this machine makes a study here another one."""
    return {"host": platform.node(), "cores": usable_cores()}


def describe(runs: Iterable[Measured], *, as_jobs: bool) -> Mapping[str, str]:
    """Return {what: in words} about the machine of some runs, and when the last of them ended."""
    runs = list(runs)
    ended = datetime.datetime.fromtimestamp(max(run.ended for run in runs), datetime.UTC)
    hosts = sorted({host for run in runs for host in run.hosts})
    libraries = sorted({str(run.report["mpi"]) for run in runs if run.report.get("mpi")})
    versions = sorted({str(run.report["mpipar"]) for run in runs if run.report.get("mpipar")})
    here = {
        "processor": processor(),
        "cores that may be used": str(usable_cores()),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
    }
    return {
        "nodes" if as_jobs else "host": ", ".join(hosts) or platform.node(),
        **(
            {"submitted from": f"{platform.node()} ({here['processor']}, {here['system']})"}
            if as_jobs
            else here
        ),
        "MPI": ", ".join(libraries) or "not in use",
        "versions": (
            f"mpipar {', '.join(versions) or __version__}, Python {platform.python_version()}, "
            f"numpy {np.__version__}"
        ),
        "date": ended.strftime("%Y-%m-%d %H:%M UTC"),
    }


def processor() -> str:
    """Return the name of the processor, as far as the system tells it."""
    with contextlib.suppress(OSError):
        for line in (
            Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        ):
            if line.startswith(("model name", "cpu model", "Model")):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()
