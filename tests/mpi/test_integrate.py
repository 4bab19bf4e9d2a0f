"""The driver that integrates: known integrals, and its errors."""

import itertools
import math
import re

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
    assert np.std(values - exact) == pytest.approx(errors.mean(), rel=0.75), (
        "the error is not overstated either"
    )
    assert len(set(values)) == len(values), "each seed has points of its own"


def to_corner(a, b):
    """∫∫ 1/√(x² + y²) from 0 to a and from 0 to b."""
    return a * math.asinh(b / a) + b * math.asinh(a / b)


UNIT, SQUARE = [0.0, 1.0], [0.0, 1.0, 0.0, 1.0]
SMOOTH = [
    ("x**2", UNIT, 1 / 3),
    ("sin(x)", [-1.0, math.pi], 1 + math.cos(1)),
    ("x**3 - x", UNIT, -0.25),
    ("exp(-x)", [0.0, 20.0], 1 - math.exp(-20)),
    ("sin(x) / x", [0.0, math.pi], 1.8519370519824662),  # Si(π)
    ("exp(x - y)", [0.0, 1.0, -1.0, 2.0], (math.e - 1) * (math.e - math.exp(-2))),
    ("sin(x) * sin(y)", [0.0, math.pi] * 2, 4.0),
    ("exp(-(x**2 + y**2 + z**2))", [-1.0, 1.0] * 3, (math.sqrt(math.pi) * math.erf(1)) ** 3),
]
ROUGH = [
    ("1 / sqrt(x)", UNIT, 2.0),
    ("x**-0.3", UNIT, 1 / 0.7),
    ("x**-0.7", UNIT, 1 / 0.3),
    ("log(x)", UNIT, -1.0),
    ("log(x)**2", UNIT, 2.0),
    ("x * log(x)", UNIT, -0.25),
    ("sqrt(x)", UNIT, 2 / 3),
    ("x**0.1", UNIT, 1 / 1.1),
    ("1 / sqrt(1 - x**2)", [-1.0, 1.0], math.pi),
    ("sqrt(1 - x**2)", [-1.0, 1.0], math.pi / 2),
    ("log(abs(x - 0.7071))", UNIT, 0.7071 * math.log(0.7071) + 0.2929 * math.log(0.2929) - 1),
    ("abs(x - 0.317)**-0.4", UNIT, (0.317**0.6 + 0.683**0.6) / 0.6),
    ("where(x < 0.25, 1, 3)", UNIT, 2.5),
    ("where(x < 0.3141592, 1, 0)", UNIT, 0.3141592),
    ("sign(x - 0.123)", [-1.0, 1.0], -0.246),
    ("floor(3.5 * x)", UNIT, 9 / 7),
    ("abs(x)", [-1.0, 1.0], 1.0),
    ("abs(x - 0.317)", UNIT, (0.317**2 + 0.683**2) / 2),
    ("maximum(x, 0)", [-1.0, 1.0], 0.5),
    ("float32(x)", UNIT, 0.5),
    ("1 / sqrt(x) * y", SQUARE, 1.0),
    ("1 / sqrt(x * y)", SQUARE, 4.0),
    ("where(x * x + y * y < 1, 1, 0)", [-1.0, 1.0] * 2, math.pi),
    ("where(y < 0.77777, 1, 0) * x", SQUARE, 0.77777 / 2),
    ("abs(x - y)", SQUARE, 1 / 3),
    ("log(x + y)", SQUARE, 2 * math.log(2) - 1.5),
    ("1 / hypot(x, y)", SQUARE, 2 * math.asinh(1)),
    (
        "1 / hypot(x - 0.3, y - 0.4)",
        SQUARE,
        sum(to_corner(a, b) for a in (0.3, 0.7) for b in (0.4, 0.6)),
    ),
    ("where(x*x + y*y + z*z < 1, 1, 0)", [-1.0, 1.0] * 3, 4 / 3 * math.pi),
]
WAVES = [
    ("sin(x)**2", [0.0, 2 * math.pi], math.pi),
    ("cos(1000 * x)", UNIT, math.sin(1000) / 1000),
    ("cos(2 * pi * 1000 * x)", UNIT, 0.0),
    ("sin(1 / x)", UNIT, 0.5040670619069284),  # sin 1 − Ci(1)
    ("cos(2 * pi * 16362 * x)", UNIT, 0.0),  # one wave from each point of the grid to the next
    ("cos(2 * pi * 126 * x) + y", SQUARE, 0.5),
    ("exp(-x**2)", [-10.0, 10.0], math.sqrt(math.pi)),
    ("1 / (1 + 25 * x**2)", [-1.0, 1.0], 0.4 * math.atan(5)),
    ("exp(-((x - 0.3) / 1e-3)**2)", UNIT, 1e-3 * math.sqrt(math.pi)),
    ("1e-4 / (1e-8 + (x - 0.123456)**2)", UNIT, math.atan(8765.44) + math.atan(1234.56)),
]
REFUSED = [
    *(("1 / x", bounds) for bounds in (UNIT, [-1.0, 1.0])),
    *(
        (f, UNIT)
        for f in (
            "1 / x**2",
            "1 / (x - 0.3)",
            "1 / (x * x - 0.5)",
            "1 / sin(7 * x + 1)",
            "exp(-((x - 0.3) / 1e-9)**2) + x",
            "1e-9 / (1e-18 + (x - 0.123456)**2)",
            "where(x > 0.9999999, 1e6, 0)",
            "where(x < 0.50744, 1, 0) - where(x < 0.50748, 1, 0)",
            "exp(-((x - 1 / 3) / 1e-7)**2)",
        )
    ),
    ("tan(x)", [0.0, 2.0]),
    *(
        (f, SQUARE)
        for f in (
            "1 / (x**2 + y**2)",
            "1 / x + y",
            "exp(-((x - 0.3)**2 + (y - 0.7)**2) / 1e-10) + x",
        )
    ),
]


@pytest.mark.parametrize(("f", "bounds", "exact"), [*SMOOTH, *ROUGH, *WAVES])
@pytest.mark.parametrize("samples", [3000, 20_000])
def test_midpoints_are_within_their_error_or_have_none(f, bounds, exact, samples):
    try:
        with np.errstate(all="ignore"):
            result = run(integrate, f=f, over=bounds, samples=samples, method="midpoint")
    except (BadInput, RunFailed):
        result = None
    if result is None:
        assert samples < 20_000 or "z*z" in f or (f, bounds, exact) in WAVES
        return
    axis = round(result.plan.n ** (2 / len(bounds)))
    assert result.plan.n == axis ** (len(bounds) // 2) <= samples
    assert axis % 9 == 0
    assert abs(result.value - exact) <= result.error + 1e-15 * abs(exact)
    if (f, bounds, exact) in SMOOTH and samples == 20_000:
        assert result.error <= 12 * abs(result.value - exact) + 1e-13


@pytest.mark.parametrize(("f", "bounds"), REFUSED)
def test_poles_and_peaks_that_no_point_sees_are_refused(f, bounds):
    with (
        np.errstate(all="ignore"),
        pytest.raises((BadInput, RunFailed), match=r"pole|peak|grows|closer|too few"),
    ):
        run(integrate, f=f, over=bounds, samples=20_000, method="midpoint")


@pytest.mark.parametrize(
    ("f", "bounds", "reason"),
    [
        ("x**-0.75", UNIT, "it grows about as x**-0.75 near 2.3"),
        ("abs(x - 0.123)**-0.8", UNIT, "near 0.123"),
        ("1 / (x**3 - 2)", [0.0, 2.0], "near 1.259921"),
        ("x**-0.8 * y", SQUARE, "it grows about as x**-0.8"),
        ("abs(x - y)**-0.8", SQUARE, "it grows about as x**-0.8"),
        ("exp(-1e8 * (x - 0.37)**2)", UNIT, "it has a peak near 0.37"),
        ("where(x < 1e-3, 1000, 0)", UNIT, "it has a peak near 0"),
        ("exp(-x)", [0.0, 1e6], "it has a peak near 0"),
    ],
)
def test_random_points_without_an_error_are_refused(f, bounds, reason):
    with pytest.raises(BadInput, match=re.escape(reason)):
        run(integrate, f=f, over=bounds, samples=10_000)


@pytest.mark.parametrize(
    ("f", "bounds"),
    [
        ("1 / sqrt(x)", UNIT),
        ("log(x)**4", UNIT),
        ("1 / hypot(x, y)", [-1.0, 1.0] * 2),
        ("1 / sqrt(abs(x - y))", SQUARE),
        ("where(x*x + y*y + z*z < 1, 1, 0)", [-1.0, 1.0] * 3),
        ("sin(1 / x)", UNIT),
        ("cosh(x)", [-20.0, 20.0]),
    ],
)
def test_what_is_rough_but_has_an_error_is_integrated_by_random_points(f, bounds):
    result = run(integrate, f=f, over=bounds, samples=10_000)
    better = run(integrate, f=f, over=bounds, samples=1_000_000, seed=1)
    assert abs(result.value - better.value) < 5 * result.error


@pytest.mark.parametrize("samples", [100, 300, 1000, 3000])
@pytest.mark.parametrize(
    ("f", "bounds", "value"),
    [
        ("x**2 + y**2 < 1", [-1.0, 1.0] * 2, math.pi),
        ("where(hypot(x, y) < 1, 1, 0)", SQUARE, math.pi / 4),
        ("4*(x**2 + y**2 <= 1)", SQUARE, math.pi),
        ("x + y < 0.02", SQUARE, 0.0002),
    ],
)
def test_borders_of_regions_are_no_peaks_for_few_random_points(f, bounds, value, samples):
    result = run(integrate, f=f, over=bounds, samples=samples)
    assert abs(result.value - value) < 5 * result.error + 1e-3


def test_the_error_of_midpoints_depends_on_nothing_but_the_grid():
    parameters = {"f": "sqrt(x) + sin(x * 40)", "over": UNIT, "samples": 3000, "method": "midpoint"}
    whole, *others = (run(integrate, block=block, **parameters) for block in (10**6, 1000, 37, 1))
    for result in others:
        assert result.value == pytest.approx(whole.value, rel=1e-14)
        assert result.error == pytest.approx(whole.error, rel=1e-9)


@pytest.mark.parametrize("samples", [81, 243, 1000])
@pytest.mark.parametrize("factor", [1e-300, 1.0, 1e200])
def test_midpoints_of_a_straight_line_have_no_error(samples, factor):
    f = f"(2 * x + 1) * {factor!r}"
    result = run(integrate, f=f, over=[-1.0, 3.0], samples=samples, method="midpoint")
    assert result.value == pytest.approx(12 * factor, rel=1e-15, abs=0)
    assert result.error < 1e-14 * factor


@pytest.mark.parametrize("method", ["montecarlo", "midpoint"])
@pytest.mark.parametrize("bounds", [[0.0, 1e200, 0.0, 1e200], [-1.7e308, 1.7e308]])
def test_bounds_are_finite(method, bounds):
    with pytest.raises(BadInput, match=r"over: expected finite bounds"):
        run(integrate, f="x", over=bounds, method=method)


def test_results_beyond_the_range_of_doubles_are_refused():
    with np.errstate(all="ignore"), pytest.raises(RunFailed, match=r"beyond the range|too large"):
        run(integrate, f="x * 1e300", over=[0.0, 1e10], samples=1000, method="midpoint")


def test_one_random_point_has_no_error():
    with pytest.raises(BadInput, match="no standard error"):
        run(integrate, f="x", over=UNIT, samples=1)


@pytest.mark.parametrize("method", ["montecarlo", "midpoint"])
@pytest.mark.parametrize(
    ("f", "bounds", "exact"), [("2", [0.0, 3.0], 6.0), ("0", [-1.0, 1.0, 0.0, 9.0], 0.0)]
)
def test_a_constant(method, f, bounds, exact):
    result = run(integrate, f=f, over=bounds, samples=50_000, method=method)
    assert (result.value, result.error) == (exact, 0.0)


def test_more_midpoints_are_better():
    errors = [
        run(
            integrate, f="exp(x * y)", over=[0.0, 1.0, 0.0, 1.0], samples=samples, method="midpoint"
        ).error
        for samples in (2 * 10**3, 2 * 10**4, 2 * 10**5, 2 * 10**6)
    ]
    assert all(left > 7 * right for left, right in itertools.pairwise(errors))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("integrands")
    (folder / "a folder").mkdir()
    (folder / "a folder" / "mine.py").write_text("def square(x):\n    return x**2\n")
    (folder / "theirs.py").write_text(
        "class Of:\n    @staticmethod\n    def squares(x):\n        return x * x\n"
    )
    return folder


@pytest.mark.parametrize(
    "f", ["x**2", "a folder/mine.py:square", "theirs:Of.squares", "theirs.py:Of.squares"]
)
def test_the_integrand_is_an_expression_or_in_a_file_or_a_module(f, folder):
    options = ("--over", "0", "1", "--samples", "1e5", "--seed", "7", "--workers", "2", "--json")
    result = python("-m", "mpipar.integrate", "--f", f, *options, cwd=folder).json
    expected = run(integrate, f="x * x", over=[0.0, 1.0], samples=10**5, seed=7)
    assert (result["value"], result["error"]) == (expected.value, expected.error)


def test_negative_numbers_and_expressions_are_no_options(folder):
    options = (
        "--f",
        "-x**2",
        "--over",
        "-1e1",
        "-.5e0",
        "--method",
        "midpoint",
        "--samples",
        "3e5",
        "--json",
    )
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
    with pytest.raises(
        BadInput, match=r"samples: the midpoint rule needs \d+ points or more in 10 dimensions"
    ):
        run(integrate, f="x0", over=[0.0, 1.0] * 10, samples=1000, method="midpoint")
