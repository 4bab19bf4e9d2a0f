import math
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mpipar.core import exact
from mpipar.core.exact import ExactArray, from_fixed, to_fixed

MODERATE = settings(max_examples=100, deadline=None)

TINY = 5e-324  # the smallest subnormal
LARGEST = sys.float_info.max
UNIT = Fraction(1, 2**exact.FRACTION_BITS)

finite = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [0.0, -0.0, TINY, -TINY, 2.0**-1022, LARGEST, -LARGEST, 1.0, 2.0**53, 2.0**-53]
)
tables = npst.arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=finite)


def rounded(exact_value: Fraction) -> float:
    """Return the double nearest to a fraction, infinite beyond their range."""
    try:
        return exact_value.numerator / exact_value.denominator
    except OverflowError:
        return math.inf if exact_value > 0 else -math.inf


def scalar_sum(column) -> float:
    return from_fixed(sum(to_fixed(float(x)) for x in column))


def array_of(rows, shape) -> ExactArray:
    total = ExactArray(shape)
    for row in rows:
        total.add(row)
    return total


def bits(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values).tobytes()


@MODERATE
@given(x=finite)
def test_fixed_point_holds_every_finite_double_exactly(x):
    assert to_fixed(x) * UNIT == Fraction(x)
    assert from_fixed(to_fixed(x)) == x


@MODERATE
@given(values=st.lists(finite, max_size=30))
def test_scalar_sum_is_the_correctly_rounded_one(values):
    expected = rounded(sum(map(Fraction, values), Fraction(0)))
    assert scalar_sum(values) == expected


@MODERATE
@given(values=st.lists(st.floats(-1e300, 1e300), max_size=30))
def test_scalar_sum_agrees_with_fsum(values):
    assert scalar_sum(values) == math.fsum(values)


@pytest.mark.parametrize("sign", [1, -1])
def test_scalar_sum_beyond_the_doubles_is_infinite(sign):
    assert from_fixed(2 * sign * to_fixed(LARGEST)) == sign * math.inf
    assert from_fixed(sign * to_fixed(LARGEST)) == sign * LARGEST


@MODERATE
@given(table=tables)
def test_array_sum_is_the_correctly_rounded_one(table):
    expected = [rounded(sum(map(Fraction, column.tolist()), Fraction(0))) for column in table.T]
    assert array_of(table, table.shape[1:]).value().tolist() == expected


@MODERATE
@given(table=tables, data=st.data())
def test_array_sum_has_the_same_bits_for_any_grouping_and_order(table, data):
    shape = table.shape[1:]
    expected = bits(array_of(table, shape).value())
    order = data.draw(st.permutations(range(len(table))))
    groups = data.draw(st.integers(1, len(table)))
    totals = [array_of(table[order[group::groups]], shape) for group in range(groups)]
    while len(totals) > 1:
        other = totals.pop(data.draw(st.integers(0, len(totals) - 1)))
        totals[data.draw(st.integers(0, len(totals) - 1))].merge(other)
    assert bits(totals[0].value()) == expected


@MODERATE
@given(table=tables)
def test_what_is_added_and_taken_away_cancels_to_zero(table):
    total = array_of(table, table.shape[1:])
    for row in table[::-1]:
        total.add(-row)
    assert bits(total.value()) == bits(np.zeros(table.shape[1]))


@MODERATE
@given(table=tables)
def test_asking_for_the_value_changes_nothing(table):
    asked, not_asked = ExactArray(table.shape[1:]), ExactArray(table.shape[1:])
    for row in table:
        asked.add(row)
        not_asked.add(row)
        first = bits(asked.value())
        assert bits(asked.value()) == first
    assert bits(asked.value()) == bits(not_asked.value())


TIES = [
    ([1.0, 2.0**-53], 1.0),  # half way, down to even
    ([1.0, 2.0**-52, 2.0**-53], 1.0 + 2.0**-51),  # half way, up to even
    ([1.0, 2.0**-53, TINY], 1.0 + 2.0**-52),  # just above half way
    ([1.0, 2.0**-53, -TINY], 1.0),  # just below half way
    ([1.0, 2.0**-53, 2.0**-900, -TINY], 1.0 + 2.0**-52),
    ([1.0, -(2.0**-54)], 1.0),  # half way below a power of two
    ([1.0, -(2.0**-54), -TINY], 1.0 - 2.0**-53),
    ([2.0**53, 1.0], 2.0**53),
    ([2.0**53, 3.0], 2.0**53 + 4.0),
    ([2.0**-1022, -TINY], 2.0**-1022 - TINY),  # below the normal range
    ([TINY] * 3, 3 * TINY),
    ([LARGEST, 2.0**969], LARGEST),  # below half way to 2¹⁰²⁴
    ([LARGEST, 2.0**970], math.inf),  # half way, up to even
    ([LARGEST, LARGEST, -LARGEST], LARGEST),  # what lies between may be beyond the range
]


@pytest.mark.parametrize(("terms", "expected"), TIES)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_sum_is_rounded_once_ties_to_even(terms, expected, sign):
    assert scalar_sum([sign * x for x in terms]) == sign * expected
    assert array_of([np.array([sign * x, 1.0]) for x in terms], (2,)).value().tolist() == [
        sign * expected,
        len(terms),
    ]


SPECIAL = [
    ([math.inf, 1.0, LARGEST], math.inf),
    ([-math.inf, 1.0, LARGEST], -math.inf),
    ([math.inf, -math.inf, 0.0], math.nan),
    ([math.inf, math.nan, 1.0], math.nan),
    ([math.nan, -math.inf, LARGEST], math.nan),
]


@pytest.mark.parametrize(("terms", "expected"), SPECIAL)
def test_infinities_and_nan_give_what_ieee_says_in_any_order(terms, expected):
    for turn in range(3):
        rows = [np.array([x, 2.0]) for x in terms[turn:] + terms[:turn]]
        total = array_of(rows[:1], (2,))
        total.merge(array_of(rows[1:], (2,)))
        np.testing.assert_equal(total.value(), [expected, 6.0])


def test_arrays_of_any_shape_are_summed_element_by_element():
    for shape in ((), (0,), (3,), (2, 0, 3), (2, 3, 4)):
        values = np.arange(math.prod(shape), dtype=float).reshape(shape) + 0.5
        value = array_of([values, values], shape).value()
        assert value.shape == shape
        np.testing.assert_array_equal(value, 2 * values)
        assert array_of([], shape).value().shape == shape


def test_other_real_types_are_summed_as_doubles():
    total = array_of(
        [np.array([1, 2]), np.array([0.5, 0.25], np.float32), np.array([True, False])], (2,)
    )
    assert total.value().tolist() == [2.5, 2.25]


@MODERATE
@given(
    rows=st.sampled_from([np.int64, np.uint64]).flatmap(
        lambda kind: npst.arrays(kind, st.tuples(st.integers(1, 6), st.integers(1, 3)))
    )
)
@example(rows=np.array([[2**53 + 1]], np.int64))
@example(rows=np.array([[-(2**53) - 1]], np.int64))
@example(rows=np.array([[2**64 - 1], [2**64 - 1]], np.uint64))
def test_whole_numbers_of_64_bits_are_summed_as_pythons_are(rows):
    got = array_of(rows, rows.shape[1:]).value()
    expected = [sum(column.tolist()) for column in rows.T]
    assert list(map(int, got)) == expected
    if got.dtype != float:
        fit = all(-(2**63) <= each < 2**63 for each in expected)
        assert got.dtype == (np.int64 if fit else object)


def test_adding_leaves_the_values_as_they_are():
    values = np.array([1.0, math.inf, -3.0])
    before = values.copy()
    total, other = ExactArray((3,)), ExactArray((3,))
    total.add(values)
    other.merge(total)
    other.add(values)
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(total.value(), before)


def test_another_shape_raises_and_names_both():
    total = array_of([np.ones(3)], (3,))
    with pytest.raises(ValueError, match=r"\(2,\) after \(3,\)"):
        total.add(np.ones(2))
    with pytest.raises(ValueError, match=r"\(3, 1\) after \(3,\)"):
        total.merge(ExactArray((3, 1)))


@MODERATE
@given(
    row=npst.arrays(np.float64, 3, elements=st.floats(-1e290, 1e290)),
    times=st.integers(1, exact._ADDITIONS - 1),
)
@example(row=np.array([1.0, -1.0, 2.0**21]) * np.nextafter(2.0, 0.0), times=exact._ADDITIONS - 1)
def test_very_many_additions_do_not_overflow_the_words(row, times):
    def added(times):  # as if the row had been added so many times
        total = array_of([row], (3,))
        total.words *= times
        total.additions = times
        return total

    total = added(times)
    for _ in range(8):
        total.merge(added(exact._ADDITIONS - 1))
    total.add(row)
    factor = times + 8 * (exact._ADDITIONS - 1) + 1
    assert total.value().tolist() == [rounded(Fraction(x) * factor) for x in row.tolist()]


@MODERATE
@given(table=tables)
def test_carrying_at_every_addition_changes_no_bit(table):
    shape = table.shape[1:]
    carrying = ExactArray(shape)
    for row in table:
        carrying.additions = exact._ADDITIONS - 1
        carrying.add(row)
        assert carrying.additions < exact._ADDITIONS - 1 or not row.any()
    assert bits(carrying.value()) == bits(array_of(table, shape).value())
