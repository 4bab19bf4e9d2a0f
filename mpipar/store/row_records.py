"""Records of rows, with checksums: what a process appends to its files for each block.

::

    head    mark, block, number of the dataset, bytes of the header, bytes of the rows, checksum of all of this record
    header  type and shape of the rows
    rows    none in *.sums: the checksum is of what is in its place in rows.h5

A checksum takes in the name of the run, so that rows of another run of the same problem are none of
this one.
"""  # noqa: E501

from __future__ import annotations

import functools
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from mpipar.store.codec import decode, encode
from mpipar.store.files import own_name, write_at

Bytes = npt.NDArray[np.uint8]

_HEAD = struct.Struct("<8sQQQQI")
_WITHOUT_CHECKSUM = struct.Struct("<8sQQQQ")
_ROWS = b"mpipar-3"
_ELSEWHERE = b"mpipar-p"  # the rows are in their place
_SPOILT = b"mpipar-x"
_OLD = b"mpipar-2"  # of versions that had no checksums
_COLUMNS = 509
_ROW = 8 * _COLUMNS
CHUNK = 2**20  # fewer pages than there are columns
"""Bytes that :func:`digest` takes at once: of as many, or a multiple, it can go on later."""

NOTES = np.dtype(
    [
        ("mark", "S8"),
        ("block", "<u8"),
        ("number", "<u8"),
        ("header", "<u8"),
        ("size", "<u8"),
        ("checksum", "<u4"),
    ]
)
"""The head of a record, as NumPy reads many."""


class Record(NamedTuple):
    """A record that is whole, as far as its lengths tell.

    Attributes
    ----------
    path : Path
        The file that it is in.
    start, offset : int
        Where it begins, and where its rows do.
    block, number : int
        Whose rows these are, and of which dataset.
    header : bytes
    size : int
        Bytes of the rows.
    checksum : int or None
        None if it is of a version that had none.
    in_place : bool
        Whether the rows are in rows.h5.
    """

    path: Path
    start: int
    offset: int
    block: int
    number: int
    header: bytes
    size: int
    checksum: int | None
    in_place: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the rows."""
        return _described(self.header)[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the rows."""
        return _described(self.header)[1]

    def is_of(self, rows: Bytes, run: str) -> bool:
        """Return whether these are the bytes that a process of the run has written; True if nobody
        can tell.
        """
        if self.checksum is None:
            return True
        mark = _ELSEWHERE if self.in_place else _ROWS
        return self.checksum == _checksum(
            mark,
            self.block,
            self.number,
            self.header,
            rows,
            run,
        )


class Records:
    """The records of one process.

    Parameters
    ----------
    folder : Path
    kind : str
        "part" or "sums".
    run : str
        The name of the run.
    """

    def __init__(self, folder: Path, kind: str, run: str) -> None:
        self._folder = folder
        self._kind = kind
        self._run = run
        self._file = -1
        self._length = 0
        self._noted = b""

    def append(
        self,
        block: int,
        number: int,
        rows: Bytes,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
    ) -> None:
        """Write a record with its rows. Raises OSError."""
        header = _header(dtype, shape)
        head = _head(_ROWS, block, number, header, rows, self._run)
        self._write(head + header + rows.data)

    def note(self, block: int, number: int, rows: Bytes) -> None:
        """Remember the checksum of rows that are in their place, for :meth:`flush`."""
        self._noted += _head(_ELSEWHERE, block, number, b"", rows, self._run)

    def flush(self) -> None:
        """Write what is remembered. Raises OSError."""
        if self._noted:
            self._write(self._noted)
            self._noted = b""

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)

    def _write(self, data: bytes) -> None:
        if self._file < 0:
            path = self._folder / own_name(self._kind)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            self._file = os.open(path, flags, 0o666)
        write_at(self._file, data, self._length)
        self._length += len(data)


def records(path: Path) -> Iterator[Record]:
    """Yield the records of a file up to the first that isn't whole: its process was killed as it
    wrote.
    """
    length = path.stat().st_size
    with path.open("rb") as file:
        while (record := _next(path, file, length)) is not None:
            if record.header or record.in_place:
                yield record


def notes(path: Path) -> npt.NDArray[Any]:
    """Return what is told of rows that are in their place: block, number, size and checksum."""
    data = path.read_bytes()
    count = len(data) // NOTES.itemsize
    heads: npt.NDArray[Any] = np.frombuffer(data, NOTES, count)
    is_note = (heads["mark"] == _ELSEWHERE) & (heads["header"] == 0)
    noted: npt.NDArray[Any] = heads[is_note]
    return noted


def start_of(block: int, number: int, size: int, run: str) -> int:
    """Return what the checksum starts from of rows that are in their place."""
    return _start(_ELSEWHERE, block, number, b"", size, run)


def spoil(record: Record) -> None:
    """Mark a record as one that doesn't count. Raises OSError."""
    _write_mark(record.path, record.start, _SPOILT)


def cut(path: Path) -> None:
    """Cut off what follows the records of a file, if anything does. Raises OSError."""
    end = 0
    length = path.stat().st_size
    with path.open("rb") as file:
        while _next(path, file, length) is not None:
            end = file.tell()
    if end < length:
        os.truncate(path, end)


def _next(path: Path, file: BinaryIO, length: int) -> Record | None:
    """Read the next record, and leave the file behind it; a spoilt one has no header."""
    start = file.tell()
    head = file.read(_WITHOUT_CHECKSUM.size)
    if len(head) < _WITHOUT_CHECKSUM.size:
        return None
    mark, block, number, header_size, size = _WITHOUT_CHECKSUM.unpack(head)
    if mark not in (_ROWS, _ELSEWHERE, _SPOILT, _OLD):
        return None
    checksum = None
    if mark != _OLD:
        rest = file.read(_HEAD.size - _WITHOUT_CHECKSUM.size)
        if len(rest) < _HEAD.size - _WITHOUT_CHECKSUM.size:
            return None
        checksum = int.from_bytes(rest, "little")
    in_place = mark == _ELSEWHERE
    end = file.tell() + header_size
    if not in_place:
        end += size
    if end > length:
        return None
    header = b""
    if mark != _SPOILT:
        header = file.read(header_size)
    offset = file.tell()
    file.seek(end)
    return Record(path, start, offset, block, number, header, size, checksum, in_place)


def _head(
    mark: bytes,
    block: int,
    number: int,
    header: bytes,
    rows: Bytes,
    run: str,
) -> bytes:
    checksum = _checksum(mark, block, number, header, rows, run)
    return _HEAD.pack(mark, block, number, len(header), len(rows), checksum)


def _checksum(
    mark: bytes,
    block: int,
    number: int,
    header: bytes,
    rows: Bytes,
    run: str,
) -> int:
    start = _start(mark, block, number, header, len(rows), run)
    return digest(rows, start)


def _start(
    mark: bytes,
    block: int,
    number: int,
    header: bytes,
    size: int,
    run: str,
) -> int:
    head = _WITHOUT_CHECKSUM.pack(mark, block, number, len(header), size)
    return zlib.crc32(head + header + run.encode())


def digest(data: Bytes, start: int = 0) -> int:
    """Return a checksum of bytes, which takes hardly longer than reading them.

    The words of each chunk are summed in columns, whose number is a prime: pages and sectors that
    changed places have their words in other columns. These sums, and what is left of a chunk, have
    a CRC-32.
    """
    for begin in range(0, len(data), CHUNK):
        chunk = data[begin : begin + CHUNK]
        whole = len(chunk) // _ROW * _ROW
        if whole:
            words = chunk[:whole].view(np.uint64)
            sums = words.reshape(-1, _COLUMNS).sum(axis=0, dtype=np.uint64)
            start = zlib.crc32(sums.data, start)
        start = zlib.crc32(chunk[whole:].data, start)
    return start


def _write_mark(path: Path, place: int, mark: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        write_at(descriptor, mark, place)
    finally:
        os.close(descriptor)


@functools.lru_cache(maxsize=100)
def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the header of a record, which takes longer to write than the rows of a small block."""
    descr = np.lib.format.dtype_to_descr(dtype)
    return encode([descr, shape])


@functools.lru_cache(maxsize=100)
def _described(header: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    descr, shape = decode(header)
    return shape, np.lib.format.descr_to_dtype(descr)
