"""A script's outcomes as an HDF5 file.

::

    /            attributes: mpipar_format, script_format, finished
    /about       JSON: the script, its arguments, versions, when and where it ran
    /calls       table: a row for each call of map, or of a function
    /digests     of the items of all calls, 16 bytes each      /blocks   of their blocks
    /indices     of the tasks that have an outcome             /evaluated_by   rows of /workers
    /pieces      table: outcomes of one form, with checksums   /outcomes       their bytes
    /workers     table: rank, worker, tasks, seconds, longest
    /timeline    table: worker, call, first task, tasks, begin and end, of the last run

Nothing in it is pickled; text and tables are of fixed length, so that HDF5 keeps no heap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpipar.base.errors import BadInput
from mpipar.base.json_text import json_text, json_value
from mpipar.store import untrusted_hdf5
from mpipar.store.attributes import FORMAT as MPIPAR_FORMAT
from mpipar.store.stored_calls import DIGEST, Array, Piece, StoredCall, check_rows
from mpipar.store.task_log import digests_in

FORMAT = 1
"""Version of the layout, in the attribute ``script_format``."""

MARK = "script_format"

_CALLS = {
    "items": "i8",
    "blocks": "i8",
    "outcomes": "i8",
    "pieces": "i8",
    "begin": "f8",
    "end": "f8",
    "busy": "f8",
}
_PIECES = {"bytes": "i8", "outcomes": "i8", "crc32": "i8"}
WORKERS = {"rank": "i8", "worker": "i8", "tasks": "i8", "seconds": "f8", "longest": "f8"}
SPANS = {"worker": "i8", "call": "i8", "first": "i8", "tasks": "i8", "begin": "f8", "end": "f8"}


_DESCRIPTIONS = {
    "about": "the script, and how it was run: JSON",
    "calls": "a row for each call of the script",
    "functions": "digest and name of each call's function: JSON",
    "pieces": "outcomes of one form",
    "digests": "of items, 16 bytes each",
    "blocks": "digests of 4096 items at a time, 16 bytes each",
    "outcomes": "bytes of all pieces",
    "indices": "tasks of each call that have an outcome",
    "evaluated_by": "rows of workers; -1: in an earlier run, -2: another file had it",
    "workers": "workers of the last run; units: seconds, longest: s",
    "timeline": "who evaluated which tasks when; units: begin, end: s",
}


def no_rows(columns: dict[str, str]) -> Array:
    """Return a table without rows."""
    return np.empty(0, [*columns.items()])


@dataclass
class Tasks:
    """All that a file has of a script.

    Attributes
    ----------
    about : dict
        What JSON has: the script, its arguments, versions, …
    finished : bool
        Whether the script has come to its end.
    calls : list of StoredCall
    workers : numpy.ndarray
        A row for each worker of the last run: rank, worker, tasks, seconds, longest.
    timeline : numpy.ndarray
        Spans in which a worker (a row of workers) evaluated tasks of a call, in seconds.
    """

    about: dict[str, Any]
    finished: bool
    calls: list[StoredCall] = field(default_factory=list)
    workers: Array = field(default_factory=lambda: no_rows(WORKERS))
    timeline: Array = field(default_factory=lambda: no_rows(SPANS))


def put(file: h5py.File, tasks: Tasks) -> None:
    """Put all into a file."""
    file.attrs["mpipar_format"] = MPIPAR_FORMAT
    file.attrs[MARK] = FORMAT
    file.attrs["finished"] = tasks.finished
    columns = _Columns()
    for call in tasks.calls:
        columns.add(call)
    made = {
        **columns.arrays(),
        "about": _bytes([json_text(tasks.about).encode()]),
        "workers": tasks.workers,
        "timeline": tasks.timeline,
    }
    for name, data in made.items():
        stored = file.create_dataset(name, data=data)
        stored.attrs["description"] = np.bytes_(_DESCRIPTIONS[name].encode())


class _Columns:
    """What becomes of all calls together."""

    def __init__(self) -> None:
        self._calls: list[tuple[float, ...]] = []
        self._functions: list[tuple[str, str]] = []
        self._pieces: list[tuple[int, ...]] = []
        self._digests: list[bytes | memoryview] = []
        self._blocks: list[bytes] = []
        self._outcomes: list[bytes] = []
        self._indices: list[Array] = [np.empty(0, "<i8")]
        self._workers: list[Array] = [np.empty(0, "<i4")]

    def add(self, call: StoredCall) -> None:
        """Take in a call."""
        row = (
            call.tasks,
            len(call.block_digests),
            call.done,
            len(call.pieces),
            call.begin,
            call.end,
            call.busy,
        )
        self._calls.append(row)
        self._functions.append((call.function.hex(), call.name))
        self._digests.append(call.item_digests)
        self._blocks += call.block_digests
        self._indices.append(call.row_indices)
        self._workers.append(call.row_workers)
        for piece in call.pieces:
            self._pieces.append((len(piece.data), piece.outcomes, piece.checksum))
            self._outcomes.append(piece.data)

    def arrays(self) -> dict[str, Array]:
        """Return all of it, {name: array}."""
        return {
            "calls": np.array(self._calls, [*_CALLS.items()]),
            "functions": _bytes([json_text(self._functions).encode()]),
            "pieces": np.array(self._pieces, [*_PIECES.items()]),
            "digests": _bytes(self._digests).reshape(-1, DIGEST),
            "blocks": _bytes(self._blocks).reshape(-1, DIGEST),
            "outcomes": _bytes(self._outcomes),
            "indices": np.concatenate(self._indices),
            "evaluated_by": np.concatenate(self._workers),
        }


def _bytes(parts: Sequence[bytes | memoryview]) -> Array:
    return np.frombuffer(b"".join(parts), "u1")


def read(path: Path) -> Tasks:
    """Return all that a file has. Raises BadInput if it isn't of a script, or is damaged."""
    with untrusted_hdf5.opened_whole(path) as (file, data):
        return get(path, file, data)


def get(path: Path, file: h5py.File, whole: bytes | None = None) -> Tasks:
    """Return all that an open file has. Raises BadInput if it isn't of a script; what h5py and
    NumPy raise, if it is damaged.

    Parameters
    ----------
    path : Path
        For messages.
    file : h5py.File
    whole : bytes, optional
        All that is in it, if that has been read.
    """
    if MARK not in file.attrs:
        raise BadInput(f"{str(path)!r} doesn't hold the outcomes of a script's tasks")
    version = untrusted_hdf5.plain(file.attrs[MARK])
    if version != FORMAT:
        raise BadInput(f"{str(path)!r} is of format {version} of scripts, expected {FORMAT}")
    about = json_value(_column(file, "about", "u1").tobytes())
    if not isinstance(about, dict):
        raise ValueError("what it is about isn't told")
    return Tasks(
        about,
        bool(file.attrs["finished"]),
        _calls(file, whole),
        untrusted_hdf5.table(file, "workers", WORKERS),
        untrusted_hdf5.table(file, "timeline", SPANS),
    )


def counts(file: h5py.File) -> tuple[int, int]:
    """Return how many tasks an open file has, and how many of them are done."""
    calls = untrusted_hdf5.table(file, "calls", _CALLS)
    return int(calls["items"].sum()), int(calls["outcomes"].sum())


def _calls(file: h5py.File, whole: bytes | None) -> list[StoredCall]:
    names = json_value(_column(file, "functions", "u1").tobytes())
    cut = _Cut(file, whole)
    calls = []
    rows = untrusted_hdf5.table(file, "calls", _CALLS).tolist()
    for number, (row, (function, name)) in enumerate(zip(rows, names, strict=True)):
        items, blocks, outcomes, pieces, begin, end, busy = row
        call = StoredCall(
            number=number,
            function=bytes.fromhex(function),
            name=str(name),
            item_digests=cut.next("digests", items).reshape(-1).data,
            block_digests=digests_in(cut.next("blocks", blocks).tobytes()),
            row_indices=cut.next("indices", outcomes),
            row_workers=cut.next("evaluated_by", outcomes),
            pieces=[cut.piece() for _ in range(pieces)],
            begin=begin,
            end=end,
            busy=busy,
        )
        check_rows(call)
        calls.append(call)
    return calls


class _Cut:
    """Columns of a file, from which each call takes its rows."""

    def __init__(self, file: h5py.File, whole: bytes | None) -> None:
        self._columns = {
            "digests": _column(file, "digests", "u1", DIGEST, whole),
            "blocks": _column(file, "blocks", "u1", DIGEST, whole),
            "indices": _column(file, "indices", "<i8", None, whole),
            "evaluated_by": _column(file, "evaluated_by", "<i4", None, whole),
            "outcomes": _column(file, "outcomes", "u1", None, whole),
        }
        self._at = dict.fromkeys(self._columns, 0)
        self._pieces = iter(untrusted_hdf5.table(file, "pieces", _PIECES).tolist())

    def next(self, name: str, count: int) -> Array:
        """Return so many more rows. Raises ValueError if there aren't so many."""
        start = self._at[name]
        self._at[name] = stop = start + count
        if count < 0 or stop > len(self._columns[name]):
            raise ValueError(f"{name!r} has fewer rows than its calls")
        return self._columns[name][start:stop]

    def piece(self) -> Piece:
        """Return the next piece."""
        for size, outcomes, checksum in self._pieces:
            return Piece(self.next("outcomes", size).tobytes(), outcomes, checksum)
        raise ValueError("there are fewer pieces than calls have")


def _column(
    file: h5py.File,
    name: str,
    dtype: str,
    width: int | None = None,
    whole: bytes | None = None,
) -> Array:
    """Return a dataset of numbers that lies in the file as a whole; of one that has been read, what
    is there. Raises ValueError.
    """
    found = untrusted_hdf5.dataset(file, name)
    if found is None or found.dtype != np.dtype(dtype):
        raise ValueError(f"there are no {name!r}")
    is_expected = found.ndim == 1 if width is None else found.shape[1:] == (width,)
    if not is_expected or found.id.get_create_plist().get_nfilters():
        raise ValueError(f"{name!r} is not stored as mpipar does")
    if untrusted_hdf5.stored_bytes(found) < found.nbytes:
        raise ValueError(f"{name!r} is not all there")
    place = found.id.get_offset()
    if whole is None or place is None:
        data: Array = found[...]
        return data
    return np.frombuffer(whole, found.dtype, found.size, place).reshape(found.shape)
