"""The attributes of a result file: the one place that writes the record of a run there, and reads
it back.
"""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from mpipar._version import __version__
from mpipar.core.devices.cpu import CPU
from mpipar.core.plan import Plan
from mpipar.core.run_record import Placement, RunRecord, Timing, Trouble

FORMAT = 2
"""Version of the layout, in the attribute ``mpipar_format``."""

STUDY_FORMAT = 1
"""Version of a study's files: in the attribute ``study_format`` of ``scaling.h5``, and in the first
line of ``runs.jsonl``. Files without one are of the first.
"""

MOST_SECONDS = 1e10  # what is beyond was not counted by anybody
_MOST_ITEMS = 10**100


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """When a file was made, and with which software; None where it doesn't tell.

    Attributes
    ----------
    created : str or None
        The time, as ISO 8601 has it.
    mpipar, python, numpy, h5py : str or None
        Versions.
    """

    created: str | None
    mpipar: str | None
    python: str | None
    numpy: str | None
    h5py: str | None

    @classmethod
    def of_this_process(cls) -> Provenance:
        """Return what is true here and now."""
        return cls(
            created=when(time.time()),
            mpipar=__version__,
            python=platform.python_version(),
            numpy=np.__version__,
            h5py=h5py.__version__,
        )


def when(seconds: float) -> str:
    """Return a time in seconds since 1970 as ISO 8601 has it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")


def write(file: h5py.File, run: RunRecord) -> None:
    """Write the record of a run, but for its parameters and what each process did."""
    made = Provenance.of_this_process()
    placement = run.placement
    trouble = run.trouble
    file.attrs.update(
        mpipar_format=FORMAT,
        finished=True,
        mpipar=made.mpipar,
        numpy=made.numpy,
        h5py=made.h5py,
        python=made.python,
        mpi=placement.library,
        created=made.created,
        driver=run.name,
        n=as_stored(run.plan.n),
        block=as_stored(run.plan.block),
        n_blocks=as_stored(run.plan.n_blocks),
        seed=as_stored(run.seed),
        device=placement.device,
        schedule=placement.schedule,
        ranks=placement.ranks,
        workers=placement.workers,
        nodes=placement.nodes,
        elapsed=run.timing.elapsed,
        elapsed_units="s",
        skipped_blocks=trouble.skipped_blocks,
        resumed_blocks=trouble.resumed_blocks,
        retried_blocks=trouble.retried_blocks,
        lost_workers=trouble.lost_workers,
        lost_ranks=trouble.lost_ranks,
    )
    if placement.gpus:
        file.attrs["gpus"] = ", ".join(placement.gpu_models)
    if placement.simd_levels:
        file.attrs["simd"] = ", ".join(placement.simd_levels)
    if placement.compile_seconds:
        file.attrs["compile_seconds"] = placement.compile_seconds


def read(
    attributes: Mapping[str, Any],
    parameters: dict[str, Any],
    processes: np.ndarray[Any, Any],
) -> tuple[RunRecord, Provenance]:
    """Return the record of a run, and what made its file.

    Parameters
    ----------
    attributes : mapping
        Those of the file, as plain values.
    parameters : dict
        Of the kernel.
    processes : numpy.ndarray
        The blocks, seconds and longest block of each process.

    Raises
    ------
    KeyError, ValueError, TypeError
        If something is missing, or can't be of a run.
    """
    run = RunRecord(
        name=_required_text(attributes, "driver"),
        parameters=parameters,
        plan=_plan(attributes),
        seed=_large_count(attributes, "seed"),
        placement=_placement(attributes),
        trouble=_trouble(attributes),
        timing=Timing(
            elapsed=_seconds(attributes["elapsed"], "elapsed"),
            blocks=processes["blocks"].tolist(),
            seconds=processes["seconds"].tolist(),
            longest=processes["longest"].tolist(),
        ),
    )
    made = Provenance(
        created=_text(attributes, "created"),
        mpipar=_text(attributes, "mpipar"),
        python=_text(attributes, "python"),
        numpy=_text(attributes, "numpy"),
        h5py=_text(attributes, "h5py"),
    )
    return run, made


def as_stored(value: int) -> int | str:
    """Return a whole number as HDF5 can hold it: as text, if it is beyond 64 bits."""
    fits = -(2**63) <= value < 2**64
    return value if fits else str(value)


def _plan(attributes: Mapping[str, Any]) -> Plan:
    plan = Plan(_large_count(attributes, "n"), _large_count(attributes, "block"))
    n_blocks = _large_count(attributes, "n_blocks")
    if n_blocks != plan.n_blocks:
        raise ValueError(f"n_blocks is {n_blocks}, for {plan.n} items in blocks of {plan.block}")
    return plan


def _placement(attributes: Mapping[str, Any]) -> Placement:
    gpus = _text(attributes, "gpus") or ""
    simd = _text(attributes, "simd") or ""
    return Placement(
        schedule=_required_text(attributes, "schedule"),
        ranks=_count(attributes, "ranks", least=1),
        nodes=_count(attributes, "nodes", least=1),
        workers=_count(attributes, "workers", least=1),
        device=_text(attributes, "device") or CPU.name,
        gpus=[model for model in gpus.split(", ") if model],
        library=_text(attributes, "mpi") or "",
        simd=[level for level in simd.split(", ") if level],
        compile_seconds=_seconds(attributes.get("compile_seconds", 0.0), "compile_seconds"),
    )


def _trouble(attributes: Mapping[str, Any]) -> Trouble:
    later_than_the_format = {"resumed_blocks", "retried_blocks", "lost_workers", "lost_ranks"}
    known = {**dict.fromkeys(later_than_the_format, 0), **attributes}
    return Trouble(
        resumed_blocks=_count(known, "resumed_blocks"),
        retried_blocks=_count(known, "retried_blocks"),
        skipped_blocks=_count(known, "skipped_blocks"),
        lost_workers=_count(known, "lost_workers"),
        lost_ranks=_count(known, "lost_ranks"),
    )


def _seconds(value: Any, name: str) -> float:
    if not isinstance(value, float) or not 0 <= value <= MOST_SECONDS:
        raise ValueError(f"{name} is {value!r}")
    return value


def _large_count(attributes: Mapping[str, Any], name: str) -> int:
    """Return a count that is stored as text, if it is beyond 64 bits."""
    return _checked_count(name, int(attributes[name]))


def _count(
    attributes: Mapping[str, Any],
    name: str,
    least: int = 0,
) -> int:
    return _checked_count(name, attributes[name], least)


def _checked_count(name: str, value: Any, least: int = 0) -> int:
    if type(value) is not int or not least <= value <= _MOST_ITEMS:
        raise ValueError(f"{name} is {value!r}")
    return value


def _required_text(attributes: Mapping[str, Any], name: str) -> str:
    value = attributes[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}")
    return value


def _text(attributes: Mapping[str, Any], name: str) -> str | None:
    value = attributes.get(name)
    return None if value is None else str(value)
