"""The affinity of each rank and worker as a table, asked and got, for all ways to start them.

``pytest -s --ring campaigns tests/slurm/test_affinity_table.py`` prints it, for the MPI of this
environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from slurm.cluster import ENDED, Cluster
from slurm.conftest import ON_SITE
from slurm.jobs import LAUNCHERS, ROOT, VENDOR, User
from slurm.test_affinity import WHERE, check, found

pytestmark = [ON_SITE, pytest.mark.campaign, pytest.mark.usefixtures("separate_nodes")]

PATIENCE = 120
PROGRAM = ("-m", "mpipar", "run", "where.py:where")
ENOUGH = "memory = '500M'"


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
        Ranks in all, and the cores of each.
    """

    script: str
    asked: str
    ranks: int
    cores: int = 1


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
]

# Of one rank on the first node, and two on the second: "unable to allocate shared memory".
NOT_BY_INTEL = "--nodes=2 --ntasks=3"


class Submitted(NamedTuple):
    """A job of the table."""

    row: Row
    user: User
    number: str
    log: Path


def submit(user: User, row: Row, launcher: str) -> Submitted:
    (user.place / "where.py").write_text(WHERE)
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
        number = user.sbatch(*options, script, *PROGRAM)
        return Submitted(row, user, number, user.place / f"{row.script}-{number}.out")
    memory = '"0"' if "auto" in row.asked else "'500M'"
    (user.place / "job.toml").write_text(
        f'run.driver = "where.py:where"\n[resources]\nmemory = {memory}\n{row.asked}\n'
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


def problem(one: Submitted, cluster: Cluster) -> str:
    """Return what is wrong with what a job got; empty if nothing is."""
    state = cluster.wait(one.number, ENDED, timeout=PATIENCE)["JobState"]
    log = one.log.read_text()
    if state != "COMPLETED":
        return f"{state}: {log[-500:]}"
    try:
        check(one.user.place, one.row.ranks, one.row.cores, log)
    except AssertionError:
        return log[-300:]
    return ""


@pytest.mark.parametrize("launcher", ["mpirun", LAUNCHERS[VENDOR]])
def test_jobs_and_scripts(somebody, cluster, launcher):
    rows = ROWS
    if VENDOR == "impi" and launcher != "mpirun":
        rows = [row for row in ROWS if row.asked != NOT_BY_INTEL]
    jobs = [submit(somebody(str(index)), row, launcher) for index, row in enumerate(rows)]
    bad = []
    for one in jobs:
        wrong = problem(one, cluster)
        asked = one.row.asked.replace("\n", ", ")
        kind = f"{one.row.script}.sbatch" if one.row.script else "job file"
        line = f"| {VENDOR} | {launcher} | {kind} | {asked} | {got(one.user.place)} |"
        print(line + (" WRONG" if wrong else ""))
        if wrong:
            bad.append(f"{line}\n{wrong}")
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("launcher", ["mpirun", LAUNCHERS[VENDOR]])
@pytest.mark.parametrize(
    ("sizes", "ranks", "cores"),
    [(("--ranks", "4"), 4, 1), (("--ranks", "2", "--workers", "2"), 2, 2)],
)
def test_scale(user, launcher, sizes, ranks, cores):
    (user.place / "where.py").write_text(WHERE)
    (user.place / "site.toml").write_text(f'launcher = "{launcher}"\n')
    (user.place / "job.toml").write_text(
        f'run.driver = "where.py:where"\n[resources]\nnodes = 2\n{ENOUGH}\n'
    )
    words = ("--repeats", "1", "--site", "site.toml", "--output", "study")
    ended = user.mpipar("scale", "job.toml", "--on", "slurm", *sizes, *words, timeout=PATIENCE)
    assert ended.code == 0, ended
    print(f"| {VENDOR} | {launcher} | scale | {' '.join(sizes)} | {got(user.place)} |")
    check(user.place, ranks, cores, ended.stderr)
