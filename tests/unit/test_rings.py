"""What another MPI runs of the tests: each that is marked, and of its values those that are enough."""

import types
from pathlib import Path

import pytest
from suite import rings

TESTS = Path(rings.__file__).parents[1]
CI, EACH = pytest.mark.ci.mark, pytest.mark.each_mpi.mark


class Item:
    """A test as pytest has collected it."""

    def __init__(self, name, *marks, values=(), **params):
        self.nodeid = name
        self.marks = [*marks, *values]
        if params:
            self.callspec = types.SimpleNamespace(params=params, marks=list(values))

    def iter_markers(self):
        return iter(self.marks)

    def get_closest_marker(self, name):
        return next((mark for mark in self.marks if mark.name == name), None)


def taken(*items, ring="each_mpi"):
    left = list(items)
    hook = types.SimpleNamespace(pytest_deselected=lambda items: None)
    config = types.SimpleNamespace(getoption=lambda _: ring, hook=hook)
    rings.pytest_collection_modifyitems(config, left)
    return [item.nodeid for item in left]


def test_a_dear_value_is_left_to_one_mpi_where_another_value_is_not():
    cheap, dear = Item("a[1]", EACH, ranks=1), Item("a[2]", EACH, values=[CI], ranks=2)
    assert taken(cheap, dear) == ["a[1]"]
    assert taken(dear) == ["a[2]"]
    assert taken(dear, Item("a[None]", EACH, ranks=None)) == ["a[2]"]
    assert taken(cheap, dear, ring="rest") == ["a[2]"]


def test_a_dear_value_with_a_mark_of_its_own_is_for_each_mpi():
    both = Item("a[2]", EACH, values=[CI, EACH], ranks=2)
    twice = Item("a[3-b]", EACH, values=[CI, CI, EACH], ranks=3)
    assert taken(Item("a[1]", EACH, ranks=1), both, twice) == ["a[1]", "a[2]"]


def test_a_test_that_is_dear_as_a_whole_is_for_each_mpi_without_its_dear_values():
    whole = Item("a[1]", EACH, CI, ranks=1)
    assert taken(whole, Item("a[2]", EACH, CI, values=[CI], ranks=2)) == ["a[1]"]
    assert taken(Item("b", EACH, CI)) == ["b"]


def test_what_has_no_launcher_has_no_other_mpi():
    without = [Item("a", EACH, ranks=None), Item("b", EACH, mode=(None, 2, "stride"))]
    others = [Item("c", EACH, mode=(2, 1)), Item("d", EACH, mode="serial")]
    assert taken(*without, *others) == ["c", "d"]


def test_marks_for_each_mpi_are_in_the_files_of_their_tests():
    """Files without the word aren't looked into."""
    marked = {path.name for path in TESTS.rglob("*.py") if "each_mpi" in path.read_text()}
    assert {name for name in marked if not name.startswith("test_")} == {"rings.py"}
