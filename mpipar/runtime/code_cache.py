"""Machine code on disk, for later runs and for the other processes of a node.

A file for each key, in a folder of the user's alone, with a checksum before what it has: written
aside and renamed, so that whoever reads it has all of it, or none. Whoever can write there can let
the user run anything, so that a folder of somebody else's is none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
import time
from pathlib import Path

VARIABLE = "MPIPAR_CACHE_DIR"
"""The environment variable with the folder; by default it is where the user's caches are."""

KEPT_SECONDS = 60 * 24 * 3600.0
"""Machine code that nobody has used for so long is removed when other is written."""

_CHECKSUM_BYTES = 32
_SUFFIX = ".code"


def folder() -> Path:
    """Return the folder of machine code, which may not be there."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen)
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return Path(caches).expanduser() / "mpipar" / "compiled"


def read(key: str) -> bytes | None:
    """Return what is kept under a key; None if that is nothing whole, or not the user's own."""
    path = folder() / f"{key}{_SUFFIX}"
    try:
        _check_owner(path.parent)
        with path.open("rb") as file:  # others may have put it there while they could
            _check_owner(file.fileno())
            data = file.read()
    except (OSError, RuntimeError):
        return None
    checksum, content = data[:_CHECKSUM_BYTES], data[_CHECKSUM_BYTES:]
    if hashlib.sha256(content).digest() != checksum:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # it is in use
    return content


def write(key: str, content: bytes) -> None:
    """Keep bytes under a key. Raises OSError, or RuntimeError if there is no home folder."""
    where = folder()
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_owner(where)
    _remove_old(where)
    descriptor, aside = tempfile.mkstemp(dir=where, prefix=".", suffix=_SUFFIX)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
        os.replace(aside, where / f"{key}{_SUFFIX}")
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise


def _check_owner(where: Path | int) -> None:
    """Raise PermissionError unless the user alone can write to a folder, or an open file."""
    about = os.stat(where)
    others_write = stat.S_IWGRP | stat.S_IWOTH
    if about.st_uid != os.getuid() or about.st_mode & others_write:
        raise PermissionError(f"others can write to {str(where)!r}")


def _remove_old(where: Path) -> None:
    """Remove what nobody has used for long, and what a killed process has left aside."""
    oldest = time.time() - KEPT_SECONDS
    for path in where.glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
