"""Scaling studies, as a user starts them: short ones, whose times mean nothing."""

import contextlib
import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pages
import pytest
from conftest import BIN, FOR_OPEN_MPI, TIME_LIMIT, Finished, python, start

# A driver whose value depends on the number of ranks, as none may.
WRONG = '''
import os
from mpipar import ExactSum, driver

@driver(n="terms", reduction=ExactSum)
def wrong(block, *, terms: int = 100):
    """Sum."""
    ranks = os.environ.get("PMI_SIZE") or os.environ.get("OMPI_COMM_WORLD_SIZE") or "1"
    return 1.0 + (int(ranks) - 1) * 2.0**-52
'''


def scale(*words: object, cold: bool = False, **options) -> Finished:
    if cold:
        return python(
            "-m", "mpipar", "scale", *map(str, words), cold=True, env=FOR_OPEN_MPI, **options
        )
    command = pages.with_warm_runs("mpipar", "scale", *map(str, words))
    return python(*command, env=FOR_OPEN_MPI, **options)


def rows(folder: Path, name: str = "scaling.csv") -> list[dict[str, str]]:
    with (folder / name).open() as file:
        return list(csv.DictReader(file))


@pytest.mark.each_mpi
@pytest.mark.parametrize("repeats", [1, pytest.param(2, marks=pytest.mark.ci)])
def test_strong_and_weak(repeats, tmp_path):
    folder = tmp_path / "study"
    words = [
        "pi",
        "--ranks",
        "2,1,2",
        "--strong",
        "--weak",
        "--set",
        "steps=1e6",
        "--output",
        folder,
    ]
    words += ["--repeats", repeats]
    runs = 4 * repeats
    cold = repeats == 2  # so that there is a start to be measured
    ended = scale(*words, cold=cold)
    assert ended.code == 0, ended.stderr
    assert ended.stdout == ""
    assert f"{runs} of {runs}: " in ended.stderr
    found = rows(folder)
    assert [(row["mode"], row["ranks"], row["items"], row["repeats"]) for row in found] == [
        ("strong", "1", "1000000", str(repeats)),
        ("strong", "2", "1000000", str(repeats)),
        ("weak", "1", "1000000", str(repeats)),
        ("weak", "2", "2000000", str(repeats)),
    ]
    assert all(
        0 < float(row["fastest_s"]) <= float(row["median_s"]) <= float(row["slowest_s"])
        for row in found
    )
    assert float(found[0]["speedup"]) == float(found[0]["efficiency"]) == 1
    assert all(float(row["startup_s"]) > (0.05 if cold else 0) for row in found)
    with h5py.File(folder / "scaling.h5") as file:
        assert len(file["runs"]) == runs
        assert (file["runs"]["wall"] > file["runs"]["elapsed"]).all()
    text = (folder / "scaling.md").read_text()
    assert "relative to 1 rank" in text
    assert "to the last bit" in text
    pytest.importorskip("matplotlib")
    assert (folder / "scaling.png").stat().st_size > 10_000
    # The same command has nothing left to run; and more repeats, or other modes, may be added.
    before = (folder / "runs.jsonl").read_text()
    assert f"{runs} of {runs} runs are done" in scale(*words).stderr
    assert (folder / "runs.jsonl").read_text() == before
    more = scale(
        "pi", "--ranks", "1", "--repeats", repeats + 1, "--set", "steps=1e6", "--output", folder
    )
    assert f"{repeats} of {repeats + 1} runs are done" in more.stderr


@pytest.mark.ci
def test_a_kernel_of_the_users_over_workers(tmp_path):
    (tmp_path / "own.py").write_text(WRONG.replace("(int(ranks) - 1)", "0"))
    ended = scale(
        "own.py:wrong",
        "--ranks",
        "1",
        "--workers",
        "1,2",
        "--weak",
        "--repeats",
        "1",
        "--set",
        "terms=1e3",
        "--output",
        "study",
        cwd=tmp_path,
    )
    assert ended.code == 0, ended.stderr
    assert [(row["workers"], row["items"]) for row in rows(tmp_path / "study")] == [
        ("1", "1000"),
        ("2", "2000"),
    ]


@pytest.mark.ci
def test_a_job_file_here(tmp_path):
    (tmp_path / "job.toml").write_text(
        '[run]\ndriver = "mcpi"\noptions_per_rank = {samples = 1e5}\n'
    )
    ended = scale(
        "job.toml", "--ranks", "1,2", "--weak", "--repeats", "1", "--output", "study", cwd=tmp_path
    )
    assert ended.code == 0, ended.stderr
    assert [row["items"] for row in rows(tmp_path / "study")] == ["100000", "200000"]


@pytest.mark.ci
def test_a_driver_with_a_dataset_leaves_none(tmp_path):
    words = ["--set", "f=sqrt(x**3)", "--set", "over=[0, 1]", "--set", "points=1e4"]
    ended = scale(
        "roots", "--ranks", "1", *words, "--repeats", "1", "--output", "study", cwd=tmp_path
    )
    assert ended.code == 0, ended.stderr
    assert not (tmp_path / "study/scratch").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


@pytest.mark.each_mpi
def test_a_study_that_is_killed_leaves_no_run_behind(tmp_path):
    """The same command goes on, and its times would be those of a busy machine."""
    words = [
        "-m",
        "mpipar",
        "scale",
        "load",
        "--ranks",
        "2",
        "--repeats",
        "1",
        "--set",
        "tasks=2",
        "--set",
        "mean=77.25",
        "--output",
        str(tmp_path / "study"),
    ]
    environment = {**os.environ, **FOR_OPEN_MPI, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}

    def of_the_study() -> list[str]:
        lines = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                lines.append(path.read_bytes())
        return [
            line.decode() for line in lines if b"mpipar.load" in line and b"--mean=77.25" in line
        ]

    def wait_until(is_so) -> None:
        deadline = time.monotonic() + TIME_LIMIT
        while not is_so():
            assert time.monotonic() < deadline, of_the_study()
            time.sleep(0.05)

    with subprocess.Popen(
        [sys.executable, *words], env=environment, start_new_session=True
    ) as process:
        try:
            wait_until(lambda: len(of_the_study()) >= 3)  # mpirun and two ranks
        finally:
            process.kill()
    wait_until(lambda: not of_the_study())


def not_under_nohup() -> None:
    """Let SIGHUP do what it does, however these tests were started: who ignores it makes its
    children do so.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.ci),
        signal.SIGTERM,
        pytest.param(signal.SIGHUP, marks=pytest.mark.ci),
    ],
)
def test_an_interrupted_study_goes_on(number, tmp_path):
    folder = tmp_path / "study"
    words = [
        "-m",
        "mpipar",
        "scale",
        "load",
        "--ranks",
        "1,2",
        "--repeats",
        "2",
        "--set",
        "tasks=2",
        "--set",
        "mean=0.05",
        "--output",
        str(folder),
    ]
    environment = {**os.environ, **FOR_OPEN_MPI, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    with subprocess.Popen(
        [sys.executable, *words],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=not_under_nohup,
    ) as process:
        try:
            deadline = time.monotonic() + TIME_LIMIT
            while (
                not (folder / "runs.jsonl").exists()
                or (folder / "runs.jsonl").read_text().count("\n") < 2
            ):
                assert time.monotonic() < deadline
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.02)
            process.send_signal(number)
            _, stderr = process.communicate(timeout=TIME_LIMIT)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 75, stderr
    assert "interrupted; the same command goes on from there" in stderr
    done = (folder / "runs.jsonl").read_text().count("\n") - 1
    assert 1 <= done < 4
    assert not (folder / "scaling.csv").exists()
    ended = start([sys.executable, *words], env=FOR_OPEN_MPI)
    assert ended.code == 0, ended.stderr
    assert f"{done} of 4 runs are done" in ended.stderr
    lines = [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()[1:]]
    assert sorted((line["ranks"], line["repeat"]) for line in lines if "repeat" in line) == [
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
    ]


@pytest.mark.each_mpi
def test_values_that_differ_are_told_loudly(tmp_path):
    (tmp_path / "wrong.py").write_text(WRONG)
    words = ["wrong.py:wrong", "--ranks", "1,2", "--repeats", "1", "--output", "study"]
    for _ in range(2):
        ended = scale(*words, cwd=tmp_path)
        assert ended.code == 1
        assert "THE VALUES DIFFER: 100.0 with strong, 1 rank" in ended.stderr
        assert not (tmp_path / "study/scaling.csv").exists()


def test_a_run_that_fails(tmp_path):
    (tmp_path / "bad.py").write_text(WRONG.replace("return", "return 1 / (2 - int(ranks)) +"))
    ended = scale(
        "bad.py:wrong", "--ranks", "1,2", "--repeats", "1", "--output", "study", cwd=tmp_path
    )
    assert ended.code == 1
    assert "strong, 2 ranks × 1 worker: exit code 1: " in ended.stderr


def test_serial_against_parallel(tmp_path):
    folder = tmp_path / "study"
    ended = scale("pi", "--ranks", "2", "--sizes", "1e3,1e4", "--repeats", "2", "--output", folder)
    assert ended.code == 0, ended.stderr
    assert "2 ranks do not win at the largest size" in ended.stderr
    found = rows(folder, "crossover.csv")
    assert [(row["items"], row["wins"]) for row in found] == [
        ("1000", "serial"),
        ("10000", "serial"),
    ]
    assert not (folder / "scaling.csv").exists()


BAD_INPUT = [
    (["pi"], "--ranks: needed, such as --ranks 1,2,4"),
    (["pi", "--ranks", "0"], "--ranks: expected whole numbers from 1 on, got 0"),
    (["pi", "--ranks", "1,a"], "--ranks: expected whole numbers with commas between"),
    (["pi", "--ranks", "100000"], "--ranks: 100000 × 1 processes on "),
    (["pi", "--ranks", "1", "--workers", "x"], "--workers: expected whole numbers"),
    (["pi", "--ranks", "1", "--repeats", "0"], "--repeats: expected whole numbers from 1 on"),
    (["pi", "--ranks", "1,2", "--baseline", "4"], "--baseline: expected one of 1, 2 ranks, got 4"),
    (
        ["pi", "--ranks", "1", "--set", "steps=0"],
        "argument --steps: expected a whole number from 1 on",
    ),
    (["pi", "--ranks", "1", "--set", "stepps=1"], "unrecognized arguments: --stepps=1"),
    (["pi", "--ranks", "1", "--on", "slurm"], "--on: slurm is for job files"),
    (["pi", "--nodes", "1"], "--nodes: is for jobs"),
    (
        ["pi", "--ranks", "1", "--sizes", "10"],
        "--sizes: there is no size with more than one process",
    ),
    (
        ["primes", "--ranks", "1", "--weak"],
        "--weak: say which of its options is the size, by --set-per-rank",
    ),
    (["nothing", "--ranks", "1"], "there is no driver 'nothing'"),
    (["nothing.toml", "--ranks", "1"], "nothing.toml: No such file"),
    (["pi", "--rank", "1"], "unrecognized arguments"),
    (
        ["pi", "--ranks", "1", "--set", "steps=abc"],
        "steps: expected a number, as it is multiplied, got 'abc'",
    ),
    (["pi", "--ranks", "1", "--set", "seed=1", "--set", "seed=2"], "--set: seed is given twice"),
    (
        ["pi", "--ranks", "1", "--set", "steps=1", "--set-per-rank", "steps=2"],
        "steps is given by --set, too",
    ),
    (["pi", "--ranks", "1", "--site", "x"], "--site: is for jobs, with --on slurm"),
    (["pi", "--ranks", "1", "--at-once", "2"], "--at-once: is for jobs, with --on slurm"),
    (["pi", "--ranks", "1", "--output", ""], "argument --output: expected a name, got ''"),
]

ALL_IN_ONE = """
import contextlib, io, json, sys
from mpipar.command.scale import main
answers = []
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(["--output", "study", *words])
    answers.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(answers))
"""


def test_bad_input(tmp_path):
    ended = python(
        "-c",
        ALL_IN_ONE,
        json.dumps([words for words, _ in BAD_INPUT]),
        cwd=tmp_path,
        env=FOR_OPEN_MPI,
    )
    assert ended.code == 0, ended.stderr
    for (words, message), (code, stdout, stderr) in zip(
        BAD_INPUT, json.loads(ended.stdout), strict=True
    ):
        what = (words, stderr)
        assert (code, stdout, stderr.count("\n")) == (2, "", 1), what
        assert stderr.startswith("mpipar scale: error: "), what
        assert message in stderr, what
    assert not (tmp_path / "study/scaling.csv").exists()


def test_bad_input_of_a_command_line(tmp_path):
    words, message = BAD_INPUT[0]
    ended = python("-m", "mpipar", "scale", *words, "--output", "study", cwd=tmp_path)
    assert (ended.code, ended.stdout) == (2, "")
    [line] = ended.own_errors
    assert line.startswith(f"mpipar scale: error: {message}")


def test_folders_of_others_are_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("x")
    words = ["pi", "--ranks", "1", "--repeats", "1"]
    ended = scale(*words, "--output", "mine", cwd=tmp_path)
    assert (ended.code, "'thesis.tex'" in ended.stderr) == (2, True)
    assert scale(*words, "--set", "steps=1e5", "--output", "study", cwd=tmp_path).code == 0
    ended = scale(*words, "--set", "steps=1e6", "--output", "study", cwd=tmp_path)
    assert ended.code == 2
    assert 'options was {"steps": "100000"}, and is {"steps": "1000000"} now' in ended.stderr


LINES = [
    (page, line)
    for page in pages.pages_with(pages.SCALE)
    for line in pages.shell_lines(page, pages.SCALE)
]
CASES = [
    pytest.param(*line, marks=[] if line[0] == "README.md" else pytest.mark.ci) for line in LINES
]


# Those for Slurm are run in tests/slurm/test_scale.py.
@pytest.mark.parametrize(("page", "line"), CASES)
def test_lines_of_the_guides(page, line, tmp_path):
    """With small problems, and one repeat."""
    for name, text in pages.saved_files(page).items():
        (tmp_path / name).write_text(text)
    line = re.sub(r"--repeats \d+", "", re.sub(r"=\d+e\d+", "=1e5", line)).replace(
        "--ranks 1,2,4,8", "--ranks 1,2"
    )
    line = re.sub(r"--sizes \S+", "--sizes 1e3,1e4", line).partition("mpipar scale ")[2]
    ended = scale(*shlex.split(line), "--repeats", "1", cwd=tmp_path)
    assert ended.code == 0, ended.stderr


def test_the_guide_has_lines():
    assert len([page for page, _ in LINES if page == "docs/scaling.md"]) >= 5
    assert "README.md" in [page for page, _ in LINES]
