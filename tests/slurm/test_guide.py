"""Every shell line for Slurm in the README and in docs/, as a reader would type them, and what the
pages show of it.
"""

import re
import shutil

import pages
import pytest
from conftest import start
from suite.limits import until

from slurm.jobs import LAUNCHERS, ROOT, VENDOR, User

SMALL = {"4e10": "1e8", "1e10": "1e8", "1e12": "1e8", "1e11": "1e8"}


@pytest.fixture
def user(user: User) -> User:
    """Somebody with the examples, whose problems are small."""
    shutil.copytree(ROOT / "jobs", user.place / "jobs")
    shutil.copytree(ROOT / "slurm", user.place / "slurm")
    for job in (user.place / "jobs").glob("*.toml"):
        job.write_text(job.read_text().replace("1e10", "1e8"))
    return user


def wait_for_empty_queue(user: User) -> None:
    for _ in until("the queue is empty", 120):
        if not user.cluster.run("squeue", "--noheader").stdout.strip():
            return


def test_there_are_lines():
    assert {"README.md", "docs/slurm.md"} <= {*pages.pages_with(pages.SLURM)}
    assert pages.pages_with(pages.ALLOCATION) == ["docs/sites.md"]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=() if page == "README.md" else pytest.mark.ci)
        for page in pages.pages_with(pages.SLURM)
    ],
)
def test_lines_of(user, page):
    for name, text in pages.saved_files(page).items():
        (user.place / name).write_text(text)
    environment = dict(user.environment)
    for line in pages.shell_lines(page, pages.SLURM):
        for large, small in SMALL.items():
            line = line.replace(large, small)
        ended = start(
            ["bash", "-c", f"set -e\n{line}\necho job=$job"], cwd=user.place, env=environment
        )
        assert ended.code == 0, (line, ended.stdout, ended.stderr)
        environment["job"] = ended.stdout.rpartition("job=")[2].strip()
        if not line.startswith("mpipar status"):  # a reader takes some seconds for each
            wait_for_empty_queue(user)
    logs = "".join(log.read_text() for log in user.place.rglob("*.out"))
    assert logs.count(": done\n") == logs.count(": job ") // 2, logs


@pytest.mark.ci
def test_a_job_that_is_cancelled_is_told_of_as_shown(user):
    submission, status, cancellation, _ = pages.illustrations("docs/slurm.md")
    submitted = user.mpipar(
        "submit",
        "jobs/pi.toml",
        "--ranks",
        4,
        "--set",
        "run.options.steps=4e13",
        "--set",
        "output.checkpoint=0.5",
    )
    number = submitted.stdout.strip()
    for _ in until("blocks are committed", 60):
        if user.mpipar("status", number, "--json").json["blocks"]:
            break
    cancelled = user.mpipar("cancel", number)
    told = user.mpipar("status", number)
    for shown, ended in ((submission, submitted), (status, told), (cancellation, cancelled)):
        assert ended.code == 0, ended.stderr
        told_lines = without_figures(ended.stdout + ended.stderr).splitlines()
        assert sorted(told_lines) == sorted(without_figures(shown).splitlines())


def without_figures(text: str) -> str:
    """Return a text without its numbers and folders."""
    return re.sub(r"\d[\d_]*", "#", re.sub(r"/\S+/", "/", text))


@pytest.mark.ci
@pytest.mark.parametrize("page", pages.pages_with(pages.ALLOCATION))
def test_lines_in_an_allocation(user, page):
    """With the --mpi that this environment's MPI needs, and on a cluster that has two nodes to
    spare.
    """
    for line in pages.shell_lines(page, pages.ALLOCATION):
        line = line.replace("srun --mpi=pmi2", LAUNCHERS[VENDOR])
        command = ["salloc", "--quiet", "--nodes=2", "--ntasks-per-node=2", "bash", "-c", line]
        ended = start([*user.cluster.prefix(), *command], cwd=user.place, env=user.environment)
        assert "--mpi=list" in line or "4 seen of 4" in ended.stdout, ended
        assert ended.code in ((0, 1) if "doctor" in line else (0,)), ended
