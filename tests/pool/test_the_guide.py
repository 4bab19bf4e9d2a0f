"""docs/pools.md: every line and code block, run as a reader would."""

import re
import shlex
from pathlib import Path

import pytest
from conftest import BIN, FOR_OPEN_MPI, mpirun, python, start

GUIDE = (Path(__file__).parents[2] / "docs" / "pools.md").read_text()
WORDS, IMPORTED, JOBLIB = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
[LINES] = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("line", LINES.splitlines())
def test_shell_line(line, tmp_path):
    (tmp_path / "words.py").write_text(WORDS)
    command = shlex.split(line)
    finished = start([str(BIN / command[0]), *command[1:]], cwd=tmp_path, env=FOR_OPEN_MPI)
    assert finished.code == 0, finished.stderr
    if "words.py" in line:
        assert int(finished.stdout) == len(WORDS.split())


@pytest.mark.parametrize(("code", "printed"), [(IMPORTED, "[1, 2, 3]\n1024\n[0, 1, 2]\n"), (JOBLIB, "[1, 2, 3]\n")])
def test_code(code, printed, tmp_path):
    (tmp_path / "script.py").write_text(code)
    assert python("script.py", cwd=tmp_path).stdout == printed
    if code == IMPORTED:
        assert mpirun(2, "script.py", cwd=tmp_path).stdout == printed
    assert mpirun(2, "-m", "mpipar", "run", "script.py", cwd=tmp_path).stdout == printed
