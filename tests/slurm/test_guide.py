"""Every shell line for Slurm in the README and in docs/slurm.md, as a reader would type them."""

import re
import shutil
from pathlib import Path

import pytest
from conftest import start

from slurm.cluster import Cluster
from slurm.jobs import ROOT, User
from slurm.machine import wait_until

SMALL = {"4e10": "1e8", "1e10": "1e8", "1e12": "1e8", "1e11": "1e8"}


@pytest.fixture
def user(cluster: Cluster, place: Path) -> User:
    shutil.copytree(ROOT / "jobs", place / "jobs")
    shutil.copytree(ROOT / "slurm", place / "slurm")
    for job in (place / "jobs").glob("*.toml"):
        job.write_text(job.read_text().replace("1e10", "1e8"))
    return User(cluster, place)


def lines_of(page: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    lines = [line.split("  #")[0].strip() for line in lines]
    return [line for line in lines if line.startswith(("sbatch ", "mpipar ", "job=")) and "doctor" not in line]


def wait_for_empty_queue(user: User) -> None:
    for _ in wait_until("the queue is empty", 120):
        if not user.cluster.run("squeue", "--noheader").stdout.strip():
            return


@pytest.mark.parametrize("page", ["README.md", "docs/slurm.md"])
def test_lines_of(user, page):
    lines = lines_of(page)
    assert len(lines) >= 5
    environment = dict(user.environment)
    for line in lines:
        for large, small in SMALL.items():
            line = line.replace(large, small)
        ended = start(["bash", "-c", f"set -e\n{line}\necho job=$job"], cwd=user.place, env=environment)
        assert ended.code == 0, (line, ended.stdout, ended.stderr)
        environment["job"] = ended.stdout.rpartition("job=")[2].strip()
        if not line.startswith("mpipar status"):  # a reader takes some seconds for each
            wait_for_empty_queue(user)
    logs = "".join(log.read_text() for log in user.place.rglob("*.out"))
    assert logs.count(": done\n") == logs.count(": job ") // 2, logs
