"""Reading HDF5 files that anyone may have made, or damaged.

Nothing is followed out of the file (links, virtual datasets, external storage), nothing beyond a
limit is read, and what comes back is plain Python and NumPy without objects but text.
"""

from __future__ import annotations

import contextlib
import io
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpipar.base.errors import BadInput
from mpipar.store.seal import check_seal, sealed_bytes

MOST_BYTES = 2**28
"""A table that is larger is not read."""

_MOST_GROUPS = 10_000
SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""How HDF5 files begin."""

BROKEN = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    RuntimeError,
    OverflowError,
    AttributeError,
    MemoryError,
)
"""What h5py and NumPy raise for what is damaged."""


def is_sealed(path: Path) -> bool:
    """Return whether what is in a file is known to be what mpipar has written."""
    try:
        return path.is_file() and check_seal(path)  # to open a pipe could take for ever
    except (OSError, ValueError, BadInput):  # which opening it will tell
        return False


@contextlib.contextmanager
def opened(path: Path, *, is_checked: bool = False) -> Iterator[h5py.File]:
    """Open a file for reading, and lock nothing. Raises BadInput if there is none, or what is in it
    is damaged.

    Its seal is compared before, unless that is known to have been done.
    """
    if _first_bytes(path) != SIGNATURE:
        raise BadInput(f"{str(path)!r} is not an HDF5 file")
    try:
        if not is_checked:
            check_seal(path)
        with _without_lock(path) as file:
            yield file
    except BadInput:
        raise
    except BROKEN as error:
        raise BadInput(f"{str(path)!r} is damaged ({_reason(error)})") from None


@contextlib.contextmanager
def opened_whole(path: Path) -> Iterator[tuple[h5py.File, bytes]]:
    """Read a file that has a seal as a whole, once, and open it in memory; gives its bytes, too.
    Raises BadInput as :func:`opened`, or if it has no seal.
    """
    if _first_bytes(path) != SIGNATURE:
        raise BadInput(f"{str(path)!r} is not an HDF5 file")
    try:
        data = sealed_bytes(path)
        if data is None:
            raise BadInput(f"{str(path)!r} isn't as mpipar has written it: it has no seal")
        with h5py.File(io.BytesIO(data), "r") as file:
            yield file, data
    except BadInput:
        raise
    except BROKEN as error:
        raise BadInput(f"{str(path)!r} is damaged ({_reason(error)})") from None


def _first_bytes(path: Path) -> bytes:
    """Return how a file begins. Raises BadInput if there is none, or it can't be read."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise BadInput(f"{str(path)!r} is a folder, expected a result file")
        if not stat.S_ISREG(kind):  # to open a pipe could take for ever
            raise BadInput(f"{str(path)!r} is not a regular file")
        with path.open("rb") as raw:
            return raw.read(len(SIGNATURE))
    except FileNotFoundError:
        raise BadInput(f"there is no file {str(path)!r}") from None
    except BadInput:
        raise
    except (OSError, ValueError) as error:  # a zero byte in a name is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{reason}: {str(path)!r}") from None


def _without_lock(path: Path) -> h5py.File:
    """Open a file and lock nothing, unless this process has it open already, with a lock."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        return h5py.File(path, "r")


def dataset(group: h5py.Group, name: str) -> h5py.Dataset | None:
    """Return a dataset that lies in this file itself, or None if there is none of this name."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return None
    found = group[name]
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        return None
    return found


def group(file: h5py.File, name: str) -> h5py.Group:
    """Return a group that lies in this file itself. Raises ValueError if there is none of this
    name.
    """
    is_here = isinstance(file.get(name, getlink=True), h5py.HardLink)
    if not is_here or not isinstance(file[name], h5py.Group):
        raise ValueError(f"there is no group {name!r}")
    return file[name]


def table(
    file: h5py.File,
    name: str,
    columns: Mapping[str, str],
) -> np.ndarray[Any, Any]:
    """Return columns of a table.

    Parameters
    ----------
    file : h5py.File
    name : str
        Of the table; a ValueError if there is none.
    columns : mapping
        {name of a column: type to read it as}, where "O" is text.

    Returns
    -------
    numpy.ndarray
        One-dimensional, with these fields.
    """
    found = dataset(file, name)
    if found is None or found.dtype.names is None or found.ndim != 1:
        raise ValueError(f"there is no table {name!r}")
    _check_size(found)
    read = found[...]
    made = np.empty(len(read), [*columns.items()])
    for column, kind in columns.items():
        if kind == "O":
            made[column] = [text(item) for item in read[column]]
        elif read.dtype[column].kind not in "iuf" or read.dtype[column].shape:
            raise ValueError(f"{column!r} of {name!r} has no numbers")
        else:
            made[column] = read[column]
    return made


def value(
    group: h5py.Group,
    name: str,
    most_bytes: int,
    met: set[int] | None = None,
) -> Any:
    """Return what is stored under a name: a number, an array, text, or a dict of such; None if
    there is nothing.

    An array of more than ``most_bytes`` comes back as text that tells its shape and type, and what
    was met before, by another link to it, as "…".
    """
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return None
    found = group[name]
    if isinstance(found, h5py.Group):
        met = set() if met is None else met
        if not _is_new(found, met):
            return "…"
        return {key: value(found, key, most_bytes, met) for key in found}
    if dataset(group, name) is None:
        return None
    if not _is_stored(found):
        return f"array of shape {found.shape}, of which nothing is stored"
    if found.nbytes > most_bytes:
        return f"array of shape {found.shape}, {type_name(found.dtype)}"
    _check_size(found)
    return plain(found[()])


def whole_value(group: h5py.Group, name: str) -> Any:
    """Return what is stored under a name, however large: a number, an array, text, or a dict of
    such.

    Raises
    ------
    ValueError
        If it doesn't lie in this file itself, or not all of it is stored there.
    """
    return _whole_value(group, name, set())


def _whole_value(group: h5py.Group, name: str, met: set[int]) -> Any:
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r} isn't in this file itself")
    found = group[name]
    if isinstance(found, h5py.Group):
        if not _is_new(found, met):
            raise ValueError(f"{name!r} is there twice")
        return {key: _whole_value(found, key, met) for key in found}
    if dataset(group, name) is None:
        raise ValueError(f"{name!r} isn't in this file itself")
    has_all_bytes = stored_bytes(found) >= found.nbytes
    if not has_all_bytes:
        _check_size(found)  # a few bytes may stand for any number
    return plain(found[()])


def numbers(
    group: h5py.Group,
    name: str,
    met: set[int] | None = None,
) -> int:
    """Return how many numbers are stored under a name, which are not read; text counts as one."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return 0
    found = group[name]
    if isinstance(found, h5py.Group):
        met = set() if met is None else met
        if not _is_new(found, met):
            return 0
        return sum(numbers(found, key, met) for key in found)
    if dataset(group, name) is None:
        return 0
    return int(found.size or 0)


def attributes(item: h5py.HLObject) -> dict[str, Any]:
    """Return all attributes, as plain values."""
    return {name: plain(item.attrs[name]) for name in item.attrs}


def plain(read: Any) -> Any:
    """Return what h5py has read as None, a bool, a number, text, a list, or an array of numbers."""
    if isinstance(read, h5py.Empty):
        return None
    if isinstance(read, np.ndarray):
        if read.dtype.kind in "biufc":
            return read
        return [plain(item) for item in read.tolist()]
    if isinstance(read, np.generic) and read.dtype.kind in "biufc":
        return read.item()
    return text(read)


def text(read: Any) -> str:
    """Return text, whatever its bytes are."""
    return read.decode(errors="replace") if isinstance(read, bytes) else str(read)


def type_name(dtype: np.dtype[Any]) -> str:
    """Return the name of a type: what h5py calls an object is text; for a table, its columns."""
    if dtype.names is not None:
        return ", ".join(f"{name} {type_name(dtype[name])}" for name in dtype.names)
    return "text" if dtype.kind in "OSU" else str(dtype)


def stored_bytes(found: h5py.Dataset) -> int:
    """Return how many bytes of the file a dataset takes."""
    return int(found.id.get_storage_size())


def _is_new(found: h5py.Group, met: set[int]) -> bool:
    """Return whether a group is met for the first time, and note it: links may make many paths of
    few groups.
    """
    address = h5py.h5o.get_info(found.id).addr
    is_new = address not in met and len(met) < _MOST_GROUPS
    met.add(address)
    return is_new


def _check_size(found: h5py.Dataset) -> None:
    """Raise ValueError for what would fill the memory: a few bytes may stand for any number of
    rows.
    """
    if not _is_stored(found):
        raise ValueError(
            f"{found.name!r} is said to have {found.nbytes} bytes, which aren't stored"
        )
    if found.nbytes > MOST_BYTES:
        raise ValueError(f"{found.name!r} has {found.nbytes} bytes")


def _is_stored(found: h5py.Dataset) -> bool:
    """Return whether all bytes of a dataset are in the file, or are compressed there."""
    is_compressed = found.id.get_create_plist().get_nfilters() > 0
    return bool(is_compressed or stored_bytes(found) >= found.nbytes)


def _reason(error: BaseException) -> str:
    """Return one line; HDF5 puts the place in brackets."""
    line = " ".join(str(error).split())
    reason, _, _ = line.partition(" (")
    return reason[:100] or type(error).__name__
