"""What the launcher (mpirun or another) says in the environment, before MPI is loaded."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from mpipar.runtime.launcher_words import OF_A_JOB, OF_A_RANK, PROGRAMS, SIZE_AND_RANK

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
            own = environment.get(rank, "")
            if not own.isdigit():
                own = "0"
            return Launch(size, int(environment[size]), int(own))
    return None


def launchers_terminal(proc: Path = Path("/proc"), parent: int | None = None) -> bool:
    """Return whether the launcher of this rank, on this node, writes what ranks say on stderr to a
    terminal.
    """
    above = os.getppid() if parent is None else parent
    for _ in range(_MOST_BETWEEN):
        process = proc / str(above)
        try:
            name = (process / "comm").read_text().strip()
            target = os.readlink(process / "fd" / "2")
            _, _, after_name = (process / "stat").read_text().rpartition(")")
        except OSError:
            return False
        if name.startswith(PROGRAMS):
            return target.startswith(("/dev/pts/", "/dev/tty"))
        _, parent_of_it, *_ = after_name.split()
        above = int(parent_of_it)
    return False


def is_launchers(name: str) -> bool:
    """Return whether an environment variable is the launcher's, and no process but the rank may see
    it.
    """
    return name == _JOURNAL or name.startswith(OF_A_RANK)


def is_of_this_start(name: str) -> bool:
    """Return whether an environment variable says how a program was started, and not what it is to
    do: it differs when the same is started again.
    """
    return is_launchers(name) or name.startswith(OF_A_JOB)


@contextlib.contextmanager
def hidden_from_children() -> Iterator[None]:
    """Let processes that are started inside this context not know of the launcher, nor initialise
    MPI.
    """
    hidden = {name: value for name, value in os.environ.items() if is_launchers(name)}
    for name in hidden:
        del os.environ[name]
    before = os.environ.get(NO_INIT)
    os.environ[NO_INIT] = "false"  # an h5py that is built with MPI imports it
    try:
        yield
    finally:
        os.environ.update(hidden)
        if before is None:
            del os.environ[NO_INIT]
        else:
            os.environ[NO_INIT] = before
