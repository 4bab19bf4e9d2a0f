"""Many numbers at once make the total that they make one by one."""

from functools import reduce

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mpipar import Count, ExactSum, driver
from mpipar.core.at_once import NEVER, at_once
from mpipar.core.blocks import Blocks
from mpipar.runtime.evaluate import Evaluator, Task

DOUBLES = st.floats() | st.sampled_from([5e-324, -5e-324, 2.0**-1022, 1.7e308, 0.0, -0.0])
NUMBERS = DOUBLES | DOUBLES.map(np.float64)
INTEGERS = st.integers() | st.integers(-(2**63), 2**63 - 1).map(np.int64)


def one_by_one(reduction, partials):
    return reduce(lambda total, one: reduction.add(total, one, None), partials, reduction.start())


def same(one, other):
    """Return whether totals are the same, NaN included."""
    return repr(one) == repr(other)


@given(st.lists(NUMBERS, min_size=1, max_size=60))
def test_doubles_have_the_same_total(numbers):
    adds = at_once(ExactSum())
    assert {type(number) for number in numbers} <= adds.types
    expected = one_by_one(ExactSum(), numbers)
    found = ExactSum().merge(ExactSum().start(), adds.total(numbers))
    assert found[0] == expected[0]
    assert same(float(found[1]), float(expected[1]))
    assert found[2] == expected[2]


@given(st.lists(st.floats(1.0, 2.0), min_size=100, max_size=2000), st.integers(-1074, 1022))
def test_many_doubles_of_one_size_have_the_same_total(numbers, exponent):
    scaled = np.ldexp(numbers, exponent).tolist()
    assert at_once(ExactSum()).total(scaled) == one_by_one(ExactSum(), scaled)


@given(st.lists(INTEGERS, min_size=1))
def test_integers_have_the_same_total(numbers):
    adds = at_once(Count())
    assert {type(number) for number in numbers} <= adds.types
    assert adds.total(numbers) == one_by_one(Count(), numbers)
    assert type(adds.total(numbers)) is int


def test_a_class_that_is_derived_adds_by_itself():
    class Absolute(ExactSum):
        def add(self, total, partial, block):
            return super().add(total, abs(partial), block)

    assert at_once(Absolute()) is NEVER
    evaluator = evaluator_of(lambda block: -1.0, Absolute)
    outcome = evaluator.evaluate(Blocks([range(10)]))
    assert Absolute().finish(outcome.total) == 10.0


def evaluator_of(function, reduction) -> Evaluator:
    def kernel(block, *, items: int):
        return function(block)

    return Evaluator(Task(driver(n="items", reduction=reduction)(kernel).bind({"items": 10})))


def test_numbers_before_and_after_others_are_added_too():
    values = [1.5, np.float64(2.0), 3, np.array(4.0), True, 0.25, 1, 2.0, np.float32(1), 5.0]
    outcome = evaluator_of(lambda block: values[block.index], ExactSum).evaluate(
        Blocks([range(10)])
    )
    assert ExactSum().finish(outcome.total) == 20.75
    assert outcome.blocks == 10


def test_an_array_after_numbers_fails_in_its_block():
    values = [1.0, 2.0, np.ones(3), 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    outcome = evaluator_of(lambda block: values[block.index], ExactSum).evaluate(
        Blocks([range(10)])
    )
    assert "block 2" in outcome.failure.message(0, "host")
    assert outcome.blocks == 0
    assert outcome.total is None


def test_a_number_after_an_array_fails_in_its_block():
    values = [np.ones(3), np.ones(3), 1.0, *[np.ones(3)] * 7]
    outcome = evaluator_of(lambda block: values[block.index], ExactSum).evaluate(
        Blocks([range(10)])
    )
    assert "block 2" in outcome.failure.message(0, "host")


def test_what_was_done_before_a_failure_counts():
    def value(block):
        if block.index == 7:
            raise ValueError("seven")
        return float(block.index)

    outcome = evaluator_of(value, ExactSum).evaluate(Blocks([range(10)]))
    assert outcome.blocks == 7
    assert ExactSum().finish(outcome.total) == sum(range(7))
