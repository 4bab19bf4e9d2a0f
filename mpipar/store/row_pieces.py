"""The pieces of large rows, with the checksums that those who wrote them have made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mpipar.core.plan import Plan
from mpipar.core.reduction import Array, Dataset
from mpipar.store.row_records import NOTES, digest, notes, start_of
from mpipar.store.rows import Rows
from mpipar.store.seal import LARGE, PIECE, Pieces


def pieces_in_place(rows: Rows, plan: Plan, path: Path) -> dict[str, Pieces]:
    """Return {name of a dataset: its pieces} of what processes have written to its place.

    Parameters
    ----------
    rows : Rows
    plan : Plan
        A block is a piece.
    path : Path
        The file: blocks are read of which there is no checksum, or several.
    """
    row_bytes = {}
    for dataset in rows.datasets:
        if dataset.name in rows.places:
            row_bytes[dataset.name] = _row_bytes(dataset)
    if not any(plan.n * size > LARGE for size in row_bytes.values()):
        return {}
    told = _told(rows)
    found = {}
    for number, dataset in enumerate(rows.datasets):
        if dataset.name in row_bytes:
            pieces = _untold(plan, row_bytes[dataset.name], number, rows.run)
            is_own = told["number"] == number
            is_known = _tell(pieces, told[is_own])
            _read_unknown(pieces, is_known, path, rows.places[dataset.name])
            found[dataset.name] = pieces
    return found


def piece_of(rows: Array) -> tuple[int, int, int]:
    """Return the piece that consists of these rows."""
    in_order = np.ascontiguousarray(rows)
    data = in_order.reshape(-1).view(np.uint8)
    start = 0
    return data.nbytes, start, digest(data, start)


def as_pieces(pieces: Iterable[tuple[int, int, int]]) -> Pieces:
    """Return pieces as an array."""
    return np.array(list(pieces), PIECE)


def _row_bytes(dataset: Dataset) -> int:
    kind: Any = dataset.dtype
    return int(kind.itemsize * np.prod(dataset.row, dtype=object))


def _told(rows: Rows) -> Array:
    """Return what all processes have noted."""
    told = [np.empty(0, NOTES)]
    for path in rows.folder.glob("*.sums"):
        told.append(notes(path))
    return np.concatenate(told)


def _untold(
    plan: Plan,
    row_bytes: int,
    number: int,
    run: str,
) -> Pieces:
    """Return a piece for each block, without checksums."""
    pieces = np.zeros(plan.n_blocks, PIECE)
    pieces["size"] = plan.block * row_bytes
    last = plan[plan.n_blocks - 1]
    pieces["size"][-1] = last.size * row_bytes
    starts = []
    sizes = pieces["size"].tolist()
    for block, size in enumerate(sizes):
        start = start_of(block, number, size, run)
        starts.append(start)
    pieces["start"] = starts
    return pieces


def _tell(pieces: Pieces, told: Array) -> Array:
    """Give pieces the checksums that are told; return which have one, and no two."""
    n = len(pieces)
    is_one = told["block"] < n
    told = told[is_one]
    blocks = told["block"]
    checksums = pieces["checksum"]
    checksums[blocks] = told["checksum"]
    is_other = checksums[blocks] != told["checksum"]
    is_known = np.zeros(n, bool)
    is_known[blocks] = True
    is_known[blocks[is_other]] = False
    return is_known


def _read_unknown(
    pieces: Pieces,
    is_known: Array,
    path: Path,
    place: int,
) -> None:
    """Give the other pieces the checksums of what is there."""
    sizes = pieces["size"].astype(np.int64)
    begins = place + np.cumsum(sizes) - sizes
    with path.open("rb") as file:
        for index in np.flatnonzero(~is_known):
            file.seek(begins[index])
            there = file.read(sizes[index])
            data = np.frombuffer(there, np.uint8)
            start = int(pieces["start"][index])
            checksum = digest(data, start)
            pieces["checksum"][index] = checksum
