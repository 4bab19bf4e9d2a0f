"""Whether a run may have an output, or go on with one."""

from __future__ import annotations

import contextlib
import os
import re
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
from mpipar.store.output_place import kind_of, may_write


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


def is_empty(path: Path, run: str) -> bool:
    """Return whether the file at ``path`` is the first state of this run."""
    if kind_of(path) != "unfinished":
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
