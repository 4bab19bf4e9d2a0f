"""No package becomes denser: what tests/density.json allows goes down alone."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("radon")
sys.path.insert(0, str(Path(__file__).parents[1]))  # a script of the tests, not a module of mpipar

import density

# One process measures for all tests.
pytestmark = pytest.mark.xdist_group("density")


@pytest.fixture(scope="module")
def found():
    return density.packages()


def test_no_package_is_denser_than_it_may_be(found):
    assert density.grown(found) == []


def test_the_table_allows_nothing_that_no_package_needs(found):
    for package, most in density.allowed().items():
        assert package in found
        for name, allowed in most.items():
            assert allowed > density.LIMITS[name], f"{package} needs no leave for {name}"


def test_lowering_never_raises(found):
    before = density.allowed()
    for package, most in density.lowered(found).items():
        for name, now in most.items():
            assert now <= before[package][name]


def test_what_is_counted(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        '"""Docs."""\n\n\ndef f(a):\n    # why\n    return [b for b in a] if a else None\n'
    )
    counted = density.measure([module])
    assert (counted.lines, counted.ternaries, counted.comprehensions) == (2, 1, 1)
    assert counted.tokens == 6 + 12
