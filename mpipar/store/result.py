"""The result file: one HDF5 file that plain h5py, pandas or xarray can read. Imports mpipar.core, mpipar.runtime.run.

::

    /                 attributes: driver, n, block, seed, schedule, ranks, workers, nodes, elapsed, versions, …
    /parameters       attributes: the kernel's parameters
    /value  /error    the result; a group with one dataset a field, where the result has several
    /ranks            table: rank, host, blocks, seconds
    /workers          table: rank, host, pid, blocks, seconds (one row a process that evaluated blocks)
    /partials         the partial of each block, for small plans and partials of one shape
"""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpipar._version import __version__
from mpipar.core.errors import BadInput
from mpipar.runtime.run import Result

FORMAT = 1
"""Version of the layout, in the attribute ``mpipar_format``."""

_TEXT = h5py.string_dtype()


def check_is_ours(path: Path) -> None:
    """Raise BadInput if there is a file at ``path`` that mpipar has not written: it would be replaced."""
    try:
        with h5py.File(path, "r") as file:
            ours = "mpipar_format" in file.attrs
    except OSError:
        ours = False
    if not ours:
        raise BadInput(f"output: {str(path)!r} exists and is not a result of mpipar; it is left as it is")


def write(path: Path, result: Result) -> None:
    """Write a result file: aside, flushed to disk, then renamed, so that ``path`` is whole at any time.

    Raises
    ------
    OSError
        If the file can't be written; what was at ``path`` is still there.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(aside, "w") as file:
            _fill(file, result)
        _flush_to_disk(aside)
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
    _flush_to_disk(path.parent)


def _flush_to_disk(path: Path) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fill(file: h5py.File, result: Result) -> None:
    file.attrs.update(
        mpipar_format=FORMAT,
        mpipar=__version__,
        numpy=np.__version__,
        h5py=h5py.__version__,
        python=platform.python_version(),
        mpi=result.library,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        driver=result.name,
        n=_number(result.plan.n),
        block=_number(result.plan.block),
        n_blocks=_number(result.plan.n_blocks),
        seed=_number(result.seed),
        schedule=result.schedule,
        ranks=result.ranks,
        workers=result.workers,
        nodes=result.nodes,
        elapsed=result.elapsed,
        elapsed_units="s",
    )
    parameters = file.create_group("parameters")
    for name, value in result.parameters.items():
        parameters.attrs[name] = _attribute(value)
    _put(file, "value", result.value, "result of the run")
    if result.error is not None:
        _put(file, "error", result.error, "standard error of the value")
    _put_tables(file, result)
    _put_partials(file, result)


def _put(group: h5py.Group, name: str, value: Any, description: str) -> None:
    """Store a number, an array, text, or a group of such; what HDF5 can't hold is stored as text."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        inner = group.create_group(name)
        for key, item in value.items():
            _put(inner, str(key), item, f"{key} of the {description}")
        made: Any = inner
    else:
        made = group.create_dataset(name, data=_data(value))
    made.attrs["description"] = description


def _data(value: Any) -> Any:
    """Return a value as what HDF5 can hold: numbers as an array, anything else as text."""
    if isinstance(value, str):
        return value
    try:
        array = np.asarray(value)
    except ValueError:  # a ragged list
        return repr(value)
    return array if array.dtype.kind in "biufc" else repr(value)


def _put_tables(file: h5py.File, result: Result) -> None:
    processes = [("rank", "i8"), ("host", _TEXT), ("pid", "i8"), ("blocks", "i8"), ("seconds", "f8")]
    rows = np.array([astuple(record) for record in result.records], np.dtype(processes))
    table = file.create_dataset("workers", data=rows)
    table.attrs["description"] = "processes that evaluated blocks, and for how long they were in kernels"
    table.attrs["units"] = "blocks: 1, seconds: s"

    ranks = np.zeros(result.ranks, np.dtype([field for field in processes if field[0] != "pid"]))
    for rank, host in enumerate(result.hosts):
        own = rows[rows["rank"] == rank]
        ranks[rank] = (rank, host, own["blocks"].sum(), own["seconds"].sum())
    table = file.create_dataset("ranks", data=ranks)
    table.attrs["description"] = (
        "blocks that each rank and its workers evaluated, and the sum of their times in kernels"
    )
    table.attrs["units"] = "blocks: 1, seconds: s"


def _put_partials(file: h5py.File, result: Result) -> None:
    try:
        partials = np.array([result.partials[index] for index in range(result.plan.n_blocks)])
    except (KeyError, ValueError):  # not kept, or not of one shape
        return
    if partials.dtype.kind in "biuf" and len(partials):
        _put(file, "partials", partials, "partial of each block, in block order")


def _number(value: int) -> int | str:
    return value if -(2**63) <= value < 2**64 else str(value)


def _attribute(value: Any) -> Any:
    if value is None:
        return h5py.Empty("f8")
    if isinstance(value, int):
        return _number(value)
    if isinstance(value, list):
        return [_attribute(item) for item in value] if value else h5py.Empty("f8")
    return value if isinstance(value, (bool, float, str)) else str(value)
