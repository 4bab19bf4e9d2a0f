"""Jobs as a user has them: submitted by mpipar or sbatch, waited for, and looked at."""

import os
from pathlib import Path
from typing import Any

import h5py
from conftest import BIN, FOR_OPEN_MPI, Finished, python, start
from suite.limits import until

from mpipar.runtime import journal
from slurm.cluster import NAP, Cluster
from slurm.machine import PATH

ROOT = Path(__file__).parents[2]
VENDOR = {"": "mpich", "-openmpi": "openmpi", "-impi": "impi"}.get(
    BIN.parent.name.removeprefix(".venv"), "mpich"
)
LAUNCHERS = {"mpich": "srun --mpi=pmi2", "openmpi": "srun --mpi=pmix", "impi": "srun --mpi=pmi2"}

# A driver whose blocks take time, until its user is in a hurry, and tell that they were evaluated.
SLOW = '''
import os, time
from mpipar import ExactSum, driver

@driver(n="items", reduction=ExactSum, block=1)
def slow(block, *, items: int = 100, seconds: float = 0.1, marks: str):
    """Sum 1/i.

    Parameters
    ----------
    items : int
        How many.
    seconds : float
        That each takes.
    marks : str
        A file that tells which were evaluated.
    """
    if not os.path.exists("hurry"):
        time.sleep(seconds)
    mark = os.open(marks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(mark, b"%d\\n" % block.start)
    os.close(mark)
    return 1 / (block.start + 1)

if __name__ == "__main__":
    slow.main()
'''


class User:
    """Somebody who works in a folder, with the commands of mpipar and Slurm.

    Parameters
    ----------
    cluster : Cluster
    place : Path
        The working folder.
    """

    def __init__(self, cluster: Cluster, place: Path) -> None:
        self.cluster, self.place = cluster, place
        self.environment = {
            **cluster.environment,
            **{
                name: value for name, value in FOR_OPEN_MPI.items() if name.startswith("OMPI_ALLOW")
            },
            "PATH": f"{BIN}{os.pathsep}{PATH}",
            "XDG_STATE_HOME": str(place / "state"),
            "XDG_CONFIG_HOME": str(place / "config"),
        }

    def mpipar(self, *words: object, cwd: Path | None = None, **options: Any) -> Finished:
        """Run a command of mpipar."""
        return python(
            "-m", "mpipar", *map(str, words), cwd=cwd or self.place, env=self.environment, **options
        )

    def submit(self, job: Path, *options: object, cwd: Path | None = None) -> str:
        """Submit a job file, and return the job's number."""
        ended = self.mpipar("submit", job, *options, cwd=cwd)
        assert ended.code == 0, ended.stderr
        return ended.stdout.strip()

    def sbatch(self, *words: object, cwd: Path | None = None) -> str:
        """Submit a script by hand, and return the job's number."""
        ended = start(
            ["sbatch", "--parsable", *map(str, words)], cwd=cwd or self.place, env=self.environment
        )
        assert ended.code == 0, ended.stderr
        return ended.stdout.strip()

    def slow_job(self, *, items: int, seconds: float = 0.1, **keys: str) -> Path:
        """Write a job file that runs a driver whose blocks take time, and return it."""
        (self.place / "slow.py").write_text(SLOW)
        tables = {
            "resources": "nodes = 2\nranks_per_node = 1",
            "output": 'folder = "out"\ncheckpoint = 0.2',
            **keys,
        }
        text = (
            f'[run]\ndriver = "slow.py:slow"\noptions = {{items = {items}, seconds = {seconds},'
            ' marks = "marks"}\n'
        )
        job = self.place / "slow.toml"
        job.write_text(text + "".join(f"[{name}]\n{body}\n" for name, body in tables.items()))
        return job

    def hurry(self) -> None:
        """Let blocks of the slow driver take no time from now on."""
        (self.place / "hurry").touch()

    def marks(self) -> list[int]:
        """Return the numbers of the blocks that were evaluated, as often as they were."""
        try:
            return [int(line) for line in (self.place / "marks").read_text().split()]
        except FileNotFoundError:
            return []

    def wait_for_marks(self, count: int) -> None:
        """Wait until so many blocks were evaluated."""
        for _ in until(f"{count} blocks are evaluated", 60):
            if len(self.marks()) >= count:
                return

    def wait_for_end(self, number: str, timeout: float = 120) -> None:
        """Wait until a job, or all tasks of an array, have left the queue."""
        for _ in until(f"the end of job {number}", timeout, NAP):
            if number not in self.cluster.ask("squeue", "--noheader", "--format=%F").split():
                return

    def events(self, number: str, name: str = "slow", folder: str = "out") -> list[dict[str, Any]]:
        """Return what the journal of a job tells."""
        return journal.read(self.place / folder / f"{name}-{number}.journal")

    def log(self, number: str, name: str = "slow", folder: str = "out") -> str:
        """Return what a job printed."""
        return (self.place / folder / f"{name}-{number}.out").read_text()


def value_of(path: Path) -> float:
    """Return the value in a result file."""
    with h5py.File(path) as file:
        return float(file["value"][()])


def hosts_of(path: Path) -> list[str]:
    """Return the names of the nodes in a result file, of each rank."""
    with h5py.File(path) as file:
        return [host.decode() for host in file["ranks"]["host"]]


def harmonic(items: int) -> float:
    """Return the value of the slow driver, as any run of it must give it."""
    import math

    return math.fsum(1 / (i + 1) for i in range(items))
