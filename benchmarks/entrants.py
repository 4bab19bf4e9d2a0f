"""Who takes part in the contest of pools, what each is started with, and which of them are not
here.
"""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import dataclass

from common import BUILD, PROGRAMS, PYTHON, over

NOT_INSTALLED = BUILD / "not-installed.json"  # what install.py could not install, and why
CONTEST = str(PROGRAMS / "contest.py")


@dataclass(frozen=True)
class Entrant:
    """A pool, named as in programs/contestants.py.

    Attributes
    ----------
    label : str
        As the page calls it.
    adapter : str
        A function of programs/contestants.py.
    packages : tuple of str
        What has to be installed for it.
    start : tuple of str
        What comes before the script, after ``python``; None for a script without a launcher.
    more_ranks : int
        Ranks beyond the number of workers that are asked for.
    managers : int
        Ranks that do no tasks.
    """

    label: str
    adapter: str
    packages: tuple[str, ...] = ()
    start: tuple[str, ...] | None = None
    more_ranks: int = 0
    managers: int = 0

    def command(self, workers: int, *workloads: str, quick: bool = False) -> list[str]:
        """Return the command for some workloads."""
        works = workers + self.more_ranks - self.managers
        script = [CONTEST, *(["--quick"] if quick else []), self.adapter, str(works), *workloads]
        if self.start is None:
            return [PYTHON, *script]
        return over(workers + self.more_ranks, PYTHON, *self.start, *script)

    def title(self, workers: int) -> str:
        """Return the label, with the number of ranks."""
        if self.start is None:
            return self.label
        ranks = workers + self.more_ranks
        return f"{self.label}, np {ranks}" + (
            f" ({ranks - self.managers} work)" if self.managers else ""
        )

    @property
    def reason_to_leave_out(self) -> str:
        """Why it can't take part; empty if it can."""
        for package in self.packages:
            if version(package) is None:
                reasons = json.loads(NOT_INSTALLED.read_text()) if NOT_INSTALLED.exists() else {}
                return (
                    f"{package} could not be installed: {reasons[package]}"
                    if package in reasons
                    else "not installed"
                )
        return ""


def version(package: str) -> str | None:
    """Return the version of what is installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


LOCAL = Entrant("mpipar.Pool", "mpipar")
OVER_RANKS = Entrant("mpipar.Pool over ranks", "mpipar", start=("-m", "mpipar", "run"))
_FUTURES: tuple[str, str, tuple[str, ...], tuple[str, ...]]
_FUTURES = ("mpi4py.futures", "mpi4py_futures", ("mpi4py",), ("-m", "mpi4py.futures"))
_MPIPOOL: tuple[str, str, tuple[str, ...], tuple[str, ...]] = (
    "schwimmbad MPIPool",
    "mpipool",
    ("schwimmbad",),
    (),
)

# Those without a launcher are compared with LOCAL, the others with OVER_RANKS.
OTHERS = (
    Entrant("multiprocessing.Pool", "multiprocessing"),
    Entrant("concurrent.futures", "futures"),
    Entrant("joblib", "joblib", ("joblib",)),
    Entrant("mpire", "mpire", ("mpire",)),
    Entrant("schwimmbad MultiPool", "multipool", ("schwimmbad",)),
    Entrant("dask.distributed", "dask", ("dask", "distributed")),
    Entrant("ray", "ray", ("ray",)),
    Entrant(*_FUTURES, more_ranks=1, managers=1),
    Entrant(
        "mpi4py.futures, backoff=0", "mpi4py_spinning", *_FUTURES[2:], more_ranks=1, managers=1
    ),
    Entrant(*_FUTURES, managers=1),
    Entrant(*_MPIPOOL, more_ranks=1, managers=1),
    Entrant(*_MPIPOOL, managers=1),
)


def reference(entrant: Entrant) -> Entrant:
    """Return the face of mpipar that an entrant is compared with."""
    return LOCAL if entrant.start is None else OVER_RANKS
