"""Formulas that are compiled: operation by operation what NumPy gives, within 4 units in the last
place; and what can't be compiled is refused in one line."""

import itertools

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mpipar.base.errors import BadInput
from mpipar.core import midpoint
from mpipar.core.block import Block
from mpipar.core.devices.compiled import JIT
from mpipar.inputs.expression import CarefulExpression, Expression
from mpipar.integrate import integrate
from mpipar.kernels import elementary, formula_loops, midpoint_loops
from mpipar.kernels.formula import compilable
from mpipar.kernels.scalar_forms import CASTS, FORMS, MOST_PRODUCTS
from mpipar.roots import roots

MOST_ULPS = 4  # what docs/loops.md promises, …
MOST_ULPS_OF_POWERS = 8  # … and for these
MODERATE = settings(max_examples=60, deadline=None)
ANY = st.floats() | st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.0, 2.0, np.inf, -np.inf, np.nan])
WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(-70, 70)
OF_TYPE = {"d": ANY, "l": WHOLE, "?": st.booleans()}
TYPES = {"d": np.float64, "l": np.int64, "?": np.bool_}


def has_loop(kind, name):
    """Return whether NumPy has a loop of this type: for ``floor`` of bools it has since 2.1."""
    ufunc = getattr(np, name)
    return any(loop.startswith(kind * ufunc.nin + "->") for loop in ufunc.types)


OPERATIONS = [
    (kind, name) for kind, forms in FORMS.items() for name in forms if has_loop(kind, name)
]


def assert_close(got, wanted, where, most=MOST_ULPS):
    """Assert that a number is another, but for some units in the last place."""
    if isinstance(wanted, np.floating) and np.isfinite(wanted) and np.isfinite(got):
        assert abs(got - wanted) <= most * np.spacing(abs(wanted)), where
        return
    overflows = np.isinf(wanted) and abs(got) > 1.797693134862315e308
    assert overflows or np.array_equal(got, wanted, equal_nan=True), where


def check(text, types, *values, most=MOST_ULPS):
    """Assert that both forms of a formula give what NumPy gives, and raise where whole numbers
    would wrap around; the fast one may decline.
    """
    variables = ["x", "y", "z"][: len(types)]
    expression = CarefulExpression(text, variables)
    columns = np.array([[TYPES[kind](value)] for kind, value in zip(types, values, strict=True)])
    if len({*types}) > 1:
        columns = np.array(columns, object)
    with np.errstate(all="ignore"):
        arrays = [np.array([value], TYPES[kind]) for kind, value in zip(types, values, strict=True)]
        formula = compilable(expression, types)
        try:
            (wanted,) = np.broadcast_to(expression(*arrays), (1,))
        except BadInput:
            for form in (formula.near, formula.anywhere):
                with pytest.raises((OverflowError, ZeroDivisionError)):
                    form(columns, 0)
            return True
        near, is_outside = formula.near(columns, 0)
        anywhere = formula.anywhere(columns, 0)
        assert_close(anywhere, wanted, (text, values, anywhere, wanted), most)
    assert wanted.dtype.char == formula.type
    assert is_outside or np.array_equal(near, anywhere, equal_nan=True), (text, values)
    return is_outside


@pytest.mark.parametrize(("kind", "name"), OPERATIONS)
def test_each_operation_is_what_numpy_gives(kind, name):
    ufunc = getattr(np, name)
    operands = "xy"[: ufunc.nin]
    values = [OF_TYPE[kind]] * ufunc.nin
    if kind == "l" and name == "power":
        pytest.skip("of a power that is known, below")

    @settings(max_examples=25, deadline=None)
    @given(st.tuples(*values).filter(lambda given: given != (-np.inf, 0.5)))
    def agrees(values):  # NumPy takes a root for that power of scalars, and C's pow of arrays
        check(f"{name}({', '.join(operands)})", kind * ufunc.nin, *values)

    agrees()


@pytest.mark.parametrize(
    ("kind", "operand"),
    [
        ("d", "{}"),  # the others take seconds to compile
        pytest.param("l", "int64({})", marks=pytest.mark.ci),
        pytest.param("?", "({} > 0)", marks=pytest.mark.ci),
    ],
)
def test_numba_takes_each_operation(kind, operand):
    parts = []
    for name in FORMS[kind]:
        if not has_loop(kind, name):
            continue
        operands = [operand.format(variable) for variable in "xy"[: getattr(np, name).nin]]
        if name == "power":
            operands[1] = "5"
        parts.append(f"where({name}({', '.join(operands)}) != 0, x, y)")
    zeros = [3.0, -3.0] if kind == "l" else [0.0, -0.0]  # whole numbers aren't divided by zero
    check_compiled(" + ".join(parts), [1.5, 2.5, -3.5, 0.0], [2.0, -1.0, *zeros])


@pytest.mark.parametrize(
    ("text", "raised"),
    [
        ("int64(x) * 2**62", OverflowError),
        ("int64(x * 1e19)", OverflowError),
        ("2**62 // int64(x - 2.5)", ZeroDivisionError),
    ],
)
def test_compiled_whole_numbers_that_do_not_fit_raise(text, raised):
    with pytest.raises(raised):
        check_compiled(text, [0.5, 2.5, 0.0], [0.0, 0.0, 0.0])


def test_a_power_of_doubles_is_that_of_c():
    check_compiled("float_power(x, 0.5) + y", [4.0, 0.0, -np.inf, np.nan], [1.0, 1.0, 1.0, 1.0])


def check_compiled(text, x, y):
    """Assert that a formula is what NumPy gives once Numba has compiled it."""
    numba_compiler = pytest.importorskip("mpipar.runtime.numba_compiler")
    expression = Expression(text, ["x", "y"])
    evaluate = formula_loops.evaluation_of(compilable(expression, "dd"))
    evaluate.__dict__[JIT] = {"error_model": "numpy", "strict": False}
    columns = np.array([x, y])
    out = np.empty(len(x))
    compiled = numba_compiler.compiled(evaluate, [columns, len(x), out, 0])
    compiled.function(columns, len(x), out, 0)
    with np.errstate(all="ignore"):
        assert np.array_equal(out, expression(*columns), equal_nan=True)


@pytest.mark.parametrize("power", [*range(-MOST_PRODUCTS - 1, MOST_PRODUCTS + 2), 0.5, 1.5, 2.5])
def test_powers_that_are_known(power):
    @MODERATE
    @given(ANY)
    @example(1e-160)
    @example(-1e-103)
    @example(1.0878548756)
    def agrees(x):
        check(f"x**{power}", "d", x, most=MOST_ULPS_OF_POWERS)

    agrees()


@pytest.mark.parametrize("power", [0, 1, 2, 5, 63])
@given(x=WHOLE)
@MODERATE
def test_powers_of_whole_numbers(power, x):
    check(f"x**{power}", "l", x)


@given(st.floats(-800, 800))
@MODERATE
def test_exponentials(x):
    check("exp(x)", "d", x)


@given(st.floats(-elementary.FAR, elementary.FAR) | st.integers(-600_000, 600_000))
@MODERATE
def test_angles(x):
    for name in ("sin", "cos", "tan"):
        for angle in (float(x), x * np.pi / 2):
            assert check(f"{name}(x)", "d", angle) == (abs(angle) > elementary.FAR)


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("where(x < y, x, 1)", "dd"),
        ("where(x, 2, y > 0)", "dd"),
        ("clip(x, -1, y)", "dd"),
        ("clip(x, -1, 0.5)", "d"),
        ("1 * (x > 0) + 1 * (y > 0)", "dd"),
        ("(x > 0) * 2.5 - (y > 0) * 3", "dd"),
        ("(x > 1) & ~(y < 0) | (x == y)", "dd"),
        ("sum([x, y, x], axis=0)", "dd"),
        ("prod([x > 0, y > 0], axis=0)", "dd"),
        ("max([x, y, 0*x], axis=0)", "dd"),
        ("any([x, y], axis=0)", "dd"),
        ("all([x > 0, y > 0], axis=0)", "dd"),
        ("polyval([2, 1], x)", "d"),
        ("polyval((1, -2, 0.5), x)", "d"),
        ("x / 3 + y // 2", "ll"),
        ("x % 7 - 2**40 % 3", "l"),
        ("(x << 3) ^ (y >> 2)", "ll"),
        ("bool_(x) | (y != 0)", "dl"),
        ("int64(x > y) - 1", "dd"),
        ("float64(x) * 2", "l"),
        ("round(x)", "d"),
        ("round(x) + 1", "l"),
        ("sqrt(2) + pi * x", "d"),
        ("sum([1, 2, 4]) * x", "d"),
        ("1", "d"),
        ("-inf < x", "d"),
        ("nan * x", "d"),
        ("x**inf + x**-inf", "d"),
        ("x**nan", "d"),
    ],
)
def test_formulas_are_what_numpy_gives(text, types):
    @MODERATE
    @given(st.tuples(*[OF_TYPE[kind] for kind in types]))
    def agrees(values):
        check(text, types, *values)

    agrees()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("interp(x, [0, 1], [1, 2])", "interp can't be compiled: take --device cpu"),
        ("exp(x > 0) + x", "'exp(x > 0)': exp of bool can't be compiled"),
        ("abs(1j * x)", "'1j': complex128 can't be compiled"),
        ("float32(x) + 1", "'float32(x)': float32 can't be compiled"),
        ("median([x, y], axis=0)", "median with axis can't be compiled"),
        ("round(x, decimals=1)", "round with decimals can't be compiled"),
        ("sort([x, y], axis=0)[0]", "can't be compiled"),
        ("x + int64(1e300)", "'int64(1e300)': OverflowError: "),
        ("(x > 0) + (y > 0)", "add of bool can't be compiled"),
        ("i0(x)", "i0 can't be compiled"),
        ("int64(x) ** int64(y)", "a power of whole numbers that isn't known"),
    ],
)
def test_what_cant_be_compiled_is_refused_in_one_line(text, told):
    with pytest.raises(BadInput) as caught:
        compilable(Expression(text, ["x", "y"]), "dd")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("given_type", "kind"), CASTS)
def test_casts_are_those_of_numpy(given_type, kind):
    name = {"d": "float64", "l": "int64", "?": "bool_"}[kind]

    @MODERATE
    @given(OF_TYPE[given_type])
    def agrees(x):
        check(f"{name}(x)", given_type, x)

    agrees()


def test_a_formula_that_is_nested_deep():
    text = "x" + " + x" * 400
    assert check(text, "d", 0.5) is not True


def test_what_is_no_formula_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"formulas alone can be compiled: take --device cpu"):
        roots.bind({"points": 10, "f": "numpy:sqrt"}, device="compiled")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.ones(5)
    with pytest.raises(
        BadInput, match=r"compiled code takes no rows of a dataset: take --device cpu"
    ):
        roots.bind({"f": "x", "input": f"{tmp_path / 'a.h5'}:/x"}, device="compiled")


def grid_of_values(block, over, points, f):
    return roots.function(block, np, f=f, points=points, over=over, input=None)


@pytest.mark.parametrize("start", [0, 7, 1000])
def test_the_loop_of_roots_is_its_readable_form(start):
    block, over = Block(0, start, start + 1300), [0.5, 9e6]
    loop = formula_loops.of_formula(formula_loops.roots, "sin(x) + x", ["x"])
    got = loop(block, points=3000, over=over)
    wanted = grid_of_values(block, over, 3000, "sin(x) + x")
    np.testing.assert_allclose(got, wanted, rtol=4e-16)


@pytest.mark.parametrize(
    ("f", "variables", "over"),
    [
        ("exp(-x**2)", "x", [0.0, 2.0]),
        ("sqrt(x) * y", "xy", [0.0, 1.0, -1.0, 2.0]),
        ("x * y * z + 1", "xyz", [0.0, 1.0, 0.0, 2.0, 1.0, 2.0]),
    ],
)
@pytest.mark.parametrize("samples", [3800, 40_000])
def test_the_loops_of_midpoints_are_their_readable_form(f, variables, over, samples):
    dimensions = len(over) // 2
    grid = midpoint.grid(samples, dimensions)
    low, high = np.array(over).reshape(-1, 2).T
    box = midpoint.Box(low[:, None], (high - low)[:, None], grid)
    loop = midpoint_loops.of_formula(f, list(variables))
    n = grid.m**dimensions
    for start, stop in itertools.pairwise([0, 20, 700, n - 20, n]):
        wanted = midpoint.evaluate(np, Expression(f, list(variables)), box, start, stop)
        got = loop(Block(0, start, stop), over=over, samples=samples)
        np.testing.assert_allclose(got[0], wanted[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(got[1], wanted[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1e-160, 1e150])
def test_sums_of_deviations_are_moments_of_the_samples(scale):
    values = np.random.default_rng(1).normal(3.0, 1.0, 2000) * scale
    reduction = integrate.bind({"f": "x", "over": [0.0, 1.0]}).reduction
    block = Block(0, 0, values.size)
    wanted = reduction.finish(reduction.add(None, values, block))
    got = reduction.finish(reduction.add(None, formula_loops.deviations(values), block))
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_sums_that_are_not_finite_are_refused_as_samples_are():
    reduction = integrate.bind({"f": "x", "over": [0.0, 1.0]}).reduction
    for value in (np.inf, np.nan, 1e200):
        values = np.array([1.0, value])
        with np.errstate(all="ignore"), pytest.raises(TypeError, match="needs finite samples"):
            reduction.add(None, formula_loops.deviations(values), Block(0, 0, 2))


def test_zero_stays_zero_however_far_it_is_shifted():
    shifted = CarefulExpression("left_shift(x, y)", ["x", "y"])(np.array([0]), np.array([1024]))
    assert shifted.tolist() == [0]
