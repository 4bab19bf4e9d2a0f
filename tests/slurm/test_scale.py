"""Scaling studies on a cluster: one job for each run, and none twice."""

import csv
import json
import re
import shlex

import pages
import pytest

from slurm.jobs import User

PAGE = "docs/scaling.md"
JOB = '[run]\ndriver = "pi"\noptions = {steps = 1e7}\n[resources]\nranks_per_node = 1\n'


@pytest.fixture
def user(user: User) -> User:
    (user.place / "job.toml").write_text(JOB)
    return user


def rows(user: User, folder: str) -> list[dict[str, str]]:
    with (user.place / folder / "scaling.csv").open() as file:
        return list(csv.DictReader(file))


def submissions(user: User, folder: str) -> int:
    files = (user.place / folder / "jobs").glob("*/submissions.jsonl")
    return sum(len(file.read_text().splitlines()) for file in files)


@pytest.mark.ci
def test_nodes_strong_and_weak(user, cluster):
    words = [
        "job.toml",
        "--on",
        "slurm",
        "--nodes",
        "1,2,4",
        "--strong",
        "--weak",
        "--output",
        "study",
    ]
    ended = user.mpipar("scale", *words, "--repeats", "1", "--at-once", "2", timeout=240)
    assert ended.code == 0, ended.stderr
    found = rows(user, "study")
    assert [(row["mode"], row["ranks"], row["items"]) for row in found] == [
        *(("strong", ranks, "10000000") for ranks in "124"),
        *(("weak", ranks, f"{ranks}0000000") for ranks in "124"),
    ]
    if cluster.mode == "namespaces":
        assert [row["nodes"] for row in found] == ["1", "2", "4"] * 2
        assert "n4" in (user.place / "study/scaling.md").read_text()
    assert all(0 < float(row["startup_s"]) < 60 for row in found)
    assert not list((user.place / "study/jobs").rglob("*.h5"))
    # Nothing is left to do, and nothing is submitted for that.
    assert submissions(user, "study") == 6
    again = user.mpipar("scale", *words, "--repeats", "1")
    assert "6 of 6 runs are done" in again.stderr
    assert submissions(user, "study") == 6


@pytest.mark.ci
def test_ranks_and_workers_and_an_interrupted_study(user):
    """What has been run is taken from the jobs' folders, if the study's record hasn't got it."""
    words = [
        "job.toml",
        "--on",
        "slurm",
        "--ranks",
        "1,2",
        "--workers",
        "2",
        "--repeats",
        "1",
        "--output",
        "study",
    ]
    ended = user.mpipar("scale", *words, timeout=120)
    assert ended.code == 0, ended.stderr
    assert [(row["ranks"], row["workers"]) for row in rows(user, "study")] == [
        ("1", "2"),
        ("2", "2"),
    ]
    runs = user.place / "study/runs.jsonl"
    lines = runs.read_text().splitlines(keepends=True)
    runs.write_text("".join(line for line in lines if line in lines[:2] or "written" in line))
    ended = user.mpipar("scale", *words)
    assert ended.code == 0, ended.stderr
    assert submissions(user, "study") == 2
    before, after = (
        [json.loads(line) for line in text] for text in (lines, runs.read_text().splitlines())
    )
    assert [line["elapsed"] for line in after if "elapsed" in line] == [
        line["elapsed"] for line in before if "elapsed" in line
    ]


@pytest.mark.ci
def test_a_job_that_fails_is_named_and_run_again(user):
    (user.place / "own.py").write_text(
        "from mpipar import ExactSum, driver\n"
        "@driver(n='items', reduction=ExactSum)\n"
        "def own(block, *, items: int = 10, broken: str):\n"
        "    return 1 / (not open(broken).read())\n"
    )
    (user.place / "broken").write_text("yes")
    (user.place / "job.toml").write_text(
        '[run]\ndriver = "own.py:own"\noptions = {broken = "broken"}\n'
    )
    words = ["job.toml", "--on", "slurm", "--ranks", "1", "--repeats", "1", "--output", "study"]
    ended = user.mpipar("scale", *words)
    assert ended.code == 1
    (log,) = (user.place / "study/jobs").rglob("*.out")
    assert f"ended without a result; its log is {log}" in ended.stderr
    (user.place / "broken").write_text("")
    ended = user.mpipar("scale", *words)
    assert ended.code == 0, ended.stderr
    assert submissions(user, "study") == 2


BAD_INPUT = [
    (["--ranks", "3", "--set", "resources.ranks_per_node=2"], "--ranks: 3 is not a multiple of"),
    (["--ranks", "1", "--nodes", "1"], "--nodes: not with --ranks"),
    (["--ranks", "1", "--workers", "auto"], "--workers: auto is for studies here"),
    (["--ranks", "1", "--sizes", "10"], "--sizes: is for studies here"),
    (["--ranks", "1", "--set", "resources.nods=2"], "did you mean nodes?"),
    (["--ranks", "1", "--set", "steps=0"], "argument --steps"),
    (["--nodes", "100"], "strong, 100 ranks × 1 worker on 100 nodes: sbatch: "),
]


def test_bad_input(user):
    for words, message in BAD_INPUT:
        ended = user.mpipar("scale", "job.toml", "--on", "slurm", *words, "--output", "study")
        assert (ended.code, len(ended.stderr.splitlines())) == (2, 1), (words, ended.stderr)
        assert message in ended.stderr


@pytest.mark.ci
def test_lines_of_the_guide(user):
    assert pages.pages_with(pages.SCALE_ON_SLURM) == [PAGE]
    for name, text in pages.saved_files(PAGE).items():
        (user.place / name).write_text(text)
    lines = pages.shell_lines(PAGE, pages.SCALE_ON_SLURM)
    assert len(lines) == 2
    for line in lines:
        line = re.sub(r"--repeats \d+", "", re.sub(r"=1e10", "=1e6", line))
        words = shlex.split(line)[1:]
        small = [] if "steps=1e6" in words else ["--set", "steps=1e6"]
        ended = user.mpipar(*words, *small, "--repeats", "1", timeout=240)
        assert ended.code == 0, ended.stderr
        folder = words[words.index("--output") + 1]
        assert (user.place / folder / "scaling.md").exists()
