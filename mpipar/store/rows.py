"""Rows of datasets on their way to the result file.

While a run goes on, a folder beside the result file holds what its processes have written::

    run.h5.parts/
        rows.h5     datasets with a row for each item: the root has laid them out, and each
                    process writes the bytes of its blocks to their place (MPI isn't needed for
                    that, nor a parallel HDF5)
        *.skeleton  what rows.h5 was before HDF5 made a result file of it
        *.sums      checksums of these rows: each process appends a record for each of its blocks
        *.part      other datasets, whose rows are of unknown number or type, or to be compressed:
                    each process appends a record for each block, and the root joins the records
                    in block order

``rows.h5`` becomes the result file. No rows are ever gathered in one process. How rows.h5 is laid
out is in :mod:`mpipar.store.row_layout`, how rows are joined in :mod:`mpipar.store.row_joining`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mpipar.core.plan import Block
from mpipar.core.reduction import Array, Dataset
from mpipar.core.row_types import converted
from mpipar.store.files import flush_to_disk, reserve, write_at
from mpipar.store.hdf5_types import check_type
from mpipar.store.row_records import Bytes, Records

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
        parts = self.folder.glob(f"{node}-*.part")
        sums = self.folder.glob(f"{node}-*.sums")
        for path in (self.base, *parts, *sums):
            flush_to_disk(path)

    @property
    def base(self) -> Path:
        """The file with datasets that are written in place, which becomes the result file."""
        return self.folder / "rows.h5"

    def reserve_room(self) -> None:
        """Make sure that there is room for the rows to be joined, and for the result. Raises
        OSError if there isn't.
        """
        parts = self.folder.glob("*.part")
        joined = sum(path.stat().st_size for path in parts)
        reserve(self.base, ROOM + joined + joined // 4)

    @property
    def skeleton(self) -> Path:
        """A copy of what HDF5 itself has put into that file."""
        return self.folder / "rows.skeleton"


class _Writer:
    """Writes the rows of blocks that one process evaluates."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._base = -1
        if rows.places:
            self._base = os.open(rows.base, os.O_WRONLY)
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
                check_type(array.dtype)
                self._part.append(
                    block.index,
                    number,
                    _bytes_of(array),
                    array.dtype,
                    array.shape,
                )
            elif array.size:
                flat = _bytes_of(array)
                row_bytes = array.nbytes // len(array)
                write_at(self._base, flat.data, place + block.start * row_bytes)
                self._sums.note(block.index, number, flat)
        self._sums.flush()


def _bytes_of(array: Array) -> Bytes:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
