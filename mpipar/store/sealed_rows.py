"""Large rows of a result file, compared with the checksums of their pieces when they are read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mpipar.core.plan import slice_share
from mpipar.store.row_records import CHUNK, digest
from mpipar.store.seal import Bytes, Large, damaged, large_rows

_DAMAGED = (
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    OverflowError,
    MemoryError,
)
"""What comes of a seal that has been made to mislead."""


class SealedRows:
    """The pieces of some rows; each is compared once.

    Parameters
    ----------
    path : Path
    file : binary file
        The same, open as long as this is used.
    large : Large
    """

    def __init__(self, path: Path, file: BinaryIO, large: Large) -> None:
        self._path = path
        self._file = file
        self._pieces = large.pieces
        sizes = large.pieces["size"].astype(np.int64)
        self._ends = np.cumsum(sizes)
        begins = self._ends - sizes
        self._begins = large.place + begins
        self._is_known = np.zeros(len(sizes), bool)

    def check(self, begin: int, end: int) -> None:
        """Compare what has these bytes of the rows. Raises BadInput if it is damaged, OSError."""
        first = np.searchsorted(self._ends, begin, side="right")
        last = np.searchsorted(self._ends, end, side="left")
        every = range(len(self._ends))
        self._compare(every[first : last + 1])

    def check_share(self, part: int, parts: int) -> None:
        """Compare one of so many parts. Raises as :meth:`check`."""
        self._compare(slice_share(len(self._ends), part, parts))

    def _compare(self, indices: Iterable[int]) -> None:
        room = np.empty(CHUNK, np.uint8)
        for index in indices:
            if self._is_known[index]:
                continue
            if not self._is_whole(index, room):
                raise damaged(self._path)
            self._is_known[index] = True

    def _is_whole(self, index: int, room: Bytes) -> bool:
        size, checksum, expected = self._pieces[index].tolist()
        position = int(self._begins[index])
        end = position + size
        while position < end:
            part = room[: end - position]
            if not self._fill(part, position):
                return False
            checksum = digest(part, checksum)
            position += len(part)
        is_whole: bool = checksum == expected
        return is_whole

    def _fill(self, part: Bytes, position: int) -> bool:
        """Read as many bytes as there is room for; return whether there are so many."""
        while len(part):
            descriptor = self._file.fileno()
            count = os.preadv(descriptor, [part.data], position)
            if not count:
                return False
            part = part[count:]
            position += count
        return True


def sealed_rows(path: Path, file: BinaryIO) -> dict[int, SealedRows]:
    """Return {place of the first byte: rows} of what :func:`mpipar.store.seal.check_seal` doesn't
    compare.

    Parameters
    ----------
    path : Path
    file : binary file
        The same, open as long as the rows are used.

    Raises
    ------
    BadInput
        If the seal is damaged.
    OSError
        If it can't be read.
    """
    found = {}
    try:
        for large in large_rows(path, file):
            found[large.place] = SealedRows(path, file, large)
    except _DAMAGED:
        raise damaged(path) from None
    return found


def check_rows(path: Path, part: int = 0, parts: int = 1) -> None:
    """Compare one of so many parts of all large rows in a file. Raises as :func:`sealed_rows`."""
    with path.open("rb") as file:
        for rows in sealed_rows(path, file).values():
            rows.check_share(part, parts)


def bytes_of(selection: Any, shape: tuple[int, ...], size: int) -> tuple[int, int]:
    """Return from where to where the bytes are that a selection of a dataset takes, at most.

    Parameters
    ----------
    selection : object
        What is in brackets.
    shape : tuple of int
        That of the dataset.
    size : int
        Its bytes.
    """
    first = selection
    if isinstance(selection, tuple) and selection:
        first = selection[0]
    n = max(1, shape[0])
    row = size // n
    if isinstance(first, (int, np.integer)):
        begin = int(first) % n * row
        return begin, begin + row
    if isinstance(first, slice):
        start, stop, _ = first.indices(n)
        return start * row, max(start, stop) * row
    return 0, size
