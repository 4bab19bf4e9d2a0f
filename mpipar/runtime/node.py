"""The node: how many cores a rank may use, pinning, and threads in libraries."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mpipar.runtime.launcher_words import CORES_OF_NODE, CORES_OF_RANK

if TYPE_CHECKING:
    from mpipar.runtime.communicator import Comm

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""What BLAS and OpenMP libraries read when they are loaded."""


def affinity() -> frozenset[int]:
    """Return the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def cgroup_cores(
    root: Path = Path("/sys/fs/cgroup"),
    own: Path = Path("/proc/self/cgroup"),
) -> float | None:
    """Return the cores' worth of time that control groups (version 1 or 2) grant this process, or
    None if any.

    The limit of a group holds for those inside it: the smallest on the way up counts.
    """
    limits: list[float] = []
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            limits += _limits(root, path, _quota_2)
        elif "cpu" in controllers.split(","):
            limits += _limits(root / "cpu", path, _quota_1)
    return min(limits, default=None)


def _limits(
    top: Path,
    path: str,
    read: Callable[[Path], float | None],
) -> Iterator[float]:
    """Yield the limits of a group, and of those that it is in."""
    group = top / path.lstrip("/")
    for folder in (group, *group.parents):
        if not folder.is_relative_to(top):
            return
        limit = read(folder)
        if limit is not None:
            yield limit


def _quota_2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        if quota == "max":
            return None
        return int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _quota_1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        if quota <= 0:
            return None
        return quota / int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None


def usable_cores() -> int:
    """Return how many cores the processes here may keep busy: the least of affinity, control group
    and the scheduler's word.
    """
    cores = len(affinity())
    return min(cores, _granted() or cores)


def _granted() -> int | None:
    """Return how many cores control group and scheduler grant to all processes of this job on this
    node, if they say so.
    """
    quota = cgroup_cores()
    grants = (quota and max(1, round(quota)), _number(CORES_OF_NODE))
    return min((grant for grant in grants if grant), default=None)


def share_of_cores(affinities: list[frozenset[int]], local_rank: int) -> int:
    """Return how many workers one rank of a node should have.

    Parameters
    ----------
    affinities : list of frozenset of int
        The cores that each rank of the node may run on.
    local_rank : int
        Which of them is asked for.

    Returns
    -------
    int
        ≥ 1. Ranks that share cores share them equally; pinned ranks have their own.
    """
    own = affinities[local_rank]
    sharing = sum(bool(own & other) for other in affinities)
    shares = [len(own) // sharing]
    granted = _granted()
    if granted is not None:
        shares.append(granted // len(affinities))
    per_task = _number(CORES_OF_RANK)
    if per_task is not None:
        shares.append(per_task)
    return max(1, min(shares))


def workers_of_rank(comm: Comm, workers: int | str) -> int:
    """Return the number of workers of this rank, which may be asked for as "auto": then collective
    over comm.
    """
    if workers != "auto":
        return int(workers)
    local_rank, affinities = comm.node_neighbours(affinity())
    return share_of_cores(affinities, local_rank)


def threads_asked_for() -> bool:
    """Return whether the user chose the number of threads in the environment."""
    return any(os.environ.get(name) for name in THREAD_VARIABLES)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Hold libraries to one thread inside this context, now and in processes started here, unless
    the user chose.

    mpipar is parallel over blocks: more threads would fight for the same cores, and the last bits
    of BLAS results depend on their number.
    """
    if threads_asked_for():
        yield
        return
    # Those that are set, but to nothing.
    before = {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # for libraries that are loaded later
    limits = None
    if "numpy" in sys.modules:
        # Without this dependency only what is loaded from now on is held.
        with contextlib.suppress(ImportError):
            from threadpoolctl import threadpool_limits

            limits = threadpool_limits(limits=1)
    try:
        yield
    finally:
        for name in THREAD_VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(before)
        if limits is not None:
            limits.restore_original_limits()


def _number(name: str) -> int | None:
    value = os.environ.get(name, "")
    if not value.isdigit():
        return None
    return int(value) or None


def simd_level() -> str:
    """Return the widest instruction set of this processor that NumPy has code for, such as
    AVX512_SKX; nothing where it doesn't say.
    """
    umath = sys.modules.get("numpy._core._multiarray_umath")
    there = getattr(umath, "__cpu_features__", {})
    sets = (*getattr(umath, "__cpu_baseline__", ()), *getattr(umath, "__cpu_dispatch__", ()))
    return next((name for name in reversed(sets) if there.get(name)), "")
