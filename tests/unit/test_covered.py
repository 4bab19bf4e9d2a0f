"""The share of each package that tests run, from what coverage writes."""

import pytest
from suite.covered import by_package


def summary(lines, of_lines, branches=0, of_branches=0):
    return {
        "summary": {
            "covered_lines": lines,
            "num_statements": of_lines,
            "covered_branches": branches,
            "num_branches": of_branches,
        }
    }


def test_shares_are_of_lines_and_branches_by_package():
    files = {
        "mpipar/core/plan.py": summary(8, 10, 1, 2),
        "mpipar/core/devices/cpu.py": summary(3, 3),
        "mpipar/pi.py": summary(1, 2),
        "mpipar/view/__init__.py": summary(0, 0),
    }
    shares = by_package(files)
    assert list(shares) == ["view", "drivers", "core"]
    assert shares == {"view": 0, "drivers": 50, "core": pytest.approx(100 * 12 / 15)}
