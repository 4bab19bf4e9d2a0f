"""The table in docs/faults.md and the tests that it names."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_row_of_the_table_of_faults_names_tests_that_there_are():
    text = (ROOT / "docs" / "faults.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 20
    code = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    for row in rows:
        *_, tests, _ = row.split("|")
        names = re.findall(r"`([^`]+)`", tests)
        assert names or "(not tested: " in tests, row
        for name in names:
            assert f"def {name}(" in code or ("/" in name and (ROOT / name).is_file()), (
                f"{name}: there is no such test"
            )
