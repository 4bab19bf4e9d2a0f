"""Writing files so that they survive."""

from __future__ import annotations

import filecmp
import io
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import h5py


def own_name(suffix: str) -> str:
    """Return a file name that no other process has had, even one with the same number: it begins
    with the node.
    """
    return f"{os.uname().nodename}-{os.getpid()}-{time.time_ns():x}.{suffix}"


def write_at(descriptor: int, data: Any, offset: int) -> None:
    """Write all bytes of a buffer to a place in a file."""
    view = memoryview(data).cast("B")
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset = offset + written


def write_hdf5(path: Path, fill: Callable[[h5py.File], None]) -> None:
    """Write an HDF5 file that ``fill`` puts things into, made in memory: HDF5 itself takes a full
    disk badly.
    """
    import h5py  # takes time to load

    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        fill(file)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        write_at(descriptor, image.getbuffer(), 0)
    finally:
        os.close(descriptor)


def put_text(item: h5py.HLObject, name: str, text: str) -> None:
    """Give what is in an HDF5 file an attribute that is text of fixed length, for :func:`has_text`.

    Text of any length is in a heap of the file, and HDF5 may go round in one that is damaged for
    ever.
    """
    data = text.encode()
    item.attrs.create(name, data, dtype=f"S{len(data)}")


def has_text(item: h5py.HLObject, name: str, text: str) -> bool:
    """Return whether an attribute is this text, of fixed length. Raises KeyError if there is
    none.
    """
    is_bytes = item.attrs.get_id(name).dtype.kind == "S"
    return bool(is_bytes and item.attrs[name] == text.encode())


def write_text(path: Path, text: str) -> None:
    """Write a text file as a whole or not at all. Raises OSError."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file as a whole or not at all. Raises OSError."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(data)
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        error.filename = str(path)  # the name that the user knows
        raise


def reserve(path: Path, size: int) -> None:
    """Extend a file, which is made if need be, so that HDF5 finds room in it. Raises OSError if
    there isn't any.

    HDF5 can't cope with a full disk: it raises, prints, and may crash as the process ends.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    length = os.fstat(descriptor).st_size
    try:
        os.posix_fallocate(descriptor, length, size)
    except OSError:
        os.ftruncate(descriptor, length)
        raise
    finally:
        os.close(descriptor)


def keep_aside(path: Path, other: Path) -> bool:
    """Keep a file under another name until there is a new one; return whether there was one.

    Where the file system has no links, the other is a copy. Raises OSError.
    """
    if not path.exists():
        return False
    other.unlink(missing_ok=True)
    try:
        os.link(path, other)
    except OSError:
        _copy(path, other)
    return True


def are_same(path: Path, other: Path) -> bool:
    """Return whether a file is kept aside under another name, as a link or a copy. Raises
    OSError.
    """
    return path.samefile(other) or filecmp.cmp(path, other, shallow=False)


def _copy(path: Path, other: Path) -> None:
    """Copy a file to the disk, for nobody else to read."""
    mode = path.stat().st_mode & 0o777
    descriptor = os.open(other, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with path.open("rb") as source, open(descriptor, "wb") as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(descriptor)
    except OSError:
        other.unlink()
        raise


def flush_to_disk(path: Path) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def about_hdf5() -> str:
    """Return the version of HDF5, and whether it is built with MPI."""
    import h5py

    parallel = (
        "built with MPI"
        if h5py.get_config().mpi
        else "built without MPI, which mpipar doesn't need"
    )
    return f"{h5py.version.hdf5_version}, {parallel}"
