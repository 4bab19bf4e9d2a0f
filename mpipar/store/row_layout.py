"""The file of rows with a place: how it is laid out at the start, and made that again.

What HDF5 has put into the file at the start is kept beside it, as a skeleton. When the root makes
the result file of it, and is killed or has no room, HDF5 may leave a file that it refuses.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from pathlib import Path
from typing import Any

import h5py

from mpipar.base.errors import BadInput
from mpipar.core.kernel import BoundKernel
from mpipar.core.reduction import Dataset
from mpipar.store.codec import decode, encode
from mpipar.store.files import flush_to_disk, has_text, put_text, reserve, write_at
from mpipar.store.hdf5_types import check_type
from mpipar.store.rows import RESERVED, ROOM, Rows
from mpipar.store.wide import fits_one_type


def begin(
    folder: Path,
    bound: BoundKernel,
    compress: bool,
    run: str,
) -> Rows:
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
        _check(dataset)
    may_have_places = not compress and not bound.may_end_early
    reserve(rows.base, ROOM)
    with h5py.File(rows.base, "w", libver="latest") as file:
        put_text(file, "run", run)
        put_text(file, "checksums", "yes")
        for dataset in rows.datasets:
            is_known = dataset.known_beforehand and fits_one_type(dataset.dtype)
            if may_have_places and is_known:
                _lay_out(file, dataset, bound.plan.n)
        _note_places(rows, file)
        sizes = {name: file[name].id.get_storage_size() for name in rows.places}
    _save_skeleton(rows, sizes)
    return rows


def _check(dataset: Dataset) -> None:
    """Raise BadInput for a name, and TypeError for a type, that can't be in a result file."""
    if dataset.name in RESERVED or "/" in dataset.name:
        raise BadInput(
            f"output: a dataset can't be named {dataset.name!r}; the name is taken, or has a slash"
        )
    if dataset.dtype is not None:
        check_type(dataset.dtype)


def resume(
    folder: Path,
    bound: BoundKernel,
    compress: bool,
    run: str,
) -> Rows | None:
    """Return the rows of a run that was begun in this folder; None if they are damaged. For the
    root.

    Raises
    ------
    BadInput
        If they aren't there, or are of another run; nothing is changed then.
    """
    rows = Rows(folder, bound.reduction.datasets(), {}, compress, run)
    not_there = f"resume: the rows that are done are not in {str(folder)!r}"
    has_parts = any(folder.glob("*.part"))
    if not has_parts and not rows.base.exists():
        raise BadInput(f"{not_there} (there is no {rows.base.name})")
    if _is_of_another_run(rows):
        raise BadInput(f"{not_there} (they are of another run)")
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
        if dataset.name not in file:
            continue
        place = file[dataset.name].id.get_offset()
        if place is not None:  # no rows, no place
            rows.places[dataset.name] = place


def _save_skeleton(rows: Rows, sizes: dict[str, int]) -> None:
    """Save what HDF5 has written to the file: all but the rows, which it no longer touches."""
    length = rows.base.stat().st_size
    taken = [(place, sizes[name]) for name, place in rows.places.items()]
    taken.sort()
    pieces = []
    position = 0
    with rows.base.open("rb") as file:
        for place, size in [*taken, (length, 0)]:
            file.seek(position)
            pieces.append([position, file.read(place - position)])
            position = place + size
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
    """Return the length of the file, the pieces of it, and the run, unless it is of an old version.

    Raises ValueError if it is damaged.
    """
    data = rows.skeleton.read_bytes()
    if data[:1] != b"[":
        if int(data[:8], 16) != zlib.crc32(data[8:]):
            raise ValueError("the checksum is wrong")
        data = data[8:]
    return decode(data)


def _lay_out(file: h5py.File, dataset: Dataset, n: int) -> None:
    """Make a dataset of known size, with its place in the file, but write nothing."""
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_layout(h5py.h5d.CONTIGUOUS)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((n, *dataset.row))
    kind = h5py.h5t.py_create(dataset.dtype, logical=True)
    h5py.h5d.create(file.id, dataset.name.encode(), kind, space, settings)
