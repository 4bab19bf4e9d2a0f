"""The rows of a run that is complete, put into its result file.

Rows with a place are there already. The others are joined from the parts that the processes have
written, a few at a time.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpipar.core.plan import Plan
from mpipar.core.reduction import Array, Dataset
from mpipar.core.row_types import common_dtype, converted, exact_dtype, joined
from mpipar.store.hdf5_types import in_hdf5
from mpipar.store.row_pieces import as_pieces, piece_of
from mpipar.store.row_records import Record, records
from mpipar.store.rows import Rows
from mpipar.store.seal import Pieces
from mpipar.store.wide import ColumnGroup, fits_one_type

_MOST_OPEN = 64  # parts
_JOINED_AT_ONCE = 2**22  # bytes that go to the file at once
_JOINED_OF_COLUMNS = 2**26  # … where each column is a dataset of its own
_LEAST_PIECE = 256  # what a block's rows take in memory, beside their bytes
_GZIP_LEVEL = 4


def complete(
    rows: Rows,
    file: h5py.File,
    plan: Plan,
    skipped: list[int],
) -> dict[str, Pieces]:
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

    Returns
    -------
    dict
        {name of a dataset: the pieces that it was joined of}, of those that lie in the file as
        they do in memory.
    """
    pieces = {}
    there = _records(rows.folder)
    for number, dataset in enumerate(rows.datasets):
        if dataset.name in file:
            made = file[dataset.name]
            _fill_gaps(made, dataset, plan, skipped)
        else:
            made, joined_of = _join(rows, file, dataset, there[number], plan, skipped)
            if joined_of:
                pieces[dataset.name] = as_pieces(joined_of)
        made.attrs.update(units=dataset.units, description=dataset.description)
    return pieces


def _fill_gaps(
    made: h5py.Dataset,
    dataset: Dataset,
    plan: Plan,
    skipped: list[int],
) -> None:
    for index in skipped:
        block = plan[index]
        rows = dataset.missing(block, made.dtype)
        made[block.start : block.stop] = rows


def _records(folder: Path) -> dict[int, dict[int, Record]]:
    """Return {number of a dataset: {block: its record}}.

    Of several records of a block, all are the same.
    """
    found: dict[int, dict[int, Record]] = defaultdict(dict)
    for path in sorted(folder.glob("*.part")):
        for record in records(path):
            found[record.number][record.block] = record
    return found


def _join(
    rows: Rows,
    file: h5py.File,
    dataset: Dataset,
    found: dict[int, Record],
    plan: Plan,
    skipped: list[int],
) -> tuple[Any, list[tuple[int, int, int]]]:
    """Make a dataset of the records of all blocks, in block order; return it, and its pieces."""
    missing = plan.n_blocks - len(found) - len(skipped)
    if missing > 0:
        raise OSError(f"{missing} blocks have no rows of {dataset.name!r}")
    dtype = dataset.dtype
    if dtype is None:
        dtype = _type_of_all(found, rows.run)
    stand_ins = {index: dataset.missing(plan[index], dtype) for index in skipped}
    n = sum(record.shape[0] for record in found.values())
    n += sum(map(len, stand_ins.values()))
    stored = in_hdf5(dtype)
    settings = _settings(compress=rows.compress and n > 0)
    if fits_one_type(stored):
        made: Any = file.create_dataset(
            dataset.name,
            (n, *dataset.row),
            stored,
            **settings,
        )
        at_once = _JOINED_AT_ONCE
    else:
        made = ColumnGroup(file, dataset.name, n, stored, settings)
        at_once = _JOINED_OF_COLUMNS
    is_one = isinstance(made, h5py.Dataset)
    is_in_one_piece = is_one and not settings
    is_as_in_memory = is_in_one_piece and not stored.hasobject
    pieces = []
    position = 0
    blocks = _blocks(found, stand_ins, dtype, rows.run)
    for joined_rows in _in_pieces(blocks, at_once):
        end = position + len(joined_rows)
        piece = joined_rows.astype(made.dtype, copy=False)
        made[position:end] = piece
        if is_as_in_memory:
            pieces.append(piece_of(piece))
        position = end
    return made, pieces


def _settings(*, compress: bool) -> dict[str, Any]:
    """Return the keywords of h5py for a dataset."""
    if not compress:
        return {}
    return {
        "compression": "gzip",
        "compression_opts": _GZIP_LEVEL,
        "shuffle": True,
        "chunks": True,
    }


def _type_of_all(found: dict[int, Record], run: str) -> np.dtype[Any]:
    """Return the type that holds the rows of all blocks; looks at them only where it must."""
    dtype = common_dtype(found[index].dtype for index in sorted(found))
    types = (record.dtype for record in found.values())
    return exact_dtype(dtype, types, lambda: _as_they_are(found, run))


def _as_they_are(found: dict[int, Record], run: str) -> Iterator[Array]:
    """Yield the rows of each block in order, with their own types."""
    with closing(_Parts(run)) as parts:
        for index in sorted(found):
            yield parts.rows(found[index])


def _blocks(
    found: dict[int, Record],
    stand_ins: dict[int, Array],
    dtype: np.dtype[Any],
    run: str,
) -> Iterator[Array]:
    """Yield the rows of each block in order, with this type."""
    with closing(_Parts(run)) as parts:
        for index in sorted(found.keys() | stand_ins.keys()):
            if index in found:
                yield converted(parts.rows(found[index]), dtype)
            else:
                yield stand_ins[index]


def _in_pieces(blocks: Iterable[Array], at_once: int) -> Iterator[Array]:
    """Yield the rows of blocks, all of one type, joined to about so many bytes."""
    size = 0
    waiting: list[Array] = []
    for rows in blocks:
        waiting.append(rows)
        size += rows.nbytes + _LEAST_PIECE
        if size > at_once:
            yield joined(waiting, waiting[0].dtype)
            waiting = []
            size = 0
    if waiting:
        yield joined(waiting, waiting[0].dtype)


class _Parts:
    """Reads rows from the parts of a run, few of which are open at a time."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._files: dict[Path, io.BufferedReader] = {}

    def rows(self, record: Record) -> Array:
        """Return the rows of a record. Raises OSError if they aren't what was written."""
        file = self._opened(record.path)
        file.seek(record.offset)
        made = np.empty(record.shape, record.dtype)
        flat = made.reshape(-1).view(np.uint8)
        file.readinto(flat.data)
        if not record.is_of(flat, self._run):
            raise OSError(f"the rows of block {record.block} in {record.path.name!r} are damaged")
        return made

    def _opened(self, path: Path) -> io.BufferedReader:
        if path not in self._files:
            if len(self._files) == _MOST_OPEN:
                self.close()
            self._files[path] = path.open("rb")
        return self._files[path]

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()
