"""The checks that mpipar.testing offers: they pass what keeps the contract, and find what doesn't."""

import importlib

import numpy as np
import pytest

from mpipar import BadInput, Dataset, Each, ExactSum, Plan, PositiveInt, Reduction, driver
from mpipar.base.drivers import DRIVERS as BUNDLED
from mpipar.pi import pi
from mpipar.testing import check_driver, check_reduction
from mpipar.testing.bits import bits

UNEVEN = [1e16, 1.0, -1e16, 1.0]


class Sum(Reduction):
    """A sum of floats, as one writes it at first: it depends on the order."""

    def start(self):
        return 0.0

    def add(self, total, partial, block):
        return total + partial

    def merge(self, total, other):
        return total + other


class Unique(Sum):
    """What can't be committed: sets."""

    def start(self):
        return set()

    def add(self, total, partial, block):
        return total | {partial}

    def merge(self, total, other):
        return total | other


class Counting(Sum):
    """One whose total of no block counts."""

    def start(self):
        return 1


class Popping(Sum):
    """One whose finish takes from the total."""

    def start(self):
        return []

    def add(self, total, partial, block):
        return sorted([*total, partial])

    def merge(self, total, other):
        return sorted(total + other)

    def finish(self, total):
        return total.pop()


class Keeping(Popping):
    """One that keeps the kernel's buffer."""

    def add(self, total, partial, block):
        return [*total, partial]

    def merge(self, total, other):
        return sorted(total + other, key=np.sum)

    def finish(self, total):
        return sorted(total, key=np.sum)[-1]


class Changing(Sum):
    """One that changes what the kernel has given."""

    def add(self, total, partial, block):
        partial *= 2
        return total + partial


class Forgetful(ExactSum):
    """One that says it has a dataset, and gives no rows."""

    def datasets(self):
        return (Dataset("rows"),)


@pytest.mark.parametrize(
    ("reduction", "partials", "message"),
    [
        (Sum, UNEVEN, r"merging three totals, .* got 2\.0, which isn't 1\.0 to the last bit"),
        (Unique, [1, 2, 3], "a total can't be committed: a set can't be stored; totals are made"),
        (Counting, [1, 2, 3], "merging the total of no block before all others: got 8"),
        (Popping, [1, 2, 3], r"finish\(\) of the same total, a second time: got 2"),
        (Keeping, [np.ones(2), np.ones(2), 2 * np.ones(2)], "fills its arrays again after add"),
        (Changing, [np.ones(2)] * 3, r"add\(\) changed the partial of Block\(index=0"),
        (Forgetful, UNEVEN, r"rows\(\) has nothing, and the datasets are rows"),
    ],
)
def test_a_reduction_that_breaks_its_contract_is_found(reduction, partials, message):
    with pytest.raises(AssertionError, match=message):
        check_reduction(reduction, partials)


def test_a_reduction_that_keeps_it_passes_and_its_result_is_returned():
    assert check_reduction(ExactSum, UNEVEN) == 2.0
    both = Each(sum=ExactSum, rows=Dataset("squares", float))
    plan = Plan(10, 3)
    partials = [np.arange(plan[i].start, plan[i].stop) ** 2.0 for i in range(plan.n_blocks)]
    given = [{"sum": squares.sum(), "rows": squares} for squares in partials]
    assert check_reduction(both, given, plan=plan) == {"sum": 285.0, "rows": 10}


def test_what_could_not_be_seen_is_refused():
    with pytest.raises(ValueError, match="needs three blocks or more, got 2"):
        check_reduction(ExactSum, [1.0, 2.0])
    with pytest.raises(ValueError, match="a function of blocks needs a plan"):
        check_reduction(ExactSum, float)
    with pytest.raises(ValueError, match="needs 4 blocks or more, got 1; give a smaller block"):
        check_driver(pi, steps=10, block=10)


@pytest.mark.parametrize(
    "values",
    [
        (0.0, -0.0),
        (1, 1.0),
        (True, 1),
        ((1,), [1]),
        ({"a": 1}, {"a": 2}),
        (np.zeros(2), np.zeros((2, 1))),
        (np.zeros(2), np.zeros(2, np.float32)),
        (np.float32(1), np.float64(1)),
        (np.array([1, 2], object), np.array([1, 2.0], object)),
        (1j, -1j),
    ],
)
def test_bits_tell_values_apart(values):
    one, other = values
    assert bits(one) != bits(other)
    assert bits(one) == bits(one)


def test_nan_has_the_bits_of_nan():
    assert bits(float("nan")) == bits(float("nan"))


def photos(folder):
    pillow = pytest.importorskip("PIL.Image")
    (folder / "photos").mkdir()
    for number in range(5):
        pillow.new("RGB", (4, 3), (number, 0, 0)).save(folder / "photos" / f"{number}.png")
    return {"input": str(folder / "photos"), "into": folder / "small"}


def squares(folder):
    (folder / "grid.toml").write_text("x = [1, 2, 3, 4, 5]\n")
    (folder / "squares_of_rows.py").write_text("def square(x):\n    return {'square': x * x}\n")
    return {
        "function": f"{folder / 'squares_of_rows.py'}:square",
        "table": str(folder / "grid.toml"),
    }


OPTIONS = {
    "pi": {"steps": 5000, "block": 100},
    "mcpi": {"samples": 5000, "block": 100, "seed": 3},
    "integrate": {"f": "x**2", "over": [0.0, 1.0], "samples": 5000, "block": 100},
    "primes": {"below": 5000, "block": 100},
    "roots": {"f": "sqrt(x)", "over": [0.0, 1.0], "points": 5000, "block": 100},
    "images": photos,
    "load": {"tasks": 20, "mean": 1e-4},
    "sweep": squares,
}
"""What each driver of mpipar is checked with; a function makes it in a folder."""


@pytest.mark.parametrize("name", BUNDLED)
def test_our_own_drivers_keep_theirs(name, tmp_path):
    kernel = getattr(importlib.import_module(f"mpipar.{name}"), name)
    options = OPTIONS[name]
    if callable(options):
        options = options(tmp_path)
    check_driver(kernel, workers=(1,), **options)


calls = []


@driver(n="items", reduction=ExactSum, block=1)
def forgetting(block, *, items: PositiveInt = 8):
    """Return what depends on how often it was called."""
    calls.append(block.index)
    return float(len(calls))


@driver(n="items", reduction=Sum, block=1)
def rounding(block, *, items: PositiveInt = 40):
    """Return what a sum of floats rounds in each order otherwise."""
    return UNEVEN[block.index % 4] * (block.index + 1)


@pytest.mark.parametrize("kernel", [forgetting, rounding])
def test_a_driver_that_breaks_its_contract_is_found(kernel):
    with pytest.raises(AssertionError, match=f"{kernel.name}: b.* to the last bit"):
        check_driver(kernel, workers=(1,))


def test_parameters_are_checked_first():
    with pytest.raises(BadInput, match="pi has no parameter 'step'"):
        check_driver(pi, step=10)
