"""Masks and digits of what kernels return: kept, or refused with what to write instead."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from mpipar import (
    Concatenate,
    Count,
    Dataset,
    Each,
    ExactSum,
    Histogram,
    InOrder,
    MinMax,
    Moments,
    Plan,
    RunFailed,
    run,
)
from mpipar.core.partials import has_mask, split_mask
from mpipar.roots import roots
from mpipar.store.codec import decode, encode
from mpipar.sweep import cell

ma = np.ma


class OtherMasked(np.ndarray):
    """An array of another library, with a mask of its own, as astropy's."""

    mask = np.array([True, False])


OTHER = np.array([1.0, 2.0]).view(OtherMasked)

MASKED = {
    "array": ma.array([1, 2], mask=[1, 0]),
    "floats": ma.masked_invalid([math.nan, 2.0]),
    "nothing": ma.masked_all(2),
    "the constant": ma.masked,
    "list": [ma.masked, 1],
    "list of arrays": [ma.array([1, 2], mask=[1, 0]), ma.array([1, 2])],
    "nested": ([ma.masked, 1.0], [1.0, 2.0]),
    "two dimensions": ma.array(np.eye(2), mask=[[0, 0], [0, 1]]),
    "another library": OTHER,
    "list of those": [OTHER, OTHER],
    "hard mask": ma.array([1, 2], mask=[1, 0], hard_mask=True),
    "column of a table": ma.array(
        [(1, 2.0), (3, 4.0)], [("a", int), ("b", float)], mask=[(0, 1), (0, 0)]
    ),
}


def result_of(reduction, *partials):
    """Return the result of blocks in order, and in two ranks with a commit between."""
    plan = Plan(2 * len(partials), 2)
    total, others = reduction.start(), [reduction.start(), reduction.start()]
    for index, partial in enumerate(partials):
        total = reduction.add(total, partial, plan[index])
        others[index % 2] = reduction.add(others[index % 2], partial, plan[index])
    result = reduction.finish(total)
    other = reduction.finish(reduction.merge(decode(encode(others[1])), decode(encode(others[0]))))
    np.testing.assert_equal(other, result)
    return result


REFUSING = [
    ExactSum(),
    Count(),
    Dataset("y"),
    Dataset("y", one_each=False),
    Concatenate(),
    InOrder(np.add),
]


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("reduction", REFUSING, ids=lambda reduction: type(reduction).__name__)
def test_a_mask_that_cannot_be_kept_is_refused_with_what_to_write(name, reduction):
    with pytest.raises(TypeError, match=r"mask.*\.filled\(.*\)"):
        reduction.add(reduction.start(), MASKED[name], Plan(2, 2)[0])
    each = Each(a=reduction)
    with pytest.raises(TypeError, match="mask"):
        each.add(each.start(), {"a": MASKED[name]}, Plan(2, 2)[0])


@pytest.mark.parametrize("reduction", REFUSING, ids=lambda reduction: type(reduction).__name__)
def test_a_mask_of_nothing_is_none(reduction):
    plain = result_of(reduction, np.array([1, 2]))
    np.testing.assert_equal(result_of(reduction, ma.array([1, 2], mask=[0, 0])), plain)
    np.testing.assert_equal(result_of(reduction, ma.array([1, 2])), plain)
    assert not has_mask(ma.array([1, 2]))


def test_extremes_leave_out_masked_values():
    one, two = ma.array([1.0, 2.0], mask=[1, 0]), ma.array([5.0, 9.0], mask=[0, 1])
    both = ma.concatenate([one, two])
    found = result_of(MinMax(), one, two, ma.masked_all(2))
    assert found == (both.min(), both.argmin(), both.max(), 2)
    assert result_of(MinMax(), ma.masked_all(2)) == (None, None, None, None)
    assert result_of(MinMax(), [ma.masked, 3], [4, ma.masked]) == (3, 1, 4, 2)
    assert result_of(MinMax(), OTHER) == (2.0, 1, 2.0, 1)


def test_moments_leave_out_masked_samples():
    samples = ma.masked_less(np.random.default_rng(1).standard_normal((4, 50)), 0)
    found = result_of(Moments(), *samples)
    assert found.n == samples.count()
    assert found.value == pytest.approx(samples.mean(), rel=1e-15)
    assert found.variance == pytest.approx(samples.var(ddof=1), rel=1e-14)
    rows = ma.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]], mask=[[1, 1], [0, 0], [0, 0]])
    assert result_of(Moments(), rows).value.tolist() == rows.mean(axis=0).tolist()
    assert result_of(Moments(), ma.masked_all(2)).n == 0
    with pytest.raises(TypeError, match="one Moments for each column"):
        result_of(Moments(), ma.array(np.eye(2), mask=np.eye(2)))


def test_histograms_leave_out_masked_samples():
    samples = ma.array([-1.0, 0.5, 1.5, 9.0, 1.5], mask=[0, 0, 1, 1, 0])
    found = result_of(Histogram([0, 1, 2]), samples)
    assert found.counts.tolist() == np.histogram(samples.compressed(), [0, 1, 2])[0].tolist()
    assert (found.below, found.above) == (1, 0)
    assert result_of(Histogram([0, 1, 2]), ma.masked_invalid([math.nan, 0.5])).counts.tolist() == [
        1,
        0,
    ]


def test_masks_of_records_and_lists_have_the_shape_of_the_rows():
    assert split_mask(MASKED["column of a table"])[1].tolist() == [True, False]
    inner = ma.zeros(2, [("p", [("q", float, 2)]), ("r", int)])
    inner["p"]["q"][1] = ma.masked
    assert split_mask(inner)[1].tolist() == [False, True]
    assert split_mask(MASKED["list"])[1].tolist() == [True, False]
    assert split_mask([[1], [1, 2]]) == (None, None)


INTEGERS = {
    "Python": [2**53 + 1, 1, -(2**70)],
    "numpy.int64": [np.int64(2**53), np.int64(1)],
    "numpy.uint64": [np.uint64(2**64 - 1), np.uint64(2**64 - 1), np.uint64(3)],
    "beyond doubles": [2**2000, 1, -(2**2000)],
    "array without dimension": [np.array(2**60 + 1), 2],
    "small": [np.int8(-128), True, 7],
}


@pytest.mark.parametrize("name", INTEGERS)
def test_sums_of_integers_are_exact(name):
    found = result_of(ExactSum(), *INTEGERS[name])
    assert found == sum(map(int, INTEGERS[name]))


@pytest.mark.parametrize(
    "partials",
    [
        [np.array([2**53, 3]), np.array([1, 4])],
        [np.array([2**63 - 1, -(2**63)])] * 3,
        [np.array([2**64 - 1, 2**64 - 1], np.uint64), np.array([1, -1])],
        [np.array([2**60 + 1, 1], ">i8"), np.array([1, 1], np.uint8)],
        [[2**53 + 1, 1], [0, 0]],
    ],
)
def test_sums_of_arrays_of_integers_are_exact(partials):
    found = result_of(ExactSum(), *partials)
    assert found.tolist() == [sum(int(partial[k]) for partial in partials) for k in (0, 1)]


def test_sums_of_integers_and_others_are_rounded_once():
    terms = [np.array([2**62 + 1]), np.array([0.5]), np.array([2**62 + 1])]
    assert result_of(ExactSum(), *terms).tolist() == [
        float(Fraction(2 * (2**62 + 1)) + Fraction(1, 2))
    ]
    assert isinstance(result_of(ExactSum(), 2**53, 1.0), float)
    assert isinstance(result_of(ExactSum(), 2, 3), float)
    assert result_of(ExactSum(), np.array([2, 3])).dtype == float


def moments_of(samples):
    """Return mean, variance and standard error in rational arithmetic."""
    exact = [Fraction(x.item()) for x in samples]
    mean = sum(exact) / len(exact)
    variance = sum((x - mean) ** 2 for x in exact) / (len(exact) - 1)
    return float(mean), float(variance), float(math.sqrt(variance / len(exact)))


@pytest.mark.parametrize(
    "samples",
    [
        np.random.default_rng(1).normal(1e4, 1, 2000).astype(np.float32),
        np.random.default_rng(1).normal(1e8, 1e2, 2000).astype(np.float32),
        np.random.default_rng(1).normal(300, 1, 2000).astype(np.float16),
        np.random.default_rng(1).normal(1e15, 1, 2000),
        np.random.default_rng(1).integers(0, 255, 2000, np.uint8),
        2**63 + np.arange(2000, dtype=np.uint64) % 3,
        np.array([2**63 - 1, -(2**63), 5, 7]),
        np.full(100, 1e30, np.float32) * np.arange(100, dtype=np.float32),
    ],
    ids=lambda samples: f"{samples.dtype} of {samples[0]:.3g}",
)
def test_moments_of_any_type_are_those_of_rational_arithmetic(samples):
    found = result_of(Moments(), *np.array_split(samples, 4))
    mean, variance, error = moments_of(samples)
    assert found.value == pytest.approx(mean, rel=1e-15)
    assert found.variance == pytest.approx(variance, rel=1e-12)
    assert found.error == pytest.approx(error, rel=1e-12)


def test_moments_of_the_tiniest_numbers_have_an_error():
    samples = np.array([1.0, 2.0, 3.0, 0.0])
    found = result_of(Moments(), samples[:2] * 1e-200, samples[2:] * 1e-200)
    assert found.error * 1e200 == pytest.approx(moments_of(samples)[2], rel=1e-12)
    found = result_of(Moments(), np.stack([samples, samples * 1e-250], axis=1))
    assert (found.error * [1, 1e250]).tolist() == pytest.approx(
        [moments_of(samples)[2]] * 2, rel=1e-12
    )


@pytest.mark.parametrize(
    "bad", [Decimal(1), Fraction(1, 3), np.longdouble(1), np.timedelta64(3, "s"), 2j, None, "1"]
)
@pytest.mark.parametrize("reduction", [ExactSum(), Count(), Moments(), MinMax(), Histogram([0, 1])])
def test_numbers_of_other_types_are_refused(bad, reduction):
    for partial in (bad, np.array([bad, bad])):
        with pytest.raises(TypeError, match="needs"):
            reduction.add(reduction.start(), partial, Plan(2, 2)[0])


@pytest.mark.parametrize(
    "reduction", [ExactSum(), Moments(), MinMax(), Histogram([0, 1]), Dataset("y"), Concatenate()]
)
def test_lists_that_numpy_would_round_are_refused(reduction):
    for partial in ([2**53 + 1, 0.5], [2**63 + 1, -1]):
        with pytest.raises(TypeError, match=f"would round {partial[0]}"):
            reduction.add(reduction.start(), partial, Plan(2, 2)[0])


def test_histograms_refuse_what_no_double_is():
    with pytest.raises(TypeError, match=r"beyond 2\*\*53"):
        result_of(Histogram([0, 2.0**54]), np.array([2**53 + 1, 3]))
    assert result_of(Histogram([0, 2.0**54]), np.array([2**53 + 2, 3])).counts.tolist() == [2]
    with pytest.raises(ValueError, match="beyond"):
        Histogram([0, 2**53 + 1])
    with pytest.raises(ValueError, match="masked edges"):
        Histogram(ma.array([0, 1, 2], mask=[0, 1, 0]))


def test_a_masked_result_of_sweep_is_missing():
    assert math.isnan(cell("y", ma.masked))
    assert math.isnan(cell("y", ma.array(1.0, mask=True)))
    assert cell("y", ma.array(1.0)) == 1.0
    with pytest.raises(TypeError, match="should be a number or text"):
        cell("y", ma.array([1.0, 2.0], mask=[1, 0]))


def test_a_masked_result_of_roots_is_refused(tmp_path):
    (tmp_path / "f.py").write_text(
        "import numpy as np\ndef f(x):\n    return np.ma.masked_greater(x, 0.5)\n"
    )
    with pytest.raises(RunFailed, match="can't leave out masked values"):
        run(roots, f=f"{tmp_path}/f.py:f", points=10)
