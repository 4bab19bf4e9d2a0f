"""docs/pools.md: every line and code block, run as a reader would."""

import pages
import pytest
from conftest import mpirun, python

PAGE = "docs/pools.md"
WORDS = pages.saved_files(PAGE)["words.py"]
IMPORTED, JOBLIB = [block.text for block in pages.blocks(PAGE) if block.language == "python" and not block.name]


@pytest.mark.parametrize("line", pages.shell_lines(PAGE))
def test_shell_line(line, tmp_path):
    (tmp_path / "words.py").write_text(WORDS)
    finished = pages.type_in(line, tmp_path)
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
