"""What a result file tells about its run.

Files are read as if an enemy had made them: see :mod:`mpipar.store.untrusted_hdf5`.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from mpipar.base.errors import BadInput
from mpipar.base.text import printable
from mpipar.runtime.result import imbalance, lower_bound
from mpipar.store import untrusted_hdf5
from mpipar.store.apart import apart
from mpipar.store.checkpoint import get
from mpipar.store.identity import described
from mpipar.store.progress import Progress, progress
from mpipar.store.result import FORMAT
from mpipar.store.rows import RESERVED
from mpipar.store.validate import check
from mpipar.store.wide import FORM

_MOST_VALUE_BYTES = 2**23
_PROCESSES = {
    "rank": "i8",
    "host": "O",
    "pid": "i8",
    "blocks": "i8",
    "seconds": "f8",
    "longest": "f8",
}
_RANKS = {"rank": "i8", "host": "O", "blocks": "i8", "seconds": "f8"}
_SPANS = {"worker": "i8", "block": "i8", "blocks": "i8", "begin": "f8", "end": "f8"}
_SKIPPED = {"block": "i8", "start": "i8", "stop": "i8", "reason": "O"}

Table = np.ndarray[Any, Any]


class Rows(NamedTuple):
    """A dataset that the kernel has made.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : str
    bytes : int
        What it takes in the file.
    units, description : str
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    units: str
    description: str


@dataclass(frozen=True)
class Summary:
    """What came out of a run, and how.

    Attributes
    ----------
    path : Path
    size : int
        Bytes of the file.
    about : dict
        The attributes of the file: driver, n, block, seed, schedule, elapsed, versions and so on.
    parameters : dict
        Of the kernel.
    value, error : object
        Numbers, arrays, text, or dicts of such; the error may be None.
    numbers : int
        How many numbers the value has.
    processes : numpy.ndarray
        A row for each process that evaluated blocks: rank, host, pid, blocks, seconds and longest.
    per_rank : numpy.ndarray
        A row for each rank: rank, host, blocks, seconds.
    timeline : numpy.ndarray or None
        A row for each span: worker (a row of processes), block, blocks, begin, end. None if there
        are none.
    skipped : numpy.ndarray
        A row for each block that failed: block, start, stop, reason.
    rows : list of Rows
        What the kernel has made.
    """

    path: Path
    size: int
    about: dict[str, Any]
    parameters: dict[str, Any]
    value: Any
    error: Any
    numbers: int
    processes: Table = field(repr=False)
    per_rank: Table = field(repr=False)
    timeline: Table | None = field(repr=False)
    skipped: Table = field(repr=False)
    rows: list[Rows]

    @property
    def driver(self) -> str:
        """Name of the driver, in one line."""
        return printable(" ".join(str(self.about["driver"]).split()))

    @property
    def elapsed(self) -> float:
        """Seconds from the barrier before the first block to the end of the reduction."""
        return float(self.about["elapsed"])

    @property
    def evaluated_blocks(self) -> int:
        """Number of blocks evaluated in this run."""
        return int(self.processes["blocks"].sum())

    @cached_property
    def hosts(self) -> dict[str, int]:
        """Number of ranks on each node, in the order of ranks."""
        return dict(Counter(self.per_rank["host"].tolist()))

    @property
    def busy(self) -> float:
        """Seconds that all processes together were in kernels."""
        return float(self.processes["seconds"].sum())

    @property
    def imbalance(self) -> float:
        """The largest of the processes' times in kernels over their mean; 1 is perfect."""
        return imbalance(self.processes["seconds"].tolist())

    @property
    def longest_block(self) -> float:
        """Seconds of the longest block."""
        return float(self.processes["longest"].max(initial=0.0))

    @property
    def lower_bound(self) -> float:
        """Seconds that no schedule can beat: the longest block, or an equal share of the time in
        kernels.
        """
        return lower_bound(self.processes["seconds"].tolist(), self.processes["longest"].tolist())

    @property
    def why_no_timeline(self) -> str:
        """Why there is no timeline; nothing if there is one."""
        if self.timeline is not None:
            return ""
        if not self.about["n_blocks"]:
            return "there was nothing to evaluate"
        if not self.evaluated_blocks:
            return "all blocks had been done before, and none was evaluated in its last run"
        return "it is of an older version of mpipar; run it again with --output"

    @cached_property
    def finishes(self) -> Table:
        """When each process had done its last block, in seconds; those that did none are left
        out.
        """
        if self.timeline is None:
            return np.empty(0)
        ends = np.full(len(self.processes), -np.inf)
        np.maximum.at(ends, self.timeline["worker"], self.timeline["end"])
        return np.asarray(ends[np.isfinite(ends)])

    @property
    def block_seconds(self) -> Table:
        """Seconds a block of each span: of spans of several blocks, their mean."""
        if self.timeline is None:
            return np.empty(0)
        return np.asarray((self.timeline["end"] - self.timeline["begin"]) / self.timeline["blocks"])


@dataclass(frozen=True)
class Unfinished:
    """A run that isn't finished: the checkpoint that it has left, or writes at the moment.

    Attributes
    ----------
    path : Path
    identity : dict
        What decides the result: driver, parameters, n, block, seed.
    progress : Progress
    writer : str
        The process that had the file last: "process 12 on node1", or nothing.
    """

    path: Path
    identity: dict[str, Any]
    progress: Progress
    writer: str


@dataclass(frozen=True)
class Study:
    """The data of a scaling study.

    Attributes
    ----------
    path : Path
    about : dict
        What was run, on what machine.
    runs : int
        How many runs there are.
    table : list of dict
        {column: number or text} for each size; empty for a study of problem sizes alone.
    """

    path: Path
    about: dict[str, Any]
    runs: int
    table: list[dict[str, Any]]


def look(path: Path) -> Summary | Unfinished | Study:
    """Return what is in a file of mpipar's; it is only read.

    Raises
    ------
    BadInput
        If there is none, or it isn't of mpipar, or is damaged.
    """
    found = (
        _look(path, is_checked=True)
        if untrusted_hdf5.is_sealed(path)
        else apart(lambda: _look(path), repr(str(path)))
    )
    if found is None:
        raise BadInput(f"{str(path)!r} holds an unfinished run, which can't be read at the moment")
    if isinstance(found, Unfinished) and found.progress.finished:  # just now
        return look(path)
    return found


def _look(path: Path, *, is_checked: bool = False) -> Summary | Unfinished | Study | None:
    with untrusted_hdf5.opened(path, is_checked=is_checked) as file:
        if "mpipar_format" in file.attrs:
            version = untrusted_hdf5.plain(file.attrs["mpipar_format"])
            if version != FORMAT:
                raise BadInput(f"{str(path)!r} is of format {version}, expected {FORMAT}")
            if file.attrs.get("finished", True):
                return _result(path, file)
        elif _is_study(file):
            return _study(path, file)
        else:
            raise BadInput(f"{str(path)!r} is an HDF5 file, but not a result of mpipar")
        try:
            identity = described(get(path, file).identity)
        except BadInput:
            raise BadInput(
                f"{str(path)!r} holds an unfinished run, whose checkpoint is damaged"
            ) from None
    found = progress(path)
    return None if found is None else Unfinished(path, identity, found, _writer(path))


def _result(path: Path, file: h5py.File) -> Summary:
    about = untrusted_hdf5.attributes(file)
    processes, per_rank = (
        untrusted_hdf5.table(file, "workers", _PROCESSES),
        untrusted_hdf5.table(file, "ranks", _RANKS),
    )
    spans = untrusted_hdf5.table(file, "timeline", _SPANS) if "timeline" in file else np.empty(0)
    summary = Summary(
        path=path,
        size=path.stat().st_size,
        about=about,
        parameters=_parameters(untrusted_hdf5.group(file, "parameters")),
        value=untrusted_hdf5.value(file, "value", _MOST_VALUE_BYTES),
        error=untrusted_hdf5.value(file, "error", _MOST_VALUE_BYTES),
        numbers=max(1, untrusted_hdf5.numbers(file, "value")),
        processes=processes,
        per_rank=per_rank,
        timeline=spans if len(spans) else None,
        skipped=(
            untrusted_hdf5.table(file, "skipped", _SKIPPED)
            if "skipped" in file
            else np.empty(0, [*_SKIPPED.items()])
        ),
        rows=[
            found
            for name in file
            if name not in RESERVED and (found := _made(file, name)) is not None
        ],
    )
    check(summary.about, summary.processes, summary.per_rank, summary.timeline)
    return summary


def _parameters(group: h5py.Group) -> dict[str, Any]:
    """Return all parameters: long lists are datasets."""
    large = {name: untrusted_hdf5.value(group, name, _MOST_VALUE_BYTES) for name in group}
    return {**untrusted_hdf5.attributes(group), **large}


def _made(file: h5py.File, name: str) -> Rows | None:
    """Return what the kernel has made under a name: a dataset, or a table as a group of columns."""
    found = untrusted_hdf5.dataset(file, name)
    if found is not None:
        return _rows(found)
    with contextlib.suppress(ValueError):
        group = untrusted_hdf5.group(file, name)
        if FORM in group.attrs:
            return _rows_of_columns(group)
    return None


def _rows_of_columns(group: h5py.Group) -> Rows:
    names = list(group)
    columns = [
        found for name in names if (found := untrusted_hdf5.dataset(group, name)) is not None
    ]
    lengths = {found.shape for found in columns}
    if len(columns) < len(names) or len(lengths) != 1:
        raise ValueError(f"the columns of {group.name!r} are not equally long")
    texts = [
        str(untrusted_hdf5.plain(group.attrs.get(name, ""))) for name in ("units", "description")
    ]
    stored = sum(map(untrusted_hdf5.stored_bytes, columns))
    kinds = ", ".join(
        f"{names[k]} {untrusted_hdf5.type_name(columns[k].dtype)}"
        for k in range(min(3, len(names)))
    )
    dtype = f"{len(columns)} columns, each a dataset: {kinds}, …"
    return Rows(str(group.name).lstrip("/"), tuple(lengths.pop()), dtype, stored, *texts)


def _rows(found: h5py.Dataset) -> Rows:
    texts = [
        str(untrusted_hdf5.plain(found.attrs.get(name, ""))) for name in ("units", "description")
    ]
    name = str(found.name).lstrip("/")
    return Rows(
        name,
        tuple(found.shape or ()),
        untrusted_hdf5.type_name(found.dtype),
        untrusted_hdf5.stored_bytes(found),
        *texts,
    )


def _is_study(file: h5py.File) -> bool:
    found = untrusted_hdf5.dataset(file, "runs")
    return found is not None and {"mode", "repeat", "elapsed", "startup"} <= set(
        found.dtype.names or ()
    )


def _study(path: Path, file: h5py.File) -> Study:
    lines: list[dict[str, Any]] = []
    found = untrusted_hdf5.dataset(file, "table")
    if found is not None and found.dtype.names is not None:
        columns = {
            name: "O" if found.dtype[name].kind in "SO" else "f8" for name in found.dtype.names
        }
        read = untrusted_hdf5.table(file, "table", columns)
        whole = {name for name in columns if found.dtype[name].kind in "iu"}
        lines = [
            {name: int(row[name]) if name in whole else row[name] for name in columns}
            for row in (dict(zip(columns, values, strict=True)) for values in read.tolist())
        ]
    return Study(path, untrusted_hdf5.attributes(file), len(file["runs"]), lines)


def _writer(path: Path) -> str:
    """Return what is in the lock of a run's folder, which isn't touched."""
    with (
        contextlib.suppress(OSError),
        Path(f"{os.path.realpath(path)}.parts", "lock").open("rb") as lock,
    ):
        return lock.read(200).decode(errors="replace")
    return ""
