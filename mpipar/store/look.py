"""Looking into a file: it is only read, and as if an enemy had made it.

See :mod:`mpipar.store.untrusted_hdf5`; what has no seal is read in a copy of this process besides,
within limits.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpipar.base.errors import BadInput
from mpipar.store import attributes, task_tables, untrusted_hdf5
from mpipar.store.apart import apart
from mpipar.store.checkpoint import get
from mpipar.store.identity import described
from mpipar.store.progress import progress
from mpipar.store.rows import RESERVED
from mpipar.store.script_summary import script_summary
from mpipar.store.summary import PROCESSES, RANKS, SPANS, Rows, Study, Summary, Table, Unfinished
from mpipar.store.validate import check_tables
from mpipar.store.wide import FORM

_MOST_VALUE_BYTES = 2**23
_COLUMNS_NAMED = 3
_SKIPPED = {"block": "i8", "start": "i8", "stop": "i8", "reason": "O"}


def look(path: Path) -> Summary | Unfinished | Study:
    """Return what is in a file of mpipar's; it is only read.

    Raises
    ------
    BadInput
        If there is none, or it isn't of mpipar, or is damaged.
    """
    if untrusted_hdf5.is_sealed(path):
        found = _look(path, is_checked=True)
    else:
        found = apart(lambda: _look(path), repr(str(path)))
    if found is None:
        raise BadInput(f"{str(path)!r} holds an unfinished run, which can't be read at the moment")
    has_just_finished = isinstance(found, Unfinished) and found.progress.finished
    return look(path) if has_just_finished else found


def _look(path: Path, *, is_checked: bool = False) -> Summary | Unfinished | Study | None:
    with untrusted_hdf5.opened(path, is_checked=is_checked) as file:
        if "mpipar_format" not in file.attrs:
            if _is_study(file):
                return _study(path, file)
            raise BadInput(f"{str(path)!r} is an HDF5 file, but not a result of mpipar")
        version = untrusted_hdf5.plain(file.attrs["mpipar_format"])
        if version != attributes.FORMAT:
            raise BadInput(f"{str(path)!r} is of format {version}, expected {attributes.FORMAT}")
        if task_tables.MARK in file.attrs:
            return script_summary(path, file, _writer(path))
        if file.attrs.get("finished", True):
            return _result(path, file)
        try:
            identity = described(get(path, file).identity)
        except BadInput:
            raise BadInput(
                f"{str(path)!r} holds an unfinished run, whose checkpoint is damaged"
            ) from None
    found = progress(path)
    if found is None:
        return None
    return Unfinished(path, identity, found, _writer(path))


def _result(path: Path, file: h5py.File) -> Summary:
    processes = untrusted_hdf5.table(file, "workers", PROCESSES)
    per_rank = untrusted_hdf5.table(file, "ranks", RANKS)
    timeline = _table_if_any(file, "timeline", SPANS)
    skipped = _table_if_any(file, "skipped", _SKIPPED)
    parameters = _parameters(untrusted_hdf5.group(file, "parameters"))
    run, provenance = attributes.read(
        untrusted_hdf5.attributes(file),
        parameters,
        processes,
    )
    summary = Summary(
        path=path,
        size=path.stat().st_size,
        run=run,
        provenance=provenance,
        value=untrusted_hdf5.value(file, "value", _MOST_VALUE_BYTES),
        error=untrusted_hdf5.value(file, "error", _MOST_VALUE_BYTES),
        numbers=max(1, untrusted_hdf5.numbers(file, "value")),
        processes=processes,
        per_rank=per_rank,
        timeline=timeline if len(timeline) else None,
        skipped=skipped,
        rows=list(_all_rows(file)),
    )
    check_tables(run, processes, per_rank, summary.timeline)
    return summary


def _table_if_any(
    file: h5py.File,
    name: str,
    columns: dict[str, str],
) -> Table:
    """Return a table, or one without rows, if there is none."""
    if name in file:
        return untrusted_hdf5.table(file, name, columns)
    return np.empty(0, [*columns.items()])


def _parameters(group: h5py.Group) -> dict[str, Any]:
    """Return all parameters: long lists are datasets."""
    large = {name: untrusted_hdf5.value(group, name, _MOST_VALUE_BYTES) for name in group}
    return {**untrusted_hdf5.attributes(group), **large}


def _all_rows(file: h5py.File) -> Iterator[Rows]:
    """Yield what the kernel has made: datasets, and tables as groups of columns."""
    for name in file:
        if name in RESERVED:
            continue
        dataset = untrusted_hdf5.dataset(file, name)
        if dataset is not None:
            yield _rows(dataset)
            continue
        with contextlib.suppress(ValueError):
            group = untrusted_hdf5.group(file, name)
            if FORM in group.attrs:
                yield _rows_of_columns(group)


def _rows(found: h5py.Dataset) -> Rows:
    units, description = _texts(found)
    return Rows(
        name=str(found.name).lstrip("/"),
        shape=tuple(found.shape or ()),
        dtype=untrusted_hdf5.type_name(found.dtype),
        bytes=untrusted_hdf5.stored_bytes(found),
        units=units,
        description=description,
    )


def _rows_of_columns(group: h5py.Group) -> Rows:
    columns = columns_of(group)
    kinds = []
    for name in list(columns)[:_COLUMNS_NAMED]:
        kinds.append(f"{name} {untrusted_hdf5.type_name(columns[name].dtype)}")
    [shape] = {column.shape for column in columns.values()}
    units, description = _texts(group)
    return Rows(
        name=str(group.name).lstrip("/"),
        shape=tuple(shape),
        dtype=f"{len(columns)} columns, each a dataset: {', '.join(kinds)}, …",
        bytes=sum(map(untrusted_hdf5.stored_bytes, columns.values())),
        units=units,
        description=description,
    )


def columns_of(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """Return the columns of a table that is a group. Raises ValueError if they aren't equally
    long.
    """
    columns = {}
    for name in group:
        column = untrusted_hdf5.dataset(group, name)
        if column is not None:
            columns[name] = column
    lengths = {column.shape for column in columns.values()}
    if len(columns) < len(group) or len(lengths) != 1:
        raise ValueError(f"the columns of {group.name!r} are not equally long")
    return columns


def _texts(item: h5py.HLObject) -> tuple[str, str]:
    """Return the units and the description of an item."""
    units = untrusted_hdf5.plain(item.attrs.get("units", ""))
    description = untrusted_hdf5.plain(item.attrs.get("description", ""))
    return str(units), str(description)


def _is_study(file: h5py.File) -> bool:
    found = untrusted_hdf5.dataset(file, "runs")
    if found is None:
        return False
    columns = set(found.dtype.names or ())
    return columns >= {"mode", "repeat", "elapsed", "startup"}


def _study(path: Path, file: h5py.File) -> Study:
    about = untrusted_hdf5.attributes(file)
    version = about.pop("study_format", 1)
    if version != attributes.STUDY_FORMAT:
        raise BadInput(
            f"{str(path)!r} is of format {version} of studies, expected {attributes.STUDY_FORMAT}"
        )
    lines: list[dict[str, Any]] = []
    found = untrusted_hdf5.dataset(file, "table")
    if found is not None and found.dtype.names is not None:
        lines = _lines_of_study(file, found.dtype)
    return Study(path, about, len(file["runs"]), lines)


def _lines_of_study(file: h5py.File, dtype: np.dtype[Any]) -> list[dict[str, Any]]:
    kinds = {name: dtype[name].kind for name in dtype.names or ()}
    columns = {name: "O" if kind in "SO" else "f8" for name, kind in kinds.items()}
    lines = []
    for values in untrusted_hdf5.table(file, "table", columns).tolist():
        line = dict(zip(columns, values, strict=True))
        for name, kind in kinds.items():
            if kind in "iu":
                line[name] = int(line[name])
        lines.append(line)
    return lines


def _writer(path: Path) -> str:
    """Return what is in the lock of a run's folder, which isn't touched."""
    lock = Path(f"{os.path.realpath(path)}.parts", "lock")
    with contextlib.suppress(OSError), lock.open("rb") as file:
        return file.read(200).decode(errors="replace")
    return ""
