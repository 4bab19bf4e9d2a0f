"""Every shell line and code block of the README, run as a reader would."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from conftest import BIN, FOR_OPEN_MPI, python, start

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SHELL_LINES = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the README's own files in it."""
    folder = tmp_path_factory.mktemp("reader")
    codes = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = re.findall(r"Save this as `(\w+\.py)`", README)
    for name, code in zip(names, codes, strict=True):
        (folder / name).write_text(code)
    return folder


# Those for Slurm are run in tests/slurm/test_guide.py.
@pytest.mark.parametrize("line", [line for line in SHELL_LINES if line.startswith(("python ", "mpirun "))])
def test_shell_line(line, folder):
    command = shlex.split(line)
    finished = start([str(BIN / command[0]), *command[1:]], cwd=folder, env=FOR_OPEN_MPI)
    assert finished.code == 0, finished.stderr
    assert finished.stdout or "mpipar scale" in line  # which writes files


def test_all_lines_are_run_somewhere():
    others = [line for line in SHELL_LINES if not line.startswith(("python ", "mpirun ", "make "))]
    assert {line.split()[0] for line in others} == {"sbatch", "mpipar"}


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


def test_every_option_of_the_table_is_real():
    shown = python("-m", "mpipar.pi", "--help").stdout
    options = re.findall(r"^\| `(--[\w-]+)", README, re.MULTILINE)
    assert len(options) >= 8
    for option in options:
        assert option in shown


def test_every_name_of_the_reductions_is_public():
    import mpipar

    for name in re.findall(r"^\| `([A-Z]\w+)", README, re.MULTILINE):
        assert issubclass(getattr(mpipar, name), mpipar.Reduction)
