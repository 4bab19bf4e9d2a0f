"""Rows of datasets on their way to the result file.

While a run goes on, a folder beside the result file holds what its processes have written::

    run.h5.parts/
        rows.h5     datasets with a row for each item: the root has laid them out, and each process writes the bytes of
                    its blocks to their place (MPI isn't needed for that, nor a parallel HDF5)
        *.skeleton  what rows.h5 was before HDF5 made a result file of it
        *.sums      checksums of these rows: each process appends a record for each of its blocks
        *.part      other datasets, whose rows are of unknown number or type, or to be compressed: each process appends
                    a record for each block, and the root joins the records in block order

``rows.h5`` becomes the result file. No rows are ever gathered in one process.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from mpipar.base.errors import BadInput
from mpipar.core.kernel import BoundKernel
from mpipar.core.plan import Block, Plan
from mpipar.core.reduction import Array, Dataset
from mpipar.core.row_types import common_dtype, converted, exact_dtype, joined
from mpipar.store.codec import decode, encode
from mpipar.store.files import flush_to_disk, has_text, put_text, reserve, write_at
from mpipar.store.row_records import Bytes, Record, Records, records
from mpipar.store.wide import ColumnGroup, check_names, fits_one_type

_MOST_OPEN = 64  # parts
_JOINED_AT_ONCE = 2**22  # bytes that go to the file at once
_LEAST_PIECE = 256  # what a block's rows take in memory, beside their bytes
_JOINED_OF_COLUMNS = 2**26  # … where each column is a dataset of its own
_GZIP_LEVEL = 4

ROOM = 2**16
"""Bytes that HDF5 may need beside the rows."""

RESERVED = (
    "checkpoint",
    "error",
    "parameters",
    "partials",
    "ranks",
    "skipped",
    "timeline",
    "value",
    "workers",
)
"""Names in the result file that are taken."""


class Rows(NamedTuple):
    """Where the rows of a run go: the Output of its processes. Can be sent to a worker.

    Attributes
    ----------
    folder : Path
    datasets : tuple of Dataset
    places : dict
        {name of a dataset: offset of its first byte in ``rows.h5``}, for those whose rows have a
        place.
    compress : bool
    run : str
        The name of the run.
    has_checksums : bool
        Whether all that was written since the start has checksums; runs of older versions have
        none.
    """

    folder: Path
    datasets: tuple[Dataset, ...]
    places: dict[str, int]
    compress: bool
    run: str
    has_checksums: bool = True

    def writer(self) -> _Writer:
        """Return what writes rows from this process."""
        return _Writer(self)

    def flush(self) -> None:
        """Wait until all that the processes of this node have written is on the disk."""
        node = os.uname().nodename
        for path in (
            self.base,
            *self.folder.glob(f"{node}-*.part"),
            *self.folder.glob(f"{node}-*.sums"),
        ):
            flush_to_disk(path)

    @property
    def base(self) -> Path:
        """The file with datasets that are written in place, which becomes the result file."""
        return self.folder / "rows.h5"

    def reserve_room(self) -> None:
        """Make sure that there is room for the rows to be joined, and for the result. Raises
        OSError if there isn't.
        """
        joined = sum(path.stat().st_size for path in self.folder.glob("*.part"))
        reserve(self.base, ROOM + joined + joined // 4)

    @property
    def skeleton(self) -> Path:
        """A copy of what HDF5 itself has put into that file."""
        return self.folder / "rows.skeleton"


class _Writer:
    """Writes the rows of blocks that one process evaluates."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._base = os.open(rows.base, os.O_WRONLY) if rows.places else -1
        self._part = Records(rows.folder, "part", rows.run)
        self._sums = Records(rows.folder, "sums", rows.run)

    def close(self) -> None:
        self._part.close()
        self._sums.close()
        if self._base >= 0:
            os.close(self._base)

    def __call__(self, block: Block, rows: Mapping[str, Array]) -> None:
        for number, dataset in enumerate(self._rows.datasets):
            array = rows[dataset.name]
            if dataset.dtype is not None:
                array = converted(array, dataset.dtype)
            place = self._rows.places.get(dataset.name)
            if place is None:
                _check_type(array.dtype)
                self._part.append(block.index, number, _bytes_of(array), array.dtype, array.shape)
            elif array.size:
                flat = _bytes_of(array)
                row_bytes = array.nbytes // len(array)
                write_at(self._base, flat.data, place + block.start * row_bytes)
                self._sums.note(block.index, number, flat)
        self._sums.flush()


def _bytes_of(array: Array) -> Bytes:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def begin(folder: Path, bound: BoundKernel, compress: bool, run: str) -> Rows:
    """Lay out the datasets of a run in an empty folder. For the root.

    Raises
    ------
    BadInput
        If a dataset can't have its name.
    OSError
        If that can't be written.
    """
    rows = Rows(folder, bound.reduction.datasets(), {}, compress, run)
    for dataset in rows.datasets:
        if dataset.name in RESERVED or "/" in dataset.name:
            raise BadInput(
                f"output: a dataset can't be named {dataset.name!r}; the name is taken, or has a"
                " slash"
            )
        if dataset.dtype is not None:
            _check_type(dataset.dtype)
    reserve(rows.base, ROOM)
    with h5py.File(rows.base, "w", libver="latest") as file:
        put_text(file, "run", run)
        put_text(file, "checksums", "yes")
        for dataset in rows.datasets:
            is_known = dataset.known_beforehand and fits_one_type(dataset.dtype)
            if is_known and not compress and not bound.may_end_early:
                _lay_out(file, dataset, bound.plan.n)
        _note_places(rows, file)
        sizes = {name: file[name].id.get_storage_size() for name in rows.places}
    _save_skeleton(rows, sizes)
    return rows


def resume(folder: Path, bound: BoundKernel, compress: bool, run: str) -> Rows | None:
    """Return the rows of a run that was begun in this folder; None if they are damaged. For the
    root.

    Raises
    ------
    BadInput
        If they aren't there, or are of another run; nothing is changed then.
    """
    rows = Rows(folder, bound.reduction.datasets(), {}, compress, run)
    if not rows.base.exists() and not any(folder.glob("*.part")):
        raise BadInput(
            f"resume: the rows that are done are not in {str(folder)!r} (there is no"
            f" {rows.base.name})"
        )
    if _is_of_another_run(rows):
        raise BadInput(
            f"resume: the rows that are done are not in {str(folder)!r} (they are of another run)"
        )
    try:
        _restore_skeleton(rows)
        with h5py.File(rows.base, "r") as file:
            if not has_text(file, "run", run):
                return None
            _note_places(rows, file)
            return rows._replace(has_checksums="checksums" in file.attrs)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError):
        return None


def _is_of_another_run(rows: Rows) -> bool:
    """Return whether what is there says so."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        _, _, *run = _read_skeleton(rows)
        if run and run != [rows.run]:
            return True
    with (
        contextlib.suppress(OSError, KeyError, RuntimeError, ValueError),
        h5py.File(rows.base, "r") as file,
    ):
        return not has_text(file, "run", rows.run)
    return False


def _note_places(rows: Rows, file: h5py.File) -> None:
    for dataset in rows.datasets:
        place = file[dataset.name].id.get_offset() if dataset.name in file else None
        if place is not None:  # no rows, no place
            rows.places[dataset.name] = place


def _save_skeleton(rows: Rows, sizes: dict[str, int]) -> None:
    """Save what HDF5 has written to the file, all but the rows, which it doesn't touch any more.

    When the root makes the result file of it, and is killed or has no room, HDF5 may leave a file
    that it refuses.
    """
    length, position, pieces = rows.base.stat().st_size, 0, []
    with rows.base.open("rb") as file:
        for place, size in sorted((place, sizes[name]) for name, place in rows.places.items()):
            file.seek(position)
            pieces.append([position, file.read(place - position)])
            position = place + size
        file.seek(position)
        pieces.append([position, file.read(length - position)])
    data = encode([length, pieces, rows.run])
    rows.skeleton.write_bytes(b"%08x" % zlib.crc32(data) + data)
    flush_to_disk(rows.skeleton)
    flush_to_disk(rows.base)


def _restore_skeleton(rows: Rows) -> None:
    """Make the file again what it was at the start, with the rows that have been written since."""
    length, pieces, *_ = _read_skeleton(rows)
    descriptor = os.open(rows.base, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, length)
        for position, data in pieces:
            write_at(descriptor, data, position)
    finally:
        os.close(descriptor)


def _read_skeleton(rows: Rows) -> Any:
    """Return the length of the file, the pieces of it, and the run: versions before don't say it.
    ValueError.
    """
    data = rows.skeleton.read_bytes()
    if data[:1] != b"[":
        if int(data[:8], 16) != zlib.crc32(data[8:]):
            raise ValueError("the checksum is wrong")
        data = data[8:]
    return decode(data)


@functools.lru_cache(maxsize=16)
def _check_type(dtype: np.dtype[Any]) -> None:
    """Raise TypeError for rows that HDF5 can't hold."""
    if not fits_one_type(_in_hdf5(common_dtype([dtype]))):
        check_names(dtype)
    for name in dtype.names or ():
        _check_type(dtype[name])
    if dtype.base.kind not in "biufcSUV":
        raise TypeError(f"datasets can't hold {dtype}")


def _lay_out(file: h5py.File, dataset: Dataset, n: int) -> None:
    """Make a dataset of known size, with its place in the file, but write nothing."""
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_layout(h5py.h5d.CONTIGUOUS)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((n, *dataset.row))
    kind = h5py.h5t.py_create(dataset.dtype, logical=True)
    h5py.h5d.create(file.id, dataset.name.encode(), kind, space, settings)


def complete(rows: Rows, file: h5py.File, plan: Plan, skipped: list[int]) -> None:
    """Put all rows into ``file``, which is ``rows.base`` opened: those in place are there, the
    others are joined.

    Parameters
    ----------
    rows : Rows
    file : h5py.File
    plan : Plan
        The blocks of the run: fewer than planned at first, if it ended early.
    skipped : list of int
        Blocks that have no rows; rows that stand for items are NaN, or 0 for whole numbers.
    """
    there = _records(rows.folder)
    for number, dataset in enumerate(rows.datasets):
        if dataset.name in file:
            made = file[dataset.name]
            for index in skipped:
                block = plan[index]
                made[block.start : block.stop] = dataset.missing(block, made.dtype)
        else:
            found = {block: record for (block, which), record in there.items() if which == number}
            made = _join(rows, file, dataset, found, plan, skipped)
        made.attrs.update(units=dataset.units, description=dataset.description)


def _records(folder: Path) -> dict[tuple[int, int], Record]:
    """Return the record of each (block, number of the dataset). Of several of a block, all are the
    same.
    """
    found = {}
    for path in sorted(folder.glob("*.part")):
        for record in records(path):
            found[record.block, record.number] = record
    return found


def _join(
    rows: Rows,
    file: h5py.File,
    dataset: Dataset,
    found: dict[int, Record],
    plan: Plan,
    skipped: list[int],
) -> Any:
    """Make a dataset of the records of all blocks, in block order."""
    if len(found) + len(skipped) < plan.n_blocks:
        raise OSError(
            f"{plan.n_blocks - len(found) - len(skipped)} blocks have no rows of {dataset.name!r}"
        )
    dtype = dataset.dtype or common_dtype(found[index].dtype for index in sorted(found))
    if dataset.dtype is None:
        types = {record.dtype: None for record in found.values()}
        dtype = exact_dtype(dtype, types, lambda: _pieces(rows, found, {}, None))
    stand_ins = {index: dataset.missing(plan[index], dtype) for index in skipped}
    n = sum(record.shape[0] for record in found.values()) + sum(map(len, stand_ins.values()))
    settings: dict[str, Any] = {}
    if n and rows.compress:
        settings = {
            "compression": "gzip",
            "compression_opts": _GZIP_LEVEL,
            "shuffle": True,
            "chunks": True,
        }
    stored, at_once = _in_hdf5(dtype), _JOINED_AT_ONCE
    if fits_one_type(stored):
        made: Any = file.create_dataset(dataset.name, (n, *dataset.row), stored, **settings)
    else:
        made, at_once = ColumnGroup(file, dataset.name, n, stored, settings), _JOINED_OF_COLUMNS
    position = 0
    for piece in _pieces(rows, found, stand_ins, dtype, at_once):
        made[position : position + len(piece)] = piece.astype(made.dtype, copy=False)
        position += len(piece)
    return made


def _pieces(
    rows: Rows,
    found: dict[int, Record],
    stand_ins: dict[int, Array],
    dtype: np.dtype[Any] | None,
    at_once: int = 0,
) -> Iterator[Array]:
    """Yield the rows of all blocks in order, joined to so many bytes; without a type as they are,
    each block's.

    Raises OSError if they aren't what was written.
    """
    size = 0
    waiting: list[Array] = []
    files: dict[Path, io.BufferedReader] = {}
    with contextlib.ExitStack() as stack:
        for index in sorted(found.keys() | stand_ins.keys()):
            if index in found:
                record = found[index]
                if record.path not in files:
                    if len(files) == _MOST_OPEN:
                        stack.close()
                        files.clear()
                    files[record.path] = stack.enter_context(record.path.open("rb"))
                files[record.path].seek(record.offset)
                made = np.empty(record.shape, record.dtype)
                flat = made.reshape(-1).view(np.uint8)
                files[record.path].readinto(flat.data)
                if not record.is_of(flat, rows.run):
                    raise OSError(f"the rows of block {index} in {record.path.name!r} are damaged")
                waiting.append(made if dtype is None else converted(made, dtype))
            else:
                waiting.append(stand_ins[index])
            size += waiting[-1].nbytes + _LEAST_PIECE
            if dtype is None or size > at_once:
                yield joined(waiting, waiting[0].dtype)
                waiting, size = [], 0
    if waiting:
        yield joined(waiting, waiting[0].dtype)


def _in_hdf5(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a type as HDF5 stores it: text of any length for NumPy's text of fixed length."""
    if dtype.names:
        return np.dtype([(name, _in_hdf5(dtype[name])) for name in dtype.names])
    return h5py.string_dtype() if dtype.kind == "U" else dtype
