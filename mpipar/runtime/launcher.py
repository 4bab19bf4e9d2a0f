"""What the launcher (mpirun or another) says in the environment, before MPI is loaded."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from mpipar.runtime.launcher_words import OF_A_RANK, PROGRAMS, SIZE_AND_RANK

NO_INIT = "MPI4PY_RC_INITIALIZE"  # what mpi4py reads when it is imported
_JOURNAL = "MPIPAR_JOURNAL"  # of the ranks of a batch job
_MOST_BETWEEN = 4  # processes between these and a rank: hydra_pmi_proxy, a shell, a wrapper


class Launch(NamedTuple):
    """What a launcher says about this process.

    Attributes
    ----------
    variable : str
        The environment variable with the number of ranks.
    size, rank : int
        Number of ranks that were started, and which of them this process is.
    """

    variable: str
    size: int
    rank: int


def launch(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """Return what the launcher says, or None where there is none."""
    for size, rank in SIZE_AND_RANK:
        if environment.get(size, "").isdigit():
            number = environment.get(rank, "")
            return Launch(size, int(environment[size]), int(number) if number.isdigit() else 0)
    return None


def launchers_terminal(proc: Path = Path("/proc"), parent: int | None = None) -> bool:
    """Return whether the launcher of this rank, on this node, writes what ranks say on stderr to a
    terminal.
    """
    above = os.getppid() if parent is None else parent
    for _ in range(_MOST_BETWEEN):
        try:
            name = (proc / str(above) / "comm").read_text().strip()
            target = os.readlink(proc / str(above) / "fd" / "2")
            fields = (proc / str(above) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False
        if name.startswith(PROGRAMS):
            return target.startswith(("/dev/pts/", "/dev/tty"))
        above = int(fields[1])
    return False


def is_launchers(name: str) -> bool:
    """Return whether an environment variable is the launcher's, and no process but the rank may see
    it.
    """
    return name == _JOURNAL or name.startswith(OF_A_RANK)


@contextlib.contextmanager
def hidden_from_children() -> Iterator[None]:
    """Let processes that are started inside this context not know of the launcher, nor initialise
    MPI.
    """
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if is_launchers(name)}
    before = os.environ.get(NO_INIT)
    os.environ[NO_INIT] = "false"  # an h5py that is built with MPI imports it
    try:
        yield
    finally:
        os.environ.pop(NO_INIT)
        os.environ.update(hidden if before is None else {**hidden, NO_INIT: before})
