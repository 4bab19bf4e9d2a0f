"""Compiled code is right or refused: loops whose truth is plain Python."""

import re

import checked_loops
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar import BadInput
from mpipar.runtime import code_cache

numba = pytest.importorskip("numba")
numba_compiler = pytest.importorskip("mpipar.runtime.numba_compiler")
checked_recursion = pytest.importorskip("mpipar.runtime.checked_recursion")
numba_functions = pytest.importorskip("mpipar.runtime.numba_functions")

ALWAYS = ("fibonacci", "fnv", "xorshift", "blurred", "rounded", "splitmix", "small_store")
"""What each test run compiles; the rest is compiled by CI."""


@pytest.fixture(autouse=True, scope="module")
def _folder_of_these_tests(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(code_cache.VARIABLE, str(tmp_path_factory.mktemp("code")))
        yield


def cases(table):
    """Return the rows of a table as parameters of a test."""
    rows = []
    for number, row in enumerate(table):
        name = row[0].__name__
        marks = () if name in ALWAYS or number % 10 == 0 else pytest.mark.ci
        rows.append(pytest.param(row, marks=marks, id=f"{number}-{name}"))
    return rows


def compiled(function, arguments):
    return numba_compiler.compiled(function, arguments).function(*arguments)


@pytest.mark.parametrize("row", cases(checked_loops.GOOD))
def test_a_loop_gives_what_plain_python_does(row):
    function, *arguments = row
    with np.errstate(over="ignore"):  # hashes wrap
        expected = function(*arguments)
    assert compiled(function, arguments) == expected


@pytest.mark.parametrize("row", cases(checked_loops.REFUSED))
def test_what_would_differ_is_refused_with_its_line(row):
    function, argument, reason = row
    with pytest.raises(BadInput, match=f"(?s)^Numba refuses .*{reason}.*line \\d+\\)$"):
        compiled(function, [argument])


@pytest.mark.parametrize("row", cases(checked_loops.RAISING))
def test_what_has_no_place_in_64_bits_raises(row):
    function, *arguments, error = row
    with pytest.raises(error):
        compiled(function, arguments)


def test_a_function_that_calls_itself_is_put_into_itself():
    dispatcher = numba_functions.dispatcher(checked_loops.called_twice, {"strict": True})
    assert dispatcher(10) == checked_loops.called_twice(10)
    (made,) = dispatcher.overloads.values()
    own = re.escape(made.fndesc.llvm_func_name)
    code = str(made.library.get_function(made.fndesc.llvm_func_name))
    assert len(re.findall(f'call i32 @"?{own}"?\\(', code)) == 2 ** (1 + checked_recursion.COPIES)


WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(-70, 70)
OPERATIONS = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "//": lambda x, y: x // y,
    "%": lambda x, y: x % y,
    "/": lambda x, y: x / y,
    "**": lambda x, y: x**y,
    "<<": lambda x, y: x << y,
    ">>": lambda x, y: x >> y,
    "&|^~": lambda x, y: (x & y) - (x | ~y) // 3 + (x ^ y) // 5,
    "<": lambda x, y: (x < y + 0.5) + 2 * (x == y * 1.0),
    "abs": lambda x, y: abs(x) // 2 + abs(-y) // 2,
}


@pytest.mark.parametrize(
    "sign",
    [pytest.param(sign, marks=() if sign in "*<<" else pytest.mark.ci) for sign in OPERATIONS],
)
@settings(max_examples=300, deadline=None)
@given(x=WHOLE, y=WHOLE)
def test_an_operation_is_pythons_or_raises(sign, x, y):
    function = OPERATIONS[sign]
    if sign in ("**", "<<"):
        y = max(-64, min(y, 300))
    try:
        expected = function(x, y)
    except (ArithmeticError, ValueError):
        expected = None
    try:
        got = compiled(function, [x, y])
    except (OverflowError, ZeroDivisionError, ValueError):
        is_whole = isinstance(expected, int)
        # Between steps there may be more bits than in the end.
        assert (
            expected is None
            or not is_whole
            or sign in ("&|^~", "<", "abs")
            or abs(expected) >= 2**63
        )
        return
    assert got == expected


def test_who_wants_numbas_own_rules_says_so():
    def wraps(x):
        return x * 4

    with pytest.raises(OverflowError):
        compiled(wraps, [2**62])
    wraps.__mpipar_jit__ = {"strict": False}
    assert compiled(wraps, [2**62]) == 0
