"""docs/pools.md: every line and code block, run as a reader would."""

import pages
import pytest
from conftest import mpirun, python

PAGE = "docs/pools.md"
WORDS = pages.saved_files(PAGE)["words.py"]
IMPORTED, JOBLIB = [
    block.text for block in pages.blocks(PAGE) if block.language == "python" and not block.name
]


@pytest.mark.ci
def test_the_page(tmp_path):
    printed = {line: finished.stdout for _, line, finished in pages.read(PAGE, tmp_path)}
    counted = [text for line, text in printed.items() if "words.py" in line]
    assert len(counted) == 5
    assert {int(text) for text in counted} == {len(WORDS.split())}


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        (IMPORTED, "[1, 2, 3]\n1024\n[0, 1, 2]\n"),
        pytest.param(JOBLIB, "[1, 2, 3]\n", marks=pytest.mark.ci),
    ],
)
def test_code(code, printed, tmp_path):
    (tmp_path / "script.py").write_text(code)
    assert python("script.py", cwd=tmp_path).stdout == printed
    if code == IMPORTED:
        assert mpirun(2, "script.py", cwd=tmp_path).stdout == printed
    assert mpirun(2, "-m", "mpipar", "run", "script.py", cwd=tmp_path).stdout == printed
