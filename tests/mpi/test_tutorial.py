"""Every code block and shell line of the tutorial, run as a reader would, and what it says about them."""

import json
import math
import re
import shlex
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import BIN, FOR_OPEN_MPI, UNBOUND, python, start

TUTORIAL = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text()
FILES = dict(re.findall(r"Save this as `(\w+\.py)`[^`]*```python\n(.*?)```", TUTORIAL, re.DOTALL))
SHELL_LINES = [line for block in re.findall(r"```sh\n(.*?)```", TUTORIAL, re.DOTALL) for line in block.splitlines()]
THEORY = math.sqrt(math.pi * 100) / 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a folder with the reader's files."""
    folder = tmp_path_factory.mktemp("reader")
    for name, code in FILES.items():
        (folder / name).write_text(code)
    return folder


@pytest.fixture(scope="module")
def outputs(folder):
    """Run all shell lines in order, and return {line: what it printed}."""
    printed = {}
    for line in SHELL_LINES:
        command, *arguments = shlex.split(line)
        assert command in ("python", "mpirun")
        finished = start([str(BIN / command), *arguments], cwd=folder, env=FOR_OPEN_MPI | UNBOUND)
        assert (finished.code, finished.own_errors) == (0, []), line
        assert finished.stdout, line
        printed[line] = finished.stdout
    return printed


def value_and_error(text):
    """Return what a driver printed, as text or as JSON; the error has two digits in text."""
    if text.startswith("{"):
        result = json.loads(text)
        return result["value"], float(f"{result['error']:.2g}")
    value, error = re.match(r"walk = (\S+) ± (\S+)\n", text).groups()
    return float(value), float(error)


def test_every_block_is_run():
    assert [*FILES] == ["serial.py", "walk1.py", "walk2.py", "walk3.py", "look.py"]
    assert TUTORIAL.count("```python") == len(FILES)
    assert len(SHELL_LINES) == 10
    for name in FILES:
        assert any(name in line for line in SHELL_LINES)


def test_the_script_to_begin_with_is_about_right(outputs, folder):
    assert "theory: √(100 π / 4) = 8.862" in TUTORIAL
    assert round(THEORY, 3) == 8.862
    printed = [float(outputs["python serial.py"]), float(python("serial.py", cwd=folder).stdout)]
    assert printed == pytest.approx([THEORY, THEORY], abs=0.5)
    assert printed[0] != printed[1], "another number each time"


def test_lines_with_the_same_walks_give_the_same_bits(outputs):
    for lines in (
        [line for line in outputs if "walk1.py --seed 1" in line],
        [line for line in outputs if "walk2.py" in line and "--walks 1e5 --seed 1" in line],
    ):
        assert len(lines) in (2, 4)
        [(value, error)] = {value_and_error(outputs[line]) for line in lines}
        assert abs(value - THEORY) < 4 * error


def test_the_last_step_adds_to_the_one_before(outputs):
    [*with_mean, with_all] = [text for line, text in outputs.items() if "1e5" in line]
    assert value_and_error(with_all) == value_and_error(with_mean[0])


def test_the_help_has_the_words_of_the_docstring(outputs):
    shown = outputs["python walk2.py --help"]
    assert re.search(r"--walks N +Number of walks\. \(default: 2_000\)", shown)
    assert re.search(r"--steps N +Steps of each, of length 1\. \(default: 100\)", shown)


def test_the_file_has_a_row_for_each_walk(outputs, folder):
    [line] = [line for line in outputs if "--output walks.h5" in line]
    value, error = value_and_error(outputs[line])
    with h5py.File(folder / "walks.h5") as file:
        distances = file["distance"][:]
        assert file["distance"].attrs["units"] == "step"
        assert file["value"][()] == value
        assert file["error"][()] == pytest.approx(error, rel=0.05)
    assert distances.shape == (100_000,)
    assert distances.mean() == pytest.approx(value, rel=1e-13)
    assert distances.std(ddof=1) / math.sqrt(len(distances)) == pytest.approx(error, rel=0.05)
    assert (distances >= 0).all()
    assert (distances <= 100).all()
    assert len(np.unique(distances)) > 99_000, "each walk is another one"


def test_the_rows_come_to_python_as_an_array(outputs, folder):
    first, second = outputs["python look.py"].splitlines()
    value, error = (float(text) for text in first.split(" ± "))
    command = python("walk3.py", "--walks", "10_000", "--seed", "1", "--output", "again.h5", "--json", cwd=folder).json
    assert (value, error) == (command["value"], command["error"])
    with h5py.File(folder / "again.h5") as file:
        percentiles = np.percentile(file["distance"], [5, 50, 95])
    assert second == str(percentiles)
    # The distance of many steps has a Rayleigh distribution.
    assert percentiles == pytest.approx([10 * math.sqrt(-math.log(p)) for p in (0.95, 0.5, 0.05)], rel=0.05)


def test_what_is_named_at_the_end_is_there():
    import mpipar

    end = TUTORIAL.partition("## And then")[2]
    for name in re.findall(r"`@walk\.(\w+)`", end):
        assert callable(getattr(mpipar.Driver, name))
    assert {*re.findall(r"`@walk\.(\w+)`", end)} == {"shared", "check", "enough"}
    assert issubclass(mpipar.BadInput, mpipar.MpiparError)
    assert "--on-error" in python("-m", "mpipar.pi", "--help").stdout
