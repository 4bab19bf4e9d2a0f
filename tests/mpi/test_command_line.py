"""What a user meets: bad input, output, help, exit codes; without a launcher and over ranks."""

import json
import shlex
import sys

import h5py
import numpy as np
import pytest
from conftest import LAUNCHER_NOISE, chosen_ranks, mpirun, over, python, start

KEYS = {
    *(
        "driver",
        "value",
        "error",
        "n",
        "block",
        "seed",
        "ranks",
        "workers",
        "nodes",
        "schedule",
        "elapsed",
    ),
    *("resumed_blocks", "evaluated_blocks", "retried_blocks", "skipped_blocks", "lost_ranks"),
}

BAD_INPUT = [
    ("--steps", "-1"),
    ("--steps", "abc"),
    ("--steps", "1e400"),
    ("--steps", "1.5"),
    ("--schedule", "foo"),
    ("--workers", "0"),
    ("--workers", "many"),
    ("--block", "0"),
    ("--seed", "-1"),
    ("--output", "missing/folder/x.h5"),
    ("--output", "."),
    ("--output", "notes.txt"),
    ("--no-such-option", "1"),
]


@pytest.mark.parametrize("ranks", [None, pytest.param(3, marks=pytest.mark.ci)])
@pytest.mark.parametrize(("option", "text"), BAD_INPUT)
def test_bad_input_is_one_line_and_exit_code_2(ranks, option, text, tmp_path):
    (tmp_path / "notes.txt").write_text("precious")
    finished = over(ranks)("-m", "mpipar.pi", option, text, cwd=tmp_path)
    assert finished.code == 2
    assert finished.stdout == ""
    assert len(finished.own_errors) == 1, finished.stderr
    assert option.removeprefix("--") in finished.own_errors[0]
    assert "Traceback" not in finished.stderr
    assert (tmp_path / "notes.txt").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_filter_of_launcher_noise_knows_no_message_of_ours():
    assert not any("mpipar" in noise or "error" in noise for noise in LAUNCHER_NOISE)


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
def test_json_is_one_object_with_the_promised_keys(ranks):
    finished = over(ranks)("-m", "mpipar.mcpi", "--samples", "1e5", "--seed", "3", "--json")
    assert finished.stdout.count("\n") == 1
    result = json.loads(finished.stdout)
    assert result.keys() >= KEYS
    assert (result["driver"], result["n"], result["seed"], result["ranks"]) == (
        "mcpi",
        10**5,
        3,
        ranks or 1,
    )
    assert finished.own_errors == []


def test_text_has_value_and_standard_error():
    finished = mpirun(2, "-m", "mpipar.mcpi", "--samples", "1e6")
    first, *_ = finished.stdout.splitlines()
    assert first.startswith("mcpi = 3.1")
    assert "±" in first
    assert "2 ranks" in finished.stdout


@pytest.mark.each_mpi
@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_is_printed_once(arguments):
    finished = mpirun(3, "-m", "mpipar.pi", *arguments)
    assert finished.code == 0
    assert finished.stdout.count("mpipar") >= 1
    assert finished.stdout.count("usage:") == (arguments == ("--help",))
    if arguments == ("--help",):
        for word in (
            "--steps",
            "Number of intervals",
            "--workers",
            "--schedule",
            "--json",
            "example: mpirun",
        ):
            assert word in finished.stdout


@pytest.mark.each_mpi
def test_progress_is_shown_on_request_alone():
    assert mpirun(2, "-m", "mpipar.pi", "--steps", "1e7").own_errors == []
    shown = mpirun(2, "-m", "mpipar.pi", "--steps", "1e7", "--progress", "--json")
    assert "100%" in shown.stderr
    assert shown.json["value"] == pytest.approx(np.pi)


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, 2])
def test_result_file(ranks, tmp_path):
    path = tmp_path / "pi.h5"
    result = over(ranks)("-m", "mpipar.pi", "--steps", "1e6", "--output", str(path), "--json").json
    with h5py.File(path) as file:
        assert file["value"][()] == result["value"]
        assert file.attrs["driver"] == "pi"
        assert file.attrs["n"] == 10**6
        assert file["parameters"].attrs["steps"] == 10**6
        assert len(file["ranks"]) == (ranks or 1)
        assert file["ranks"]["blocks"].sum() == result["evaluated_blocks"] == file.attrs["n_blocks"]
        assert len(file["partials"]) == result["evaluated_blocks"]
        assert file["partials"][:].sum() * 4e6 == pytest.approx(np.pi, rel=1e-14)
    assert [path.name for path in tmp_path.iterdir()] == ["pi.h5"]


def test_partials_in_the_file_are_copies_of_a_buffer_that_the_kernel_uses_again(tmp_path):
    (tmp_path / "reuse.py").write_text(
        "import numpy as np\n"
        "from mpipar import ExactSum, driver\n\n"
        "buffer = np.empty(2)\n\n"
        '@driver(n="items", reduction=ExactSum, block=1)\n'
        "def reuse(block, *, items: int = 4):\n"
        "    buffer[:] = block.start\n"
        "    return buffer\n\n"
        'if __name__ == "__main__":\n'
        "    reuse.main()\n"
    )
    assert python("reuse.py", "--output", "reuse.h5", "--json", cwd=tmp_path).json["value"] == [
        6.0,
        6.0,
    ]
    with h5py.File(tmp_path / "reuse.h5") as file:
        assert file["partials"][:].tolist() == [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]


def test_an_older_result_is_replaced(tmp_path):
    path = tmp_path / "pi.h5"
    for steps in ("1e4", "1e5"):
        python("-m", "mpipar.pi", "--steps", steps, "--output", str(path), "--json").json  # noqa: B018
    with h5py.File(path) as file:
        assert file.attrs["n"] == 10**5


@pytest.mark.each_mpi
def test_the_mpipar_command():
    from conftest import BIN

    command = str(BIN / "mpipar")
    assert "mcpi" in start([command]).stdout
    assert start([command, "pi", "--steps", "1e5", "--workers", "2", "--json"]).json["workers"] == 2
    unknown = start([command, "nonsense"])
    assert (unknown.code, len(unknown.own_errors)) == (2, 1)
    assert "nonsense" in unknown.stderr
    assert mpirun(2, "-m", "mpipar", "pi", "--steps", "1e5", "--json").json["ranks"] == 2


def test_output_that_is_closed_is_no_failure(tmp_path):
    command = f"{shlex.quote(sys.executable)} -m mpipar.pi --steps 1e5 --output pi.h5 | true"
    finished = start(["bash", "-c", f"set -o pipefail; {command}"], cwd=tmp_path)
    assert (finished.code, finished.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["pi.h5"]


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, 2])
def test_a_dry_run_checks_everything_and_runs_nothing(ranks, tmp_path):
    dry = ["-m", "mpipar.pi", "--steps", "1e6", "--output", "pi.h5", "--dry-run"]
    finished = over(ranks)(*dry, cwd=tmp_path)
    assert (finished.code, finished.stdout.count("\n")) == (0, 1), finished.stderr
    assert "would evaluate 1_000_000 items in 16 blocks of 65_536" in finished.stdout
    assert list(tmp_path.iterdir()) == []
    assert over(ranks)(*dry, "--output", "missing/pi.h5", cwd=tmp_path).code == 2


@pytest.mark.parametrize("ranks", [None, 2])
def test_a_dry_run_tells_plan_or_problem_as_json(ranks, tmp_path):
    dry = ["-m", "mpipar.pi", "--steps", "1e6", "--dry-run", "--json"]
    finished = over(ranks)(*dry, cwd=tmp_path)
    assert (finished.code, finished.stderr) == (0, "")
    assert json.loads(finished.stdout) == {
        "driver": "pi",
        "n": 10**6,
        "block": 65_536,
        "n_blocks": 16,
        "seed": 0,
        "device": "cpu",
        "problems": [],
    }
    finished = over(ranks)(*dry, "--block", "0", cwd=tmp_path)
    assert finished.code == 2
    what = "expected a whole number from 1 on, got 0"
    assert json.loads(finished.stdout)["problems"] == [
        {"message": f"argument --block: {what}", "option": "--block", "what": what, "remedy": ""}
    ]
    assert finished.stderr.count(f"error: argument --block: {what}") == 1


def test_a_dry_run_tells_that_another_run_can_not_be_resumed(tmp_path):
    assert python("-m", "mpipar.pi", "--steps", "1e6", "--output", "pi.h5", cwd=tmp_path).code == 0
    before = (tmp_path / "pi.h5").read_bytes()
    finished = python(
        "-m", "mpipar.pi", "--steps", "2e6", "--output=pi.h5", "--resume", "--dry-run", cwd=tmp_path
    )
    assert finished.code == 2
    assert "parameter steps: 1000000 there, 2000000 here" in finished.stderr
    assert (tmp_path / "pi.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["pi.h5"]
