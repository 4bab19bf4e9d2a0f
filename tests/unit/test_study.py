"""The mathematics of scaling studies: values from textbooks, and fits that find what times were
made from.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar.study import laws
from mpipar.study.laws import (
    amdahl,
    efficiency,
    fit,
    gustafson,
    karp_flatt,
    scaled_speedup,
    speedup,
    usl,
)

P = np.array([1, 2, 4, 8, 16, 32, 64])
fractions = st.floats(0, 1)
baselines = st.sampled_from([1, 2, 4])


# Quinn, "Parallel Programming in C with MPI and OpenMP" (2003), section 7.5: two programs with the
# same speedup of 4.71 on 8 processors, of which the first has serial code, and the second overhead
# that grows.
QUINN_SERIAL = [1.82, 2.50, 3.08, 3.57, 4.00, 4.38, 4.71]
QUINN_OVERHEAD = [1.87, 2.61, 3.23, 3.73, 4.14, 4.46, 4.71]


def test_karp_flatt_of_a_textbook():
    p = np.arange(2, 9)
    assert karp_flatt(QUINN_SERIAL, p) == pytest.approx(
        [0.1] * 7, abs=1.2e-3
    )  # speedups have three digits
    assert karp_flatt(QUINN_OVERHEAD, p) == pytest.approx(
        [0.070, 0.075, 0.080, 0.085, 0.090, 0.095, 0.100], abs=1.1e-3
    )


def test_amdahl_of_a_textbook():
    assert amdahl(0.1, 10) == pytest.approx(5.263, abs=1e-3)
    assert amdahl(0.05, 10**9) == pytest.approx(20)
    assert amdahl(0, P) == pytest.approx(P)
    assert amdahl(1, P) == pytest.approx(np.ones(7))


def test_gustafson_of_his_paper():
    """1024 processors, and serial parts of 0.4 to 0.8 %: speedups of 1016 to 1021."""
    assert gustafson(0.004, 1024) == pytest.approx(1019.9, abs=0.1)
    assert gustafson(0.008, 1024) == pytest.approx(1015.8, abs=0.1)


def test_the_usl_has_a_peak():
    found = fit("USL", P, usl(0.02, 0.0005, P))
    assert found.peak == pytest.approx(math.sqrt(0.98 / 0.0005), rel=1e-4)
    assert found.limit == pytest.approx(float(usl(0.02, 0.0005, found.peak)), rel=1e-4)
    assert usl(0.02, 0.0, P) == pytest.approx(amdahl(0.02, P))


def test_speedups_and_efficiencies():
    assert speedup([10.0, 5.0, 4.0], 10.0) == pytest.approx([1, 2, 2.5])
    assert speedup([5.0, 4.0], 5.0, base=2) == pytest.approx([2, 2.5])
    assert scaled_speedup([10.0, 10.0, 12.5], [1, 2, 4], 10.0) == pytest.approx([1, 2, 3.2])
    assert efficiency([1, 1.5, 2], [1, 2, 4]) == pytest.approx([1, 0.75, 0.5])


@given(f=fractions, baseline=baselines)
def test_the_baseline_has_its_number_of_processes_for_speedup(f, baseline):
    for law in (amdahl, gustafson):
        assert law(f, baseline, baseline) == pytest.approx(baseline)
    assert usl(f, f / 10, baseline, baseline) == pytest.approx(baseline)


@given(f=fractions, baseline=baselines)
def test_karp_flatt_is_the_inverse_of_amdahl(f, baseline):
    found = karp_flatt(amdahl(f, P, baseline), P, baseline)
    assert np.isnan(found[baseline == P]).all()
    assert found[baseline != P] == pytest.approx(f, abs=1e-9)


@given(f=fractions, baseline=baselines)
def test_amdahl_relative_to_more_ranks_is_that_of_one_rank_rescaled(f, baseline):
    """T(b) b / T(p), whatever the baseline."""
    times = 1 / amdahl(f, P)
    base = float(1 / amdahl(f, baseline))
    assert speedup(times, base, baseline) == pytest.approx(amdahl(f, P, baseline))


@settings(max_examples=60, deadline=None)
@given(
    f=st.floats(0, 0.9),
    noise=st.floats(0, 0.02),
    seed=st.integers(0, 2**32),
    law=st.sampled_from([0, 1]),
    baseline=baselines,
)
def test_fits_recover_the_fraction_that_noisy_times_were_made_with(f, noise, seed, law, baseline):
    name, curve = (("Amdahl", amdahl), ("Gustafson", gustafson))[law]
    rng = np.random.default_rng(seed)
    # Several runs of each size, of which the median is taken, as a study does it.
    ideal = 100 / curve(f, P, baseline)
    medians = np.median(ideal * (1 + noise * rng.standard_normal((7, len(P)))), axis=0)
    found = fit(name, P, 100 / medians, baseline=baseline)
    assert found.value("fa"[law]) == pytest.approx(f, abs=1e-6 + 2 * noise)


@settings(max_examples=40, deadline=None)
@given(s=st.floats(0, 0.3), k=st.floats(0, 0.01), baseline=baselines)
def test_the_usl_is_recovered(s, k, baseline):
    found = fit("USL", P, usl(s, k, P, baseline), baseline=baseline)
    assert found(P) == pytest.approx(usl(s, k, P, baseline), rel=1e-4)
    assert found.value("s") == pytest.approx(s, abs=1e-3)
    assert found.value("k") == pytest.approx(k, abs=1e-4)


def test_intervals_have_the_true_value_as_often_as_they_say():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        found = fit(
            "Amdahl", P, amdahl(0.05, P) * (1 + 0.02 * rng.standard_normal(len(P)) * (P != 1))
        )
        inside += abs(found.value("f") - 0.05) <= found.parameters[0].half_width
    assert 175 <= inside <= 200


def test_points_with_small_errors_weigh_more():
    speedups = amdahl(0.05, P)
    speedups[-1] /= 2
    errors = [0.01 * s for s in speedups]
    fooled = fit("Amdahl", P, speedups, errors).value("f")
    errors[-1] *= 1000
    assert fit("Amdahl", P, speedups, errors).value("f") == pytest.approx(0.05, abs=1e-4)
    assert fooled > 0.051


def test_superlinear_speedups_are_at_the_bound():
    found = fit("Amdahl", P, 1.1 * P)
    assert (found.parameters[0].value, found.parameters[0].at_bound, found.limit) == (0, True, None)


def test_no_interval_without_points_to_spare():
    found = fit("Amdahl", [1, 2], [1, 1.8])
    assert found.parameters[0].half_width is None
    assert found.value("f") == pytest.approx(float(karp_flatt(1.8, 2)))
    with pytest.raises(ValueError, match="2 parameters, got 1"):
        fit("USL", [1, 2], [1, 1.8])


@settings(deadline=None)
@given(
    law=st.sampled_from(sorted(laws._LAWS)),
    speedups=st.lists(st.floats(0.01, 1e4), min_size=6, max_size=6),
    baseline=baselines,
)
def test_any_speedups_can_be_fitted(law, speedups, baseline):
    found = fit(law, P[:6], speedups, baseline=baseline)
    assert all(0 <= parameter.value < math.inf for parameter in found.parameters)
    assert np.isfinite(found(P)).all()
    assert found.value("s" if law == "USL" else "f" if law == "Amdahl" else "a") >= 0
