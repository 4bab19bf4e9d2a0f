"""The seal of a result file: checksums of all that is in it, behind its end.

HDF5 reads nothing behind the end of its own data, and cuts it off when it changes a file: then
there is no seal any more, and nothing is compared. Damage is found before HDF5 has read a byte; it
could go round in a damaged heap for ever. The seal is there twice, further apart than a page, so
that what damages one leaves the other.

Large rows are left out of the checksum of the whole, as reading them takes long. Their pieces have
checksums of their own, made by those who wrote them, and compared by those who read them
(:mod:`mpipar.store.sealed_rows`)::

    what HDF5 has written  checksums of pieces  seal  seal
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from mpipar.base.errors import BadInput
from mpipar.base.json_text import json_text, json_value
from mpipar.store.row_records import digest

_MARK = b"mpipar-seal "
_APART = 8192
_AT_ONCE = 2**24
LARGE = 2**26
"""Rows of more bytes have checksums of their own."""

PIECE = np.dtype([("size", "<u8"), ("start", "<u4"), ("checksum", "<u4")])
"""A piece of rows: its bytes, what its checksum starts from, and its checksum."""

Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]
Pieces = np.ndarray[tuple[int], np.dtype[np.void]]


class Large(NamedTuple):
    """Rows that are left out of the checksum of the whole: where they begin, and their pieces."""

    place: int
    pieces: Pieces


def seal(path: Path, told: Mapping[str, Pieces] | None = None) -> None:
    """Put a seal on a file that HDF5 has closed. Raises OSError.

    Parameters
    ----------
    path : Path
    told : mapping, optional
        {name of a dataset: its pieces}; such a dataset isn't read if it is large.
    """
    length = path.stat().st_size
    large = []
    if told and length > LARGE:
        large = _large_rows(path, told)
    left_out = []
    counts = []
    tables = b""
    for place, pieces in large:
        size = int(pieces["size"].sum())
        left_out.append([place, size])
        counts.append(len(pieces))
        tables += pieces.tobytes()
    with path.open("r+b") as file:
        parts = _in_file(file)
        about = {
            "length": length,
            "left_out": left_out,
            "digest": _digest(parts, length, left_out),
            "pieces": counts,
            "of_pieces": zlib.crc32(tables),
        }
        data = json_text(about).encode()
        one = _MARK + b"%08x %08x " % (len(data), zlib.crc32(data)) + data
        one += bytes(-len(one) % _APART)
        file.seek(length)
        file.write(tables + one + one)


def has_large_rows(path: Path) -> bool:
    """Return whether a file has rows that :func:`check_seal` doesn't compare."""
    try:
        with path.open("rb") as file:
            about = _seal_of(file)
    except OSError:
        return False
    return bool(about and about.get("pieces"))


def large_rows(path: Path, file: BinaryIO) -> list[Large]:
    """Return the rows of an open file that :func:`check_seal` doesn't compare. Raises BadInput if
    their checksums are damaged, OSError.
    """
    about = _seal_of(file)
    counts = about.get("pieces") if about else None
    if about is None or not counts:  # files of older versions have none
        return []
    file.seek(about["length"])
    tables = file.read(PIECE.itemsize * sum(counts))
    if zlib.crc32(tables) != about["of_pieces"]:
        raise damaged(path)
    pieces = np.frombuffer(tables, PIECE)
    found = []
    begin = 0
    for count, (place, _) in zip(counts, about["left_out"], strict=True):
        end = begin + count
        own = pieces[begin:end]
        found.append(Large(place, own))
        begin = end
    return found


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


def _compare(path: Path, about: dict[str, Any], size: int, parts: _Parts) -> None:
    """Raise BadInput if a file isn't as its seal says."""
    length = about["length"]
    if size < length or _digest(parts, length, about["left_out"]) != about["digest"]:
        raise damaged(path)


def damaged(path: Path) -> BadInput:
    """Return what is to be raised of a file that isn't as its seal says."""
    return BadInput(
        f"{str(path)!r} is damaged: it isn't what mpipar has written (its checksum is another)"
    )


def _large_rows(path: Path, told: Mapping[str, Pieces]) -> list[Large]:
    """Return the datasets that are large, stored in one piece, and told of as a whole."""
    import h5py  # takes time to load; a seal is read without it

    found = []
    with h5py.File(path, "r", locking=False) as file:
        for name, pieces in told.items():
            dataset = file[name].id
            place = dataset.get_offset()
            size = dataset.get_storage_size()
            told_size = pieces["size"].sum()
            is_whole = place is not None and told_size == size
            if is_whole and size > LARGE:
                found.append(Large(place, pieces))
    return sorted(found, key=lambda one: one.place)


_Parts = Callable[[int, int], Iterator[Bytes]]
"""Gives what is from one place to another, some at a time."""


def _digest(parts: _Parts, length: int, left_out: list[list[int]]) -> int:
    """Return the checksum of so many bytes, but for places that are left out."""
    checksum = 0
    position = 0
    for place, size in [*left_out, [length, 0]]:
        for part in parts(position, place):
            checksum = digest(part, checksum)
        position = place + size
    return checksum


def _in_file(file: BinaryIO) -> _Parts:
    def parts(start: int, stop: int) -> Iterator[Bytes]:
        file.seek(start)
        while start < stop and (data := file.read(min(_AT_ONCE, stop - start))):
            start += len(data)
            yield np.frombuffer(data, np.uint8)

    return parts


def _in_memory(data: bytes) -> _Parts:
    whole = np.frombuffer(data, np.uint8)

    def parts(start: int, stop: int) -> Iterator[Bytes]:
        for begin in range(start, stop, _AT_ONCE):
            yield whole[begin : min(begin + _AT_ONCE, stop)]

    return parts


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
                about: dict[str, Any] = json_value(data)
                return about
        except ValueError:
            pass
        position = end.find(_MARK, position + 1)
    return None
