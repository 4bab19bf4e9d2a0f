"""The affinity of each rank and worker as a table, asked and got, for all ways to start them.

``pytest -s --ring campaigns tests/slurm/test_affinity_table.py`` prints it, for the MPI of this
environment: on a cluster whose processes may leave their cores, and on one where they can't.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mpipar.base.text import several
from slurm.cluster import ENDED, Cluster
from slurm.conftest import BY_CGROUP, PARTITIONS, SITE
from slurm.jobs import LAUNCHERS, ROOT, VENDOR, User
from slurm.test_affinity import WHERE, check, check_enough, found

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.parametrize("cluster", ["site", "confined"], indirect=True),
    pytest.mark.usefixtures("separate_nodes"),
]

PATIENCE = 120
DRIVER = "where.py:where"
POOL = "pool.py"
ENOUGH = "memory = '500M'"

# A script whose workers leave word of themselves.
POOL_SCRIPT = """
import multiprocessing, os, socket, time

def where(_):
    time.sleep(0.1)
    with open(f"worker-{socket.gethostname()}-{os.getpid()}", "w") as file:
        print(socket.gethostname(), *sorted(os.sched_getaffinity(0)), file=file)

if __name__ == "__main__":
    with multiprocessing.Pool() as pool:
        pool.map(where, range(60), 1)
"""


class Row(NamedTuple):
    """A job, and what its processes should have.

    Attributes
    ----------
    script : str
        The script in slurm/ that is submitted; empty for a job file.
    asked : str
        Options of sbatch, or the resources of a job file; ``NAME=VALUE`` before them is a variable
        of whoever submits.
    ranks, cores : int
        Ranks in all, or workers of a pool, and the cores of each.
    program : str
        A driver, or a script with a pool.
    """

    script: str
    asked: str
    ranks: int
    cores: int = 1
    program: str = DRIVER

    @property
    def expected(self) -> str:
        """What there should be, in words."""
        kind = "worker" if self.program == POOL else "rank"
        return f"{several(self.ranks, kind)}, {several(self.cores, 'core')} each"


ROWS = [
    Row("serial", "--ntasks=1", 1),
    Row("mpi", "--nodes=2 --ntasks=4", 4),
    Row("mpi", "--nodes=2 --ntasks=3", 3),
    Row("mpi", "--nodes=2 --ntasks=4 --distribution=cyclic", 4),
    Row("mpi", "--nodes=2 --ntasks=4 --hint=nomultithread", 4),
    Row("mpi", "--nodes=2 --ntasks=4 --ntasks-per-core=1", 4),
    Row("mpi", "--nodes=2 --ntasks=2 --cpus-per-task=2", 2, 2),
    Row("mpi", "--nodes=2 --ntasks=4 --exclusive", 4),
    Row("mpi", "--nodes=2 --ntasks=4 --mem=500M", 4),
    Row("mpi", "--nodes=2 --ntasks=4 --mem-per-cpu=200M", 4),
    Row("mpi", "SLURM_CPU_BIND=none --nodes=2 --ntasks=4", 4),
    Row("mpi", "SLURM_CPU_BIND=cores --nodes=2 --ntasks=4", 4),
    Row("mpi", "--ntasks=5 --nodes=3", 5),
    Row("hybrid", "--nodes=2", 2, 2),
    Row("gpu", "--nodes=2 --ntasks-per-node=2 --gpus-per-node=2", 4),
    Row("", "nodes = 2\nranks_per_node = 2\nworkers = 1", 4),
    Row("", "ranks = 3\nworkers = 1", 3),
    Row("", "nodes = 2\nranks_per_node = 1\nworkers = 2", 2, 2),
    Row("", 'nodes = 2\nranks_per_node = 1\nworkers = "auto"', 2, 2),
    Row("", "nodes = 2\nranks_per_node = 1\ncores_per_rank = 2", 2, 2),
    Row("", 'nodes = 2\nranks_per_node = 2\nsbatch = { hint = "nomultithread" }', 4),
    Row("", "nodes = 2\nranks = 3", 3),
    Row("array", "--array=1-1", 1),
    Row("array", "--array=1-1 --cpus-per-task=2", 1, 2),
    Row("serial", "--cpus-per-task=2", 2, 1, POOL),
    Row("mpi", "--nodes=2 --ntasks=4", 4, 1, POOL),
    Row("mpi", "--nodes=2 --ntasks=2 --cpus-per-task=2", 2, 2, POOL),
    Row("hybrid", "--nodes=2", 4, 1, POOL),
    Row("", "nodes = 2\nranks_per_node = 2", 4, 1, POOL),
    Row("", 'nodes = 2\nranks_per_node = 1\nworkers = "auto"', 4, 1, POOL),
]

# Of one rank on the first node, and two on the second: "unable to allocate shared memory".
NOT_BY_INTEL = "--nodes=2 --ntasks=3"


class Submitted(NamedTuple):
    """A job of the table."""

    row: Row
    user: User
    number: str
    log: Path


@pytest.fixture(scope="module")
def confined() -> Iterator[Cluster]:
    """A site that holds processes to their cores by control groups."""
    with Cluster(
        extra={**SITE, **BY_CGROUP.settings}, partitions=PARTITIONS, cgroup=BY_CGROUP.lines
    ) as cluster:
        yield cluster


def submit(user: User, row: Row, launcher: str) -> Submitted:
    (user.place / "where.py").write_text(WHERE)
    (user.place / POOL).write_text(POOL_SCRIPT)
    profile = user.place / "config" / "mpipar" / "site.toml"
    profile.parent.mkdir(parents=True)
    profile.write_text(f'launcher = "{launcher}"\n')
    if row.script:
        words = row.asked.split()
        settings = [word for word in words if not word.startswith("-")]
        user.environment.update(setting.split("=") for setting in settings)
        options = [word for word in words if word.startswith("-")]
        script = ROOT / "slurm" / f"{row.script}.sbatch"
        if "--mem" not in row.asked:  # or a job has all memory of its nodes
            options.insert(0, "--mem=500M")
        number = user.sbatch(*options, script, "-m", "mpipar", "run", row.program)
        task = "_1" if row.script == "array" else ""
        return Submitted(row, user, number, user.place / f"{row.script}-{number}{task}.out")
    kind = "script" if row.program == POOL else "driver"
    memory = '"0"' if "auto" in row.asked else "'500M'"
    (user.place / "job.toml").write_text(
        f'run.{kind} = "{row.program}"\n[resources]\nmemory = {memory}\n{row.asked}\n'
    )
    number = user.submit(user.place / "job.toml")
    return Submitted(row, user, number, user.place / "runs" / "job" / f"job-{number}.out")


def got(place: Path) -> str:
    """Return the cores of each rank, and of its workers, by node."""
    told = []
    for kind in ("rank", "worker"):
        by_node: dict[str, list[str]] = {}
        for host, cores in found(place, kind):
            by_node.setdefault(host, []).append("+".join(map(str, sorted(cores))))
        told += [f"{kind}s {host}: {' '.join(by_node[host])}" for host in sorted(by_node)]
    return "; ".join(told)


def check_row(place: Path, row: Row, log: str) -> None:
    if row.program == POOL:
        check_enough(found(place, "worker"), row.ranks, row.cores, log)
        return
    check(place, row.ranks, row.cores, log)


def problem(one: Submitted, cluster: Cluster) -> str:
    """Return what is wrong with what a job got; empty if nothing is."""
    state = cluster.wait(one.number, ENDED, timeout=PATIENCE)["JobState"]
    log = one.log.read_text()
    if state != "COMPLETED":
        return f"{state}: {log[-500:]}"
    try:
        check_row(one.user.place, one.row, log)
    except AssertionError:
        return log[-300:]
    return ""


def tell(request: pytest.FixtureRequest, *cells: str) -> str:
    """Print a row of the table, and return it."""
    form = request.node.callspec.params["cluster"]
    line = " | ".join(["", form, VENDOR, *cells, ""]).strip()
    print(f"\n{line}")
    return line


@pytest.mark.parametrize("launcher", ["mpirun", LAUNCHERS[VENDOR]])
def test_jobs_and_scripts(request, somebody, cluster, launcher):
    rows = ROWS
    if VENDOR == "impi" and launcher != "mpirun":
        rows = [row for row in ROWS if row.asked != NOT_BY_INTEL]
    jobs = [submit(somebody(str(index)), row, launcher) for index, row in enumerate(rows)]
    bad = []
    for one in jobs:
        wrong = problem(one, cluster)
        asked = one.row.asked.replace("\n", ", ")
        kind = f"{one.row.script}.sbatch" if one.row.script else "job file"
        way = f"{kind}, {one.row.program}"
        verdict = "WRONG" if wrong else "right"
        cells = (launcher, way, asked, one.row.expected, got(one.user.place), verdict)
        line = tell(request, *cells)
        if wrong:
            bad.append(f"{line}\n{wrong}")
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("launcher", ["mpirun", LAUNCHERS[VENDOR]])
@pytest.mark.parametrize(
    ("sizes", "ranks", "cores"),
    [(("--ranks", "4"), 4, 1), (("--ranks", "2", "--workers", "2"), 2, 2)],
)
def test_scale(request, user, launcher, sizes, ranks, cores):
    (user.place / "where.py").write_text(WHERE)
    (user.place / "site.toml").write_text(f'launcher = "{launcher}"\n')
    (user.place / "job.toml").write_text(
        f'run.driver = "where.py:where"\n[resources]\nnodes = 2\n{ENOUGH}\n'
    )
    words = ("--repeats", "1", "--site", "site.toml", "--output", "study")
    ended = user.mpipar("scale", "job.toml", "--on", "slurm", *sizes, *words, timeout=PATIENCE)
    assert ended.code == 0, ended
    expected = f"{several(ranks, 'rank')}, {several(cores, 'core')} each"
    check(user.place, ranks, cores, ended.stderr)
    tell(request, launcher, "scale", " ".join(sizes), expected, got(user.place), "right")
