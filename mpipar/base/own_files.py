"""Which files are the user's own: neither Python's, nor mpipar's, nor an installed package's."""

from __future__ import annotations

import functools
import os
import site
import sysconfig
from pathlib import Path

MPIPAR = str(Path(__file__).parents[1])
"""The folder of mpipar itself."""

_PACKAGES = {"site-packages", "dist-packages"}


@functools.cache
def _installed() -> tuple[str, ...]:
    """Return the folders of Python, of installed packages and of mpipar."""
    folders = [path for path in sysconfig.get_paths().values() if "lib" in path]
    folders += [*site.getsitepackages(), site.getusersitepackages(), MPIPAR]
    return tuple({f"{os.path.realpath(folder)}{os.sep}" for folder in folders})


def is_own(path: str) -> bool:
    """Return whether a file is the user's own."""
    real = _real(path)
    if not _PACKAGES.isdisjoint(real.split(os.sep)):
        return False
    return not real.startswith(_installed())


_real_folder = functools.cache(os.path.realpath)


def _real(path: str) -> str:
    """Return the real path of a file; of many in few folders this is fast."""
    if os.path.islink(path):
        return os.path.realpath(path)
    folder, name = os.path.split(path)
    return os.path.join(_real_folder(folder), name)
