"""Every shell line and code block of the README, run as a reader would, and what it says about
them.
"""

import re

import numpy as np
import pages
import pytest
from conftest import python
from pages import ROOT
from suite.rings import in_ci

# One process does what the page says, and all tests look at it.
pytestmark = pytest.mark.xdist_group("readme")

PAGE = "README.md"
README = pages.text_of(PAGE)


@pytest.fixture(scope="module", params=["warm", *in_ci("cold")])
def how(request):
    """Say by which programs: those that are installed, as a newcomer has them, or warm ones."""
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory, how):
    """Make a folder for the reader's files."""
    return tmp_path_factory.mktemp("reader")


@pytest.fixture(scope="module")
def outputs(folder, how):
    """Do all that the page says, compare what it shows, and return {line: what it printed}."""
    done = pages.read(PAGE, folder, cold=how == "cold")
    return {line: finished.stdout for _, line, finished in done}


def test_each_line_prints_something(outputs):
    assert [line for line in pages.shell_lines(PAGE, pages.HERE) if not outputs[line]] == []
    assert {outputs[line] for line in outputs if "collatz.py" in line} == {"350\n"}


def test_all_kinds_of_lines_are_there():
    for kind in (pages.HERE, pages.SLURM, pages.SCALE, pages.MAKE):
        assert pages.shell_lines(PAGE, kind), kind


@pytest.mark.usefixtures("outputs")
def test_the_readers_driver_is_right(folder):
    result = python("basel.py", "--terms", "1e6", "--workers", "2", "--json", cwd=folder).json
    assert result["value"] == pytest.approx(np.pi**2 / 6, abs=2e-6)
    assert "Number of terms." in python("basel.py", "--help", cwd=folder).stdout
    assert python("basel.py", "--terms", "0", cwd=folder).code == 2


def test_make_lines_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    lines = {*re.findall(r"make (\w+)", README)} - {"on"}
    assert {"run", "test", "help"} <= lines
    for target in lines:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
