"""The seal of a result file: checksums of all that is in it, behind its end.

HDF5 reads nothing behind the end of its own data, and cuts it off when it changes a file: then
there is no seal any more, and nothing is compared. Damage is found before HDF5 has read a byte; it
could go round in a damaged heap for ever. The seal is there twice, further apart than a page, so
that what damages one leaves the other.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mpipar.base.errors import BadInput
from mpipar.store.row_records import digest

_MARK = b"mpipar-seal "
_APART = 8192
_AT_ONCE = 2**24
_LARGE = 2**26  # bytes of rows that are left out, as reading them takes long


Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]


def seal(path: Path, *, all_of_it: bool = False) -> None:
    """Put a seal on a file that HDF5 has closed; on large rows, too, if ``all_of_it`` is to be
    sealed. Raises OSError.
    """
    length = path.stat().st_size
    has_large = length > _LARGE and not all_of_it
    left_out = _large_rows(path) if has_large else []
    with path.open("r+b") as file:
        checksum = _digest(_in_file(file), length, left_out)
        about = {"length": length, "left_out": left_out, "digest": checksum}
        data = json.dumps(about).encode()
        one = _MARK + b"%08x %08x " % (len(data), zlib.crc32(data)) + data
        one += bytes(-len(one) % _APART)
        file.seek(length)
        file.write(one + one)


def check_seal(path: Path) -> bool:
    """Return whether a file has a seal. Raises BadInput if it isn't what was sealed, OSError if it
    can't be read.
    """
    with path.open("rb") as file:
        about = _seal_of(file)
        if about is None:
            return False
        _compare(path, about, file.seek(0, os.SEEK_END), _in_file(file))
    return True


def sealed_bytes(path: Path) -> bytes | None:
    """Return all that is in a file, read once; None if it has no seal. Raises as
    :func:`check_seal`.
    """
    data = path.read_bytes()
    about = _seal_of(io.BytesIO(data))
    if about is None:
        return None
    _compare(path, about, len(data), _in_memory(data))
    return data


def _compare(path: Path, about: dict[str, Any], size: int, pieces: _Pieces) -> None:
    """Raise BadInput if a file isn't as its seal says."""
    length = about["length"]
    if size < length or _digest(pieces, length, about["left_out"]) != about["digest"]:
        raise BadInput(
            f"{str(path)!r} is damaged: it isn't what mpipar has written (its checksum is another)"
        )


def _large_rows(path: Path) -> list[list[int]]:
    """Return [place, bytes] of datasets that are stored in one piece, and large."""
    import h5py  # takes time to load; a seal is read without it

    found = []
    with h5py.File(path, "r", locking=False) as file:
        for name in file:
            item = file[name]
            if (
                isinstance(item, h5py.Dataset)
                and item.nbytes > _LARGE
                and item.id.get_offset() is not None
            ):
                found.append([item.id.get_offset(), item.id.get_storage_size()])
    return sorted(found)


_Pieces = Callable[[int, int], Iterator[Bytes]]
"""Gives what is from one place to another, some at a time."""


def _digest(pieces: _Pieces, length: int, left_out: list[list[int]]) -> int:
    """Return the checksum of so many bytes, but for places that are left out."""
    checksum = 0
    position = 0
    for place, size in [*left_out, [length, 0]]:
        for piece in pieces(position, place):
            checksum = digest(piece, checksum)
        position = place + size
    return checksum


def _in_file(file: BinaryIO) -> _Pieces:
    def pieces(start: int, stop: int) -> Iterator[Bytes]:
        file.seek(start)
        while start < stop and (data := file.read(min(_AT_ONCE, stop - start))):
            start += len(data)
            yield np.frombuffer(data, np.uint8)

    return pieces


def _in_memory(data: bytes) -> _Pieces:
    whole = np.frombuffer(data, np.uint8)

    def pieces(start: int, stop: int) -> Iterator[Bytes]:
        for begin in range(start, stop, _AT_ONCE):
            yield whole[begin : min(begin + _AT_ONCE, stop)]

    return pieces


def _seal_of(file: BinaryIO) -> dict[str, Any] | None:
    """Return what a file's seal says, or None if there is none that is whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 4 * _APART))
    end = file.read()
    position = end.find(_MARK)
    while position >= 0:
        head = end[position + len(_MARK) :][:18]
        data = end[position + len(_MARK) + 18 :]
        try:
            data = data[: int(head[:8], 16)]
            if zlib.crc32(data) == int(head[9:17], 16):
                about: dict[str, Any] = json.loads(data)
                return about
        except ValueError:
            pass
        position = end.find(_MARK, position + 1)
    return None
