"""A file that records are appended to, each with its length and checksum.

What follows a record that isn't whole, as a process or node died in between, doesn't count.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from mpipar.store.files import flush_to_disk, write_at

_HEAD = struct.Struct("<8sQI")  # mark, bytes of what follows, its CRC-32


class RecordFile:
    """A file that this process alone appends to; it is made with its first record.

    Parameters
    ----------
    path : Path
    mark : bytes
        What each record begins with: eight bytes.
    mode : int
        Who may read the file.
    """

    def __init__(self, path: Path, mark: bytes, mode: int = 0o666) -> None:
        self.path = path
        self._mark = mark
        self._mode = mode
        self._file = -1
        self._is_new = False
        self._length = 0

    def append(self, *data: bytes | memoryview) -> None:
        """Append a record, which is on the disk after :meth:`sync`. Raises OSError; then nothing
        has changed.
        """
        size = 0
        checksum = 0
        for part in data:
            size += len(part)
            checksum = zlib.crc32(part, checksum)
        if self._file < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.open(self.path, flags, self._mode)
            self._is_new = True
        record = b"".join([_HEAD.pack(self._mark, size, checksum), *data])
        try:
            write_at(self._file, record, self._length)
        except OSError:
            self._cut(self._length)
            raise
        self._length += len(record)

    def sync(self) -> None:
        """Wait until all records are on the disk. Raises OSError."""
        if self._file < 0:
            return
        os.fsync(self._file)
        if self._is_new:
            flush_to_disk(self.path.parent)
            self._is_new = False

    def append_and_sync(self, *data: bytes | memoryview) -> None:
        """Append a record and wait until it is on the disk. Raises OSError; then nothing has
        changed.
        """
        before = self._length
        self.append(*data)
        try:
            self.sync()
        except OSError:
            self._cut(before)
            raise

    def _cut(self, length: int) -> None:
        os.ftruncate(self._file, length)
        self._length = length

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def records(path: Path, mark: bytes) -> Iterator[bytes]:
    """Yield the records of a file that are whole, up to the first that isn't. Raises OSError."""
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            found, size, checksum = _HEAD.unpack(head)
            if found != mark or size > path.stat().st_size:
                return
            data = file.read(size)
            if len(data) < size or zlib.crc32(data) != checksum:
                return
            yield data
