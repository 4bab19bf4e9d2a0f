"""Functions that are tried before a run: those that depend on the block are refused."""

import math
import random

import numpy as np
import pytest
from scipy import special

from mpipar import BadInput
from mpipar.inputs.each_alone import check_each_alone
from mpipar.inputs.expression import Expression

X = np.array([0.75, 0.25, 1.5, 0.5])


@pytest.mark.parametrize(
    "function",
    [
        np.sin,
        np.vectorize(math.sin),
        special.gamma,
        lambda x: np.maximum(x, 0.5),
        lambda x: np.where(x > 0.5, 1.0, np.nan),
        lambda x: 1 / (x - 0.75),  # infinite at one of them
        lambda x: 3.0,
        lambda x: x > 0.5,
        lambda x: np.stack([x, x**2], axis=1),
        lambda x: np.array([math.erf(one) for one in x]),
    ],
)
def test_functions_of_each_point_are_taken(function):
    check_each_alone("f", function, [X])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.max(x, 0),
        lambda x: x - x.mean(),
        lambda x: x / x.sum(),
        lambda x: np.sort(x),
        lambda x: np.cumsum(x),
        lambda x: x[0],
        lambda x: np.full(x.shape, x.std()),
        lambda x: (x - x.min()) / np.ptp(x),
        lambda x: x / np.linalg.norm(x),
        lambda x: np.arange(len(x)) * 1.0,
        special.softmax,
        lambda x: x + random.random(),
        lambda x: len(x),
        lambda x: np.roll(x, 1),
    ],
)
def test_functions_of_the_block_are_refused(function):
    with pytest.raises(BadInput, match="depends on the other points of its block"):
        check_each_alone("f", function, [X])


@pytest.mark.parametrize(
    "function",
    [
        math.sin,
        lambda x: max(x, 0),
        lambda x: 1.0 if x > 0 else 0.0,
        lambda x: "text",
        lambda x, y: x,
        lambda x: x[:2],
        lambda x: np.outer(x, x)[None],
    ],
)
def test_what_does_not_take_arrays_is_refused_in_one_line(function):
    with pytest.raises(BadInput, match=r"^f: ") as caught:
        check_each_alone("f", function, [X])
    assert "\n" not in str(caught.value)


def test_complex_values_are_refused_where_real_ones_are_needed():
    with pytest.raises(BadInput, match="complex; take real"):
        check_each_alone("x + 1j", lambda x: x + 1j, [X], real=True)


def test_a_power_is_written_with_two_stars():
    with pytest.raises(BadInput, match=r"write \*\*$"):
        check_each_alone("x^2", Expression("x^2", ["x"]), [X])


def test_what_fails_for_some_values_is_for_the_run_to_tell():
    check_each_alone("f", lambda x: {}["nothing"], [X])
