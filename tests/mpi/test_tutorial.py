"""Every code block and shell line of the tutorial, run as a reader would, and what it says about
them.
"""

import json
import math
import re

import h5py
import numpy as np
import pages
import pytest
from conftest import python

# One process does what the page says, and all tests look at it.
pytestmark = [pytest.mark.xdist_group("tutorial"), pytest.mark.ci]

PAGE = "docs/tutorial.md"
TUTORIAL = pages.text_of(PAGE)
FILES = pages.saved_files(PAGE)
SHELL_LINES = pages.shell_lines(PAGE)
THEORY = math.sqrt(math.pi * 100) / 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a folder for the reader's files."""
    return tmp_path_factory.mktemp("reader")


@pytest.fixture(scope="module")
def outputs(folder):
    """Do all that the page says, and return {line: what it printed}."""
    printed = {}
    for _, line, finished in pages.read(PAGE, folder):
        assert finished.own_errors == [], line
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
    numbered = [f"walk{number}.py" for number in (1, 2, 3)]
    assert [*FILES] == ["serial.py", *numbered, "look.py", "walk4.py", "test_walk.py"]
    assert TUTORIAL.count("```python") == len(FILES)
    assert len(SHELL_LINES) == 14
    assert pages.shell_lines(PAGE, pages.HERE) == SHELL_LINES
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
    [*with_mean, with_all] = [
        text for line, text in outputs.items() if "1e5" in line and "walk4" not in line
    ]
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
    command = python(
        "walk3.py", "--walks", "10_000", "--seed", "1", "--output", "again.h5", "--json", cwd=folder
    ).json
    assert (value, error) == (command["value"], command["error"])
    with h5py.File(folder / "again.h5") as file:
        percentiles = np.percentile(file["distance"], [5, 50, 95])
    assert second == str(percentiles)
    # The distance of many steps has a Rayleigh distribution.
    assert percentiles == pytest.approx(
        [10 * math.sqrt(-math.log(p)) for p in (0.95, 0.5, 0.05)], rel=0.05
    )


def test_walkers_stand_as_high_as_theory_says(outputs):
    """The mean of exp(−r²) over the normal distribution that many steps have, 2/3 of a point wide
    each.
    """
    lines = [text for line, text in outputs.items() if "walk4.py" in line]
    assert len(lines) == 2
    [(value, error)] = {
        (float(value), float(error))
        for value, error in (re.match(r"height = (\S+) ± (\S+)\n", text).groups() for text in lines)
    }
    variance = 100 * (2 / 3) * (2 / 499) ** 2  # in each direction, in units of the landscape
    assert (
        abs(value - 1 / (1 + 2 * variance)) < 4 * error + 1e-4
    )  # the middle is half a point from the top


def test_bad_values_are_refused_as_the_page_says(outputs, folder):
    ended = python("walk4.py", "--steps", "250", cwd=folder)
    assert (ended.code, len(ended.own_errors)) == (2, 1)
    assert "steps: walkers could leave a landscape of 500 points in 250 steps" in ended.stderr


def test_the_readers_tests_pass(outputs):
    [alone, over_ranks] = [text for line, text in outputs.items() if "pytest" in line]
    assert "5 passed" in alone
    assert over_ranks.count("5 passed") == 2


def test_what_is_named_at_the_end_is_there():
    import mpipar

    end = TUTORIAL.partition("## And then")[2]
    assert re.findall(r"`@walk\.(\w+)`", end) == ["enough"]
    assert callable(mpipar.Driver.enough)
    assert "--on-error" in python("-m", "mpipar.pi", "--help").stdout
