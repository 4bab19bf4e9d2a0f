"""What is at the path of an output, and whether a run may write there."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py

from mpipar.base.errors import BadInput
from mpipar.core.kernel import BoundKernel
from mpipar.runtime.failure import one_line
from mpipar.store.attributes import FORMAT
from mpipar.store.checkpoint import State, check_state, get
from mpipar.store.identity import check_identity, whole_identity
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
        there = _kind_of(path)
        if there == "foreign":
            raise BadInput(
                f"output: {str(path)!r} exists and is not a result of mpipar; it is left as it is"
            )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"output: the folder {str(folder)!r} can't be written to")
    return there


def preview(
    path: Path,
    could_be: Sequence[BoundKernel],
    *,
    resume: bool,
    anyway: bool = False,
) -> None:
    """Raise BadInput if no run of one of these kernels could have this output; nothing is
    written.
    """
    try:
        path = Path(os.path.realpath(path))
        if may_write(path, resume) is not None and resume:
            for bound in could_be[:-1]:
                with contextlib.suppress(BadInput):
                    state_of(path, bound, whole_identity(bound), anyway)
                    return
            state_of(path, could_be[-1], whole_identity(could_be[-1]), anyway)
    except (OSError, RuntimeError, KeyError) as error:
        raise BadInput(f"output: {reason_of(error)}: {str(path)!r}") from None


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


def state_of(
    path: Path,
    bound: BoundKernel,
    identity: dict[str, Any],
    anyway: bool,
) -> tuple[State, list[str]]:
    """Return the state in a file, and what the user should know of it. Raises BadInput if it isn't
    of the same run.
    """
    with h5py.File(path, "r") as file:
        version = file.attrs["mpipar_format"]
        if version != FORMAT:
            raise BadInput(f"resume: {str(path)!r} is of format {version}, expected {FORMAT}")
        state = get(path, file)
    notes = check_identity(path, state.identity, identity, anyway)
    check_state(path, state, bound)
    return state, notes


def _kind_of(path: Path) -> str | None:
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


def is_empty(path: Path, run: str) -> bool:
    """Return whether the file at ``path`` is the first state of this run."""
    if _kind_of(path) != "unfinished":
        return False
    with h5py.File(path, "r") as file:
        state = get(path, file)
        return state.run == run and not state.done.count and not state.done.skipped


def reason_of(error: Exception) -> str:
    """Return one line; HDF5 puts many around the system's error."""
    found = re.search(r"error message = '([^']*)'", str(error))
    if found is not None:
        return found[1]
    return getattr(error, "strerror", None) or one_line(error)
