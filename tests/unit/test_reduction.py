import functools
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar import Concatenate, Count, Each, ExactSum, Histogram, InOrder, MinMax, Moments, Plan
from mpipar.testing import check_reduction
from mpipar.testing.bits import bits

MODERATE = settings(max_examples=25, deadline=None)
FEW = settings(max_examples=8, deadline=None)

plans = st.builds(Plan, st.integers(1, 60), st.integers(1, 9))
seeds = st.integers(0, 2**32)


def reduce_in_order(reduction, plan, partial):
    """Return the result of adding all blocks one after the other."""
    total = reduction.start()
    for index in range(plan.n_blocks):
        total = reduction.add(total, partial(plan[index]), plan[index])
    return reduction.finish(total)


def rng_of(seed, block):
    return np.random.default_rng([seed, block.index])


def draws(seed, block, *shape):
    """Return random numbers of widely different magnitudes, the same for the same block."""
    rng, shape = rng_of(seed, block), shape or block.size
    return rng.standard_normal(shape) * 10.0 ** rng.integers(-30, 30, shape)


def chosen(*values):
    return lambda seed, block: rng_of(seed, block).choice(values, block.size)


def letters(seed, block):
    return "".join(chr(97 + (i * 7 + seed) % 26) for i in block)


CASES = {
    "sum of numbers": (ExactSum(), lambda seed, block: float(draws(seed, block).sum())),
    "sum of arrays": (ExactSum(), lambda seed, block: draws(seed, block, 2, 3)),
    "count": (Count(), lambda seed, block: 10**18 + seed * block.index),
    "counts": (Count(), lambda seed, block: np.array([block.size, seed])),
    "counts beyond 64 bits": (
        Count(),
        lambda seed, block: rng_of(seed, block).integers(2**61, 2**63, 3),
    ),
    "counts of both signs": (
        Count(),
        lambda seed, block: rng_of(seed, block).integers(-(2**50), 2**50, 2),
    ),
    "extremes": (MinMax(), draws),
    "extremes with ties": (MinMax(), chosen(-1.0, 0.0, -0.0, 1.0)),
    "extremes with NaN": (MinMax(), chosen(1.0, 2.0, 3.0, math.nan)),
    "moments": (Moments(), draws),
    "moments of arrays": (Moments(), lambda seed, block: draws(seed, block, block.size, 2)),
    "histogram": (Histogram([-2.0, -0.5, 0.0, 3.0]), draws),
    "rows": (Concatenate(), lambda seed, block: draws(seed, block, block.size, 2)),
    "text in order": (InOrder(str.__add__), letters),
    "product of matrices": (
        InOrder(np.matmul),
        lambda seed, block: rng_of(seed, block).standard_normal((3, 3)),
    ),
    "side by side": (
        Each(sum=ExactSum(), text=InOrder(str.__add__)),
        lambda seed, block: {"sum": draws(seed, block)[0], "text": letters(seed, block)},
    ),
}


@pytest.mark.parametrize("case", CASES)
@MODERATE
@given(plan=plans.filter(lambda plan: plan.n_blocks >= 3), seed=seeds)
def test_result_has_the_same_bits_whoever_evaluates_the_blocks_and_in_whatever_order(
    case, plan, seed
):
    reduction, partial = CASES[case][0], functools.partial(CASES[case][1], seed)
    result = check_reduction(reduction, partial, plan=plan, seed=seed)
    assert bits(result) == bits(reduce_in_order(reduction, plan, partial))


@MODERATE
@given(plan=plans, seed=seeds)
def test_exact_sum_is_the_correctly_rounded_sum(plan, seed):
    terms = [draws(seed, plan[index], 2) for index in range(plan.n_blocks)]
    expected = [float(sum((Fraction(term[k]) for term in terms), Fraction(0))) for k in (0, 1)]
    assert reduce_in_order(ExactSum(), plan, lambda block: terms[block.index]).tolist() == expected
    assert reduce_in_order(ExactSum(), plan, lambda block: terms[block.index][0]) == expected[0]


def test_exact_sum_takes_all_kinds_of_real_numbers():
    partials = [1, 0.5, True, np.float32(0.25), np.int16(2), np.array(4.0)]
    assert reduce_in_order(ExactSum(), Plan(6, 1), lambda block: partials[block.index]) == 8.75
    assert (
        reduce_in_order(ExactSum(), Plan(2, 1), lambda block: [math.inf, 1.0][block.index])
        == math.inf
    )
    assert math.isnan(
        reduce_in_order(ExactSum(), Plan(2, 1), lambda block: [math.nan, 1.0][block.index])
    )


def test_counts_never_overflow():
    assert reduce_in_order(Count(), Plan(4, 1), lambda block: 2**62) == 2**64
    top = np.array([2**63 - 1, -(2**63), 5])
    assert reduce_in_order(Count(), Plan(3, 1), lambda block: top).tolist() == [
        3 * x for x in top.tolist()
    ]
    unsigned = np.array([2**64 - 1], np.uint64)
    assert reduce_in_order(Count(), Plan(2, 1), lambda block: unsigned).tolist() == [2**65 - 2]


def test_counts_in_small_types_do_not_wrap_around():
    assert reduce_in_order(
        Count(), Plan(3, 1), lambda block: np.array([200, 3], np.uint8)
    ).tolist() == [600, 9]


def test_type_of_counts_does_not_depend_on_overflows_on_the_way():
    results = [
        reduce_in_order(
            Count(), Plan(3, 1), lambda block, order=order: np.array([order[block.index]])
        )
        for order in itertools.permutations([2**63 - 1, 1, -1])
    ]
    assert {(result.dtype, result.item()) for result in results} == {(results[0].dtype, 2**63 - 1)}


def test_extremes_are_those_of_numpy_and_ties_go_to_the_first_item():
    values = np.array([3.0, -1.0, 7.0, -1.0, 7.0, 0.0])
    found = reduce_in_order(MinMax(), Plan(6, 2), lambda block: values[block.start : block.stop])
    assert found == (-1.0, 1, 7.0, 2)
    values[[3, 5]] = math.nan
    found = reduce_in_order(MinMax(), Plan(6, 2), lambda block: values[block.start : block.stop])
    assert math.isnan(found.min)
    assert math.isnan(found.max)
    assert (found.argmin, found.argmax) == (3, 3)


@FEW
@given(seed=seeds, shape=st.sampled_from([(), (2,), (2, 3)]), block=st.integers(1, 400))
def test_moments_of_data_far_from_0_keep_their_digits(seed, shape, block):
    plan = Plan(2000, block)
    samples = 1e9 + np.random.default_rng(seed).standard_normal((plan.n, *shape))
    found = reduce_in_order(Moments(), plan, lambda block: samples[block.start : block.stop])
    near_0 = samples - 1e9  # exact, and easier for NumPy
    np.testing.assert_allclose(found.value - 1e9, near_0.mean(axis=0), rtol=0, atol=2e-5)
    np.testing.assert_allclose(found.variance, near_0.var(axis=0, ddof=1), rtol=1e-6)
    np.testing.assert_allclose(
        found.error, near_0.std(axis=0, ddof=1) / math.sqrt(plan.n), rtol=1e-6
    )
    assert found.n == plan.n
    assert np.shape(found.value) == np.shape(found.variance) == shape


def test_moments_of_one_sample_have_no_variance_and_of_equal_ones_none_left():
    one = reduce_in_order(Moments(), Plan(1, 1), lambda block: [2.5])
    assert (one.value, one.n) == (2.5, 1)
    assert math.isnan(one.variance)
    assert math.isnan(one.error)
    assert reduce_in_order(Moments(), Plan(5, 2), lambda block: [1e9 + 0.1] * block.size)[:3] == (
        1e9 + 0.1,
        0.0,
        0.0,
    )


@FEW
@given(seed=seeds, edges=st.lists(st.integers(-3, 3), min_size=2, max_size=6, unique=True))
def test_histogram_is_that_of_numpy_with_what_lies_outside(seed, edges):
    edges = np.sort(edges).astype(float)
    samples = np.random.default_rng(seed).integers(-8, 9, 100) / 2.0  # many on the edges
    found = reduce_in_order(
        Histogram(edges), Plan(100, 7), lambda block: samples[block.start : block.stop]
    )
    np.testing.assert_array_equal(found.counts, np.histogram(samples, edges)[0])
    np.testing.assert_array_equal(found.edges, edges)
    assert (found.below, found.above) == ((samples < edges[0]).sum(), (samples > edges[-1]).sum())


@pytest.mark.parametrize("edges", [[1.0], [1.0, 1.0], [2.0, 1.0], [0.0, math.nan], [[0.0, 1.0]]])
def test_histogram_needs_increasing_edges(edges):
    with pytest.raises(ValueError, match="two edges or more, increasing"):
        Histogram(edges)


@pytest.mark.parametrize(
    "reduction", [Concatenate(), InOrder(lambda left, right: np.concatenate([left, right]))]
)
def test_kernel_may_use_its_buffer_again(reduction):
    buffer = np.zeros(2)

    def partial(block):
        buffer[:] = block.index
        return buffer

    assert reduce_in_order(reduction, Plan(3, 1), partial).tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("reduction", "partial", "message"),
    [
        *[
            (ExactSum(), bad, "ExactSum needs real")
            for bad in ("1", None, 1j, {}, np.array(["a"]), [[1], [1, 2]])
        ],
        *[
            (Count(), bad, "Count needs whole numbers")
            for bad in (1.5, "1", None, {}, np.array([1.0]), Fraction(3, 2))
        ],
        (Count(), np.array([1.5, 2], object), "Count needs whole numbers"),
        *[
            (MinMax(), bad, "MinMax needs one value for each of the 2 items")
            for bad in (1.0, [1.0] * 3, [[1.0, 2.0]])
        ],
        (MinMax(), [None, 1.0], "MinMax needs real numbers"),
        (Moments(), ["a", "b"], "Moments needs real numbers"),
        *[
            (Moments(), bad, "Moments needs finite samples")
            for bad in ([1.0, math.nan], [math.inf, 0.0])
        ],
        (Histogram([0, 1]), [0.5, math.nan], "Histogram can't place NaN"),
        (Histogram([0, 1]), None, "Histogram needs real numbers"),
        (Each(a=Count(), b=Count()), {"a": 1}, "Each needs a dict with a, b"),
        (Each(a=Count()), 1, "Each needs a dict with a, got int 1"),
        (Each(a=Count()), {"a": 0.5}, "Count needs whole numbers"),
    ],
)
def test_bad_partial_raises_and_says_what_is_needed(reduction, partial, message):
    with pytest.raises(TypeError, match=message):
        reduction.add(reduction.start(), partial, Plan(2, 2)[0])


@pytest.mark.parametrize("reduction", [ExactSum(), Count(), Moments()])
def test_partials_of_different_shapes_raise(reduction):
    partials = [np.ones((2, 2), int), np.ones((2, 3), int)]
    with pytest.raises(ValueError, match=r"shape"):
        reduce_in_order(reduction, Plan(2, 1), lambda block: partials[block.index])


@pytest.mark.parametrize("partials", [(1.0, np.ones(2)), (np.ones(2), 1.0)])
def test_numbers_and_arrays_cannot_be_summed_together(partials):
    with pytest.raises(TypeError, match="ExactSum got"):
        reduce_in_order(ExactSum(), Plan(2, 1), lambda block: partials[block.index])


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([[2**63 + 1], [-1]], [2**63 + 1, -1]),
        ([[2**53 + 1], [0.5]], [2**53 + 1, 0.5]),
        ([[[2**53 + 1, 1]], [[0.5, 2]]], [[2**53 + 1, 1], [0.5, 2]]),
        ([np.array([2**53 + 1]), np.array([1j])], [2**53 + 1, 1j]),
        (
            [np.array(["3000-01-01"], "M8[D]"), np.array(["2000-01-01"], "M8[ns]")],
            ["3000-01-01", "2000-01-01T00:00:00.000000000"],
        ),
        ([[1], [0.5]], [1.0, 0.5]),
        ([["a"], [0.1]], ["a", "0.1"]),
    ],
)
def test_concatenate_keeps_values_of_blocks_of_different_types(pieces, expected):
    made = reduce_in_order(Concatenate(), Plan(2, 1), lambda block: pieces[block.index])
    assert made.tolist() == expected


def test_results_of_no_block():
    def of_nothing(reduction):
        return reduction.finish(reduction.merge(reduction.start(), reduction.start()))

    assert of_nothing(ExactSum()) == 0.0
    assert of_nothing(Count()) == 0
    assert of_nothing(MinMax()) == (None, None, None, None)
    assert of_nothing(Concatenate()).shape == (0,)
    assert of_nothing(InOrder(str.__add__)) is None
    assert of_nothing(InOrder(str.__add__, empty="")) == ""
    assert of_nothing(Histogram([0, 1, 2])).counts.tolist() == [0, 0]
    assert of_nothing(Each(a=Count(), b=ExactSum())) == {"a": 0, "b": 0.0}
    np.testing.assert_equal(tuple(of_nothing(Moments())), (math.nan, math.nan, math.nan, 0))
