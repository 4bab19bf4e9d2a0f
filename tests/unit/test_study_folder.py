"""What is studied, and the file with its runs: only runs of the same study go together."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mpipar.base.errors import BadInput, RunFailed
from mpipar.study.design import SIZES, STRONG, WEAK, Measured, Run, Size
from mpipar.study.driver_report import last_json, measured
from mpipar.study.folder import RUNS, StudyFolder
from mpipar.study.machine import describe
from mpipar.study.target import find_size, from_driver, from_job, look
from mpipar.study.timed_command import timed

RUN = Run(Size(STRONG, 2, 1), 1)
ONE = Size(STRONG, 1, 1)
GAVE = Measured(1.5, 2.0, {"value": 3.0}, ["node1"], 1.5e9)
OWN = '''
from mpipar import ExactSum, driver

@driver(n={n}, reduction=ExactSum)
def own(block, *, terms: int = 100, other: int = 100):
    """Sum."""
    return float(len(block))
'''


def test_runs_are_found_again(tmp_path):
    sizes = [Size(STRONG, 2, 1), Size(WEAK, 1, 4, 2), Size(SIZES, 1, 1, None, "1000")]
    with StudyFolder(tmp_path / "new", {"driver": "pi"}) as record:
        for size in sizes:
            record.add(Run(size, 1), GAVE)
    with StudyFolder(tmp_path / "new", {"driver": "pi"}) as record:
        assert record.runs == {Run(size, 1): GAVE for size in sizes}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_run_is_started_is_not_lost_and_leaves_no_run_behind(number, monkeypatch):
    """Python calls functions around a fork, and drops what these raise: an interruption would
    be.
    """
    begun = []
    start = subprocess.Popen

    def interrupted(*args, **options):
        begin = options.pop("preexec_fn")
        after = lambda: os.kill(os.getppid(), number) or begin()  # noqa: E731 - while the parent is in fork
        begun.append(start(*args, **options, preexec_fn=after))
        return begun[0]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    over = threading.Event()
    threading.Thread(target=over.wait).start()  # which may be what gets the signal
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            timed([sys.executable, "-c", "import time; time.sleep(60)"], dict(os.environ), limit=30)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
        over.set()
    assert begun[0].returncode == -signal.SIGTERM


def test_the_date_is_that_of_the_last_run():
    """So the same runs make the same report, whenever it is written."""
    described = describe([GAVE._replace(ended=GAVE.ended - 3600), GAVE], as_jobs=False)
    assert described["date"] == "2017-07-14 02:40 UTC"


def test_a_line_that_was_cut_short_is_run_again(tmp_path):
    with StudyFolder(tmp_path, {}) as record:
        record.add(RUN, GAVE)
        record.add(Run(RUN.size, 2), GAVE)
    path = tmp_path / RUNS
    path.write_text(path.read_text()[:-20])
    with StudyFolder(tmp_path, {}) as record:
        assert set(record.runs) == {RUN}
        record.add(Run(RUN.size, 2), GAVE)
    with StudyFolder(tmp_path, {}) as record:
        assert set(record.runs) == {RUN, Run(RUN.size, 2)}


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("elapsed", number)
        for number in ("NaN", "Infinity", "0.0", "-1.0", "true", "1e-320", '"1.0"')
    ]
    + [("ended", number) for number in ("NaN", "1e300", '"1.0"')]
    + [("wall", "NaN"), ("report", '{"nodes": "q"}'), ("report", "[1]"), ("hosts", "3")],
)
def test_a_run_with_numbers_that_can_not_be_is_run_again(tmp_path, name, number):
    with StudyFolder(tmp_path, {}) as record:
        record.add(RUN, GAVE)
        record.add(Run(RUN.size, 2), GAVE)
    path = tmp_path / RUNS
    *before, last = path.read_text().splitlines()
    changed = {**json.loads(last), name: "#"}
    path.write_text("\n".join([*before, json.dumps(changed).replace('"#"', number)]) + "\n")
    with StudyFolder(tmp_path, {}) as record:
        assert set(record.runs) == {RUN}


def test_another_study_is_refused(tmp_path):
    StudyFolder(tmp_path, {"driver": "pi", "options": {"steps": "1"}}).__exit__(None, None, None)
    with pytest.raises(
        BadInput, match=r'--output: .* has another study: options was {"steps": "1"}, and is {} now'
    ):
        StudyFolder(tmp_path, {"driver": "pi", "options": {}})


def test_foreign_files_are_refused_and_left(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(
        BadInput, match=r"--output: .* has other files in it \('thesis.tex'\), and no study"
    ):
        StudyFolder(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(BadInput, match=r"--output: "):
        StudyFolder(tmp_path / "thesis.tex", {})


@pytest.mark.parametrize("text", ["x\n", "{}\n", "[]\n", '{"study": 1}\n'])
def test_a_file_that_is_not_of_a_study(tmp_path, text):
    (tmp_path / RUNS).write_text(text)
    with pytest.raises(BadInput, match="--output"):
        StudyFolder(tmp_path, {})


@pytest.mark.parametrize(("version", "refusal"), [(None, None), (1, None), (2, "of format 2")])
def test_formats_of_studies(tmp_path, version, refusal):
    first = {"study": {"driver": "pi"}}
    if version is not None:
        first["format"] = version
    (tmp_path / RUNS).write_text(json.dumps(first) + "\n")
    if refusal is None:
        with StudyFolder(tmp_path, {"driver": "pi"}) as folder:
            folder.add(RUN, GAVE)
        return
    with pytest.raises(BadInput, match=refusal):
        StudyFolder(tmp_path, {"driver": "pi"})
    assert json.loads((tmp_path / RUNS).read_text()) == first


def test_one_study_at_a_time(tmp_path):
    with (
        StudyFolder(tmp_path, {}),
        pytest.raises(BadInput, match="--output: another study is writing"),
    ):
        StudyFolder(tmp_path, {})


def test_commands_of_a_driver():
    target = from_driver("pi", ["steps=2e8", "seed=7"], [])
    assert target.command(ONE) == ["-m", "mpipar.pi", "--steps=200000000", "--seed=7"]
    target = from_driver(
        "integrate", ["over=[0, 1]", "f=x**2", "strict=true", "rel-error=1e-3"], []
    )
    words = ["--over", "0", "1", "--f=x**2", "--strict", "--rel-error=0.001"]
    assert target.command(ONE) == ["-m", "mpipar.integrate", *words]


def test_weak_studies_multiply():
    target = from_driver("mcpi", ["seed=1"], ["samples=1e6"])
    assert target.command(Size(STRONG, 4, 2))[-1] == "--samples=1000000"
    assert target.command(Size(WEAK, 4, 2))[-1] == "--samples=8000000"
    assert target.command(Size(SIZES, 4, 2, None, "1000"))[-1] == "--samples=1000"


@pytest.mark.parametrize(
    ("name", "sets", "per_rank", "message"),
    [
        ("pie", [], [], "there is no driver 'pie'; there are pi, "),
        ("nothing.py:f", [], [], "there is no file 'nothing.py'"),
        ("pi", ["steps"], [], "--set: expected NAME=VALUE"),
        ("pi", ["workers=2"], [], "--set: workers can't be set"),
        ("pi", ["output=x"], [], "--set: output can't be set"),
        ("pi", [], ["steps=many"], "--set-per-rank: steps: expected a number"),
    ],
)
def test_bad_targets(name, sets, per_rank, message):
    with pytest.raises(BadInput, match=message):
        from_driver(name, sets, per_rank)


def test_the_driver_looks_at_its_options():
    assert look(from_driver("pi", ["steps=1e6"], []), ONE) == 10**6
    with pytest.raises(
        BadInput, match=r"pi: argument --steps: expected a whole number from 1 on, got 0"
    ):
        look(from_driver("pi", ["steps=0"], []), ONE)


@pytest.mark.parametrize(
    ("n", "sets", "found"),
    [
        ('"terms"', ["terms=1e3", "other=1e3"], {"terms": 1000.0}),
        ('"terms"', [], {}),
        ('"terms"', ["other=100"], {}),
        ("lambda terms: terms + 1", ["terms=100"], {}),
    ],
)
def test_the_size_of_a_driver_of_the_users(tmp_path, n, sets, found):
    (tmp_path / "own.py").write_text(OWN.format(n=n))
    target = from_driver(f"{tmp_path}/own.py:own", sets, [])
    find_size(target, ONE, [])
    assert target.per_rank == found


def test_another_source_is_another_study(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN.format(n='"terms"'))
    before = from_driver(f"{path}:own", [], []).identity()
    assert before == from_driver(f"{path}:own", [], []).identity()
    path.write_text(path.read_text() + "# changed\n")
    assert before != from_driver(f"{path}:own", [], []).identity()


def job(folder: Path, text: str) -> Path:
    path = folder / "job.toml"
    path.write_text(text)
    return path


def test_job_files(tmp_path):
    path = job(
        tmp_path,
        '[run]\ndriver = "mcpi"\noptions = {seed = 42}\noptions_per_rank = {samples ='
        " 1e8}\n[resources]\n",
    )
    target = from_job(path, ["resources.nodes=2", "seed=43"], [])
    assert target.command(Size(WEAK, 4, 1)) == [
        "-m",
        "mpipar.mcpi",
        "--seed=43",
        "--samples=400000000",
    ]
    assert target.changes == ["resources.nodes=2"]
    assert from_job(path, [], ["samples=10"]).per_rank == {"samples": 10}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[run]\nscript = "x.py"\n', "a scaling study is of a driver"),
        ('[run]\ndriver = "pi"\n[array]\ntasks = 2\n', "can't be in a scaling study"),
        ('[run]\ndriver = "pie"\n', "there is no driver 'pie'"),
        ("[run]\n", "run"),
    ],
)
def test_job_files_that_will_not_do(tmp_path, text, message):
    with pytest.raises(BadInput, match=message):
        from_job(job(tmp_path, text), [], [])


REPORT = {"elapsed": 1.0, "ranks": 2, "workers": 1, "value": 3.0, "n": 10, "resumed_blocks": 0}


def test_what_a_driver_printed():
    text = f'mpipar: job 1\n{{"elapsed": 2}}\n{json.dumps(REPORT)}\nmpipar: done\n'
    assert last_json(text) == REPORT
    assert last_json("{\n{}\n[1]\n") is None
    found = measured(text, 1.5, ["n1"], RUN)
    assert (found.elapsed, found.wall, found.report["value"]) == (1.0, 1.5, 3.0)
    long = json.dumps({**REPORT, "value": [1.0] * 1000})
    assert measured(long, 1.5, [], RUN).report["value"].startswith("sha256 ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ranks": 1}, "the driver ran with 1 rank"),
        ({"resumed_blocks": 3}, "3 resumed blocks"),
        ({"lost_workers": 1}, "1 lost workers"),
    ],
)
def test_what_is_no_measurement(change, message):
    with pytest.raises(RunFailed, match=message):
        measured(json.dumps({**REPORT, **change}), 1.0, [], RUN)
    with pytest.raises(RunFailed, match="printed no JSON"):
        measured("", 1.0, [], RUN)
