"""What is at the path of an output, and whether it may be written there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import h5py

from mpipar.base.errors import BadInput
from mpipar.store.output_folder import check_is_idle


def check(path: Path) -> str | None:
    """Return what is at ``path``: None, "finished" or "unfinished". For the root.

    Raises
    ------
    BadInput
        If a result can't be written there, or would replace what mpipar has not written.
    """
    there = None
    folder = path.parent
    if not folder.is_dir():
        raise BadInput(f"output: there is no folder {str(folder)!r}")
    too_many = len(os.fsencode(f"{path.name}.previous")) - os.pathconf(folder, "PC_NAME_MAX")
    if too_many > 0:  # what is beside it while a run goes on has a longer name
        raise BadInput(f"output: the name is {too_many} bytes too long: {str(path)!r}")
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        pass
    except OSError as error:
        raise BadInput(f"output: {error.strerror}: {str(path)!r}") from None
    else:
        if stat.S_ISDIR(kind):
            raise BadInput(f"output: {str(path)!r} is a folder, expected a file")
        if not stat.S_ISREG(kind):  # to open a pipe could take for ever
            raise BadInput(f"output: {str(path)!r} is not a regular file")
        there = kind_of(path)
        if there == "foreign":
            raise BadInput(
                f"output: {str(path)!r} exists and is not a result of mpipar; it stays untouched"
            )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"output: the folder {str(folder)!r} can't be written to")
    return there


def may_write(path: Path, resume: bool) -> str | None:
    """Return what is at ``path``, as :func:`check` does; what an unfinished run has left may be
    resumed alone.
    """
    there = check(path)
    if there == "unfinished" and not resume:
        check_is_idle(Path(f"{path}.parts"))
        raise BadInput(
            f"output: {str(path)!r} holds an unfinished run: --resume goes on with it; or remove it"
        )
    return there


def kind_of(path: Path) -> str | None:
    """Return what is at ``path``: None, "foreign", "finished" or "unfinished"."""
    if not path.exists():
        return None
    try:
        with h5py.File(path, "r") as file:
            if "mpipar_format" not in file.attrs:
                return "foreign"
            return "finished" if file.attrs.get("finished", True) else "unfinished"
    except Exception:  # h5py raises many kinds for files that are damaged
        return "foreign"
