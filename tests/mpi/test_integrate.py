"""The driver that integrates: known integrals, and its errors."""

import itertools
import math

import numpy as np
import pytest
from conftest import UNBOUND, chosen_ranks, over, python

from mpipar import BadInput, RunFailed, run
from mpipar.integrate import integrate


def gaussian(dimensions):
    return f"exp(-({' + '.join(f'x{axis}**2' for axis in range(dimensions))}))"


# Integrand, bounds, value.
KNOWN = [
    ("x**2", [0.0, 1.0], 1 / 3),
    ("sin(x)", [-1.0, math.pi], 1 + math.cos(1)),
    ("exp(x - y)", [0.0, 1.0, -1.0, 2.0], (math.e - 1) * (math.e - math.exp(-2))),
    ("x * y * z", [0.0, 1.0, 0.0, 2.0, 1.0, 2.0], 1.5),
    ("where(x < 0.25, 1, 3)", [0.0, 1.0], 2.5),
    (gaussian(6), [-1.0, 1.0] * 6, (math.sqrt(math.pi) * math.erf(1)) ** 6),
]


@pytest.mark.parametrize(("f", "bounds", "exact"), KNOWN)
def test_random_points_are_within_four_standard_errors(f, bounds, exact):
    found = [run(integrate, f=f, over=bounds, samples=50_000, seed=seed) for seed in range(10)]
    values, errors = np.array([(result.value, result.error) for result in found]).T
    assert np.all(abs(values - exact) < 4 * errors)
    assert np.std(values - exact) == pytest.approx(errors.mean(), rel=0.75), "the error is not overstated either"
    assert len(set(values)) == len(values), "each seed has points of its own"


@pytest.mark.parametrize(("f", "bounds", "exact"), [known for known in KNOWN if "where" not in known[0]])
def test_midpoints_are_within_their_error(f, bounds, exact):
    for samples in (5000, 123_457):
        result = run(integrate, f=f, over=bounds, samples=samples, method="midpoint")
        axis = round(result.plan.n ** (2 / len(bounds)))
        assert result.plan.n == axis ** (len(bounds) // 2) <= samples
        assert axis % 3 == 0
        assert abs(result.value - exact) <= 1.05 * result.error + 1e-13
        if axis > 3:  # it is an estimate of just that difference
            assert result.error <= 1.3 * abs(result.value - exact) + 1e-13


def test_midpoints_of_a_straight_line_have_no_error():
    result = run(integrate, f="2 * x + 1", over=[-1.0, 3.0], samples=1000, method="midpoint")
    assert result.value == pytest.approx(12, rel=1e-15)
    assert result.error < 1e-14


@pytest.mark.parametrize("method", ["montecarlo", "midpoint"])
@pytest.mark.parametrize(("f", "bounds", "exact"), [("2", [0.0, 3.0], 6.0), ("0", [-1.0, 1.0, 0.0, 9.0], 0.0)])
def test_a_constant(method, f, bounds, exact):
    result = run(integrate, f=f, over=bounds, samples=50_000, method=method)
    assert (result.value, result.error) == (exact, 0.0)


def test_more_midpoints_are_better():
    errors = [
        run(integrate, f="exp(x * y)", over=[0.0, 1.0, 0.0, 1.0], samples=samples, method="midpoint").error
        for samples in (10**3, 10**4, 10**5, 10**6)
    ]
    assert all(left > 8 * right for left, right in itertools.pairwise(errors))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("integrands")
    (folder / "a folder").mkdir()
    (folder / "a folder" / "mine.py").write_text("def square(x):\n    return x**2\n")
    (folder / "theirs.py").write_text("class Of:\n    @staticmethod\n    def squares(x):\n        return x * x\n")
    return folder


@pytest.mark.parametrize("f", ["x**2", "a folder/mine.py:square", "theirs:Of.squares", "theirs.py:Of.squares"])
def test_the_integrand_is_an_expression_or_in_a_file_or_a_module(f, folder):
    options = ("--over", "0", "1", "--samples", "1e5", "--seed", "7", "--workers", "2", "--json")
    result = python("-m", "mpipar.integrate", "--f", f, *options, cwd=folder).json
    expected = run(integrate, f="x * x", over=[0.0, 1.0], samples=10**5, seed=7)
    assert (result["value"], result["error"]) == (expected.value, expected.error)


def test_negative_numbers_and_expressions_are_no_options(folder):
    options = ("--f", "-x**2", "--over", "-1e1", "-.5e0", "--method", "midpoint", "--samples", "3e5", "--json")
    result = python("-m", "mpipar.integrate", *options, cwd=folder).json
    assert result["value"] == pytest.approx(-(1000 - 0.125) / 3, rel=1e-9)


@pytest.mark.parametrize("rel_error", [0.03, 0.002])
def test_it_stops_when_the_error_is_small_enough(rel_error):
    options = ("--f", "x**2", "--over", "0", "1", "--rel-error", str(rel_error), "--block", "200")
    command = ("-m", "mpipar.integrate", *options, "--seed", "3", "--samples", "1e7", "--json")
    runs = [
        over(ranks)(*command, "--workers", str(workers), "--schedule", schedule, env=UNBOUND).json
        for ranks, workers, schedule in [
            *((None, 1, "slice"), (None, 2, "dynamic"), (chosen_ranks(3)[0], 1, "stride")),
            (chosen_ranks(2)[0], 2, "dynamic"),
        ]
    ]
    [(value, error, n)] = {(result["value"], result["error"], result["n"]) for result in runs}
    assert error <= rel_error * abs(value)
    assert abs(value - 1 / 3) < 4 * error
    # It is asked after 16, 32, 64, … blocks. The error was too large with half of the points.
    assert n in {200 * 2**k for k in range(4, 16)}
    assert {result["evaluated_blocks"] for result in runs} == {n // 200}
    halves = run(integrate, f="x**2", over=[0.0, 1.0], samples=n // 2, seed=3, block=200)
    assert n == 3200 or halves.error > rel_error * halves.value
    whole = run(integrate, f="x**2", over=[0.0, 1.0], samples=n, seed=3, block=200)
    assert (whole.value, whole.error) == (value, error), "as if so many points had been asked for"


def test_an_error_that_is_never_reached_takes_all_points():
    result = run(integrate, f="x - 0.5", over=[0.0, 1.0], samples=20_000, rel_error=1e-9, block=100)
    assert result.plan.n == 20_000


@pytest.mark.parametrize("f", ["1 / (x - x)", "sqrt(x - 2)"])
def test_what_has_no_integral_fails_with_a_reason(f):
    with np.errstate(all="ignore"), pytest.raises(RunFailed, match=r"block 0 .*finite"):
        run(integrate, f=f, over=[0.0, 1.0], samples=1000)


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        ("1j * x", "complex; take real"),
        ("max(x, 0)", "maximum"),
        ("x^2", "write \\*\\*"),
        ("math:sin", "numpy.vectorize"),
    ],
)
def test_what_can_not_be_integrated_is_refused_before_the_run(f, reason):
    with pytest.raises(BadInput, match=reason):
        run(integrate, f=f, over=[0.0, 1.0], samples=1000)


def test_no_more_points_are_taken_than_allowed():
    with pytest.raises(BadInput, match="59049 points or more in 10 dimensions"):
        run(integrate, f="x0", over=[0.0, 1.0] * 10, samples=1000, method="midpoint")
