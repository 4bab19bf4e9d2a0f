"""Kernels that take ``xp``: the same source with NumPy and another library, and what is fused held
to that.
"""

import importlib
import math
import sys
import types
from fractions import Fraction
from pathlib import Path

import array_api_strict
import numpy as np
import pytest
from cuda_on_host import COMPILER, launch, signatures
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar import BadInput, Block, ExactSum, driver
from mpipar.core.blocks import Blocks
from mpipar.core.devices.gpu import Accelerator
from mpipar.core.philox import PhiloxStream
from mpipar.core.plan import Plan
from mpipar.inputs.expression import Expression, function_of
from mpipar.integrate import integrate
from mpipar.mcpi import mcpi
from mpipar.pi import pi, radius
from mpipar.roots import roots
from mpipar.runtime.device import Gpu, callers_device_kept, to_host
from mpipar.runtime.evaluate import Evaluator, Task

STAND_IN = Path(__file__).parents[1] / "stand_in"
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")


@pytest.fixture
def gpu(monkeypatch) -> Accelerator:
    """What a GPU is to kernels, of the stand-in for CuPy."""
    monkeypatch.setenv("STAND_IN_GPUS", "1")
    monkeypatch.syspath_prepend(str(STAND_IN))
    before = {
        name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "cupy"
    }
    importlib.import_module("mpipar.runtime.device").compiled.cache_clear()
    yield Gpu(0, "", "", 0).open()
    importlib.import_module("mpipar.runtime.device").compiled.cache_clear()
    for name in list(sys.modules):
        if name.split(".")[0] == "cupy":
            del sys.modules[name]
    sys.modules.update(before)


def evaluated(bound, accelerator=None):
    """Return the result of a bound kernel, as one process without any runtime would."""
    reduction, evaluator = bound.reduction, bound.evaluator(accelerator=accelerator)
    total = reduction.start()
    for index in range(bound.plan.n_blocks):
        total = reduction.add(total, evaluator(bound.plan[index]), bound.plan[index])
    return bound.result(total)


def rows(bound, accelerator=None):
    evaluator = bound.evaluator(accelerator=accelerator)
    return np.concatenate([evaluator(bound.plan[index]) for index in range(bound.plan.n_blocks)])


def ulps(one: float, other: float) -> float:
    return abs(one - other) / math.ulp(other)


def exact_partial(steps: int, block: Block) -> Fraction:
    n2 = Fraction(int(radius(steps))) ** 2
    return sum(
        (1 / (n2 + ((i + Fraction(1, 2)) * int(radius(steps)) / steps) ** 2) for i in block),
        Fraction(),
    )


@given(steps=st.integers(1, 10**12), size=st.integers(1, 70), place=st.floats(0, 1))
@settings(deadline=None)
def test_the_plain_form_of_pi_and_the_tuned_one_are_the_sum_of_the_block(steps, size, place):
    plan = Plan(steps, size)
    block = plan[int(place * (plan.n_blocks - 1))]
    expected = float(exact_partial(steps, block))
    for xp in (np, array_api_strict):
        assert ulps(float(pi(block, xp, steps=steps)), expected) <= 4
    assert ulps(pi.function_on("cpu")(block, steps=steps), expected) <= 4


@needs_compiler
@pytest.mark.parametrize(
    ("steps", "block"),
    [
        (1, 1),
        (2, 2),
        (3, 3),
        (1023, 100),
        (70_000, 70_000),
        (10**6 + 1, 300_001),
        (10**11, 2**17),
        (2**53, 2**17 + 1),
        (10**16, 2**16 + 1),
    ],
)
def test_the_fused_kernel_of_pi_gives_the_same_sums(gpu, steps, block):
    there, here = (
        pi.bind({"steps": steps}, block=block, device=device) for device in ("gpu", "cpu")
    )
    fused, tuned = there.evaluator(accelerator=gpu), here.evaluator()
    last = there.plan.n_blocks - 1
    for index in sorted({0, last // 3, last}):
        partial = fused(there.plan[index])
        assert isinstance(partial, float)
        assert ulps(partial, tuned(here.plan[index])) <= 4
        if steps <= 2**53:
            assert (
                ulps(partial, float(gpu.to_host(pi(there.plan[index], gpu.xp, steps=steps)))) <= 6
            )
        assert partial == fused(there.plan[index])


@needs_compiler
def test_pi_by_the_fused_kernel_is_as_exact_as_on_the_cpu(gpu):
    value = evaluated(pi.bind({"steps": 10**7}, block=2_500_000, device="gpu"), gpu)
    assert ulps(value, math.pi + 1 / (12 * 10**14)) <= 1


@needs_compiler
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_no_number_of_steps_is_too_large_for_the_fused_kernel(gpu, place):
    """The product of eight bottoms is of the size of n³², but for the unit."""
    steps = 2**63 - 1  # more are refused
    plan = Plan(steps, 4000)
    block = plan[int(place * (plan.n_blocks - 2))]
    fused = pi.bind({"steps": steps}, device="gpu").evaluator(accelerator=gpu)
    y = Fraction(block.start + 2000) * int(radius(steps)) / steps
    assert ulps(fused(block), float(4000 / (Fraction(int(radius(steps))) ** 2 + y**2))) <= 6


def test_blocks_of_pi_and_mcpi_are_large_on_a_gpu_and_several():
    for kernel, name, least, most, share in (
        (pi, "steps", 2**27, 2**34, 16),
        (mcpi, "samples", 2**24, 2**33, 32),
    ):
        sizes = [
            kernel.bind({name: n}, device="gpu").plan.block for n in (1, 10**8, 10**11, 10**14)
        ]
        assert sizes == [least, least, 10**11 // share, most]
        assert kernel.bind({}, device="gpu").plan.n_blocks >= 6
        assert kernel.bind({name: 10**9}).plan.block == kernel.default_block["cpu"]


def tile_sums(
    offset: float, high: float, low: float, n2: float, u2: float, pairs: int
) -> np.ndarray:
    """Return what pi.cu computes, in Python: its tree of sums, and its order."""
    threads, own = 256, 512

    def half(c: float) -> tuple[float, float]:
        s = fma(c, c, n2)
        return s, fma(s, s - u2, n2 * u2)

    def joined(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
        (top, bottom), (other_top, other_bottom) = one, other
        return fma(top, other_bottom, other_top * bottom), bottom * other_bottom

    def middle(pair: int) -> float:
        odd = 2.0 * pair + 1.0
        return fma(odd, high, fma(odd, low, offset))

    def eight(c: float) -> tuple[float, float]:
        apart = 512.0 * high
        firsts = c, c + 4.0 * apart
        level = [half(first + times * apart) for first in firsts for times in (0.0, 1.0, 2.0, 3.0)]
        while len(level) > 1:
            level = [joined(one, other) for one, other in zip(level[::2], level[1::2], strict=True)]
        return level[0]

    def of_thread(pairs: range) -> float:
        total, eights = 0.0, len(pairs) // 8 * 8
        quotients = [eight(middle(pair)) for pair in pairs[:eights:8]] + [
            half(middle(pair)) for pair in pairs[eights:]
        ]
        for top, bottom in quotients:
            total += top / bottom
        return total

    sums = []
    for tile in range(-(-pairs // (threads * own))):
        firsts = range(tile * threads * own, tile * threads * own + threads)
        of_threads = [
            of_thread(range(first, min(pairs, first + threads * own), threads)) for first in firsts
        ]
        while len(of_threads) > 1:
            half_of_them = len(of_threads) // 2
            of_threads = [
                a + b
                for a, b in zip(of_threads[:half_of_them], of_threads[half_of_them:], strict=True)
            ]
        sums.append(of_threads[0])
    return np.array(sums)


def fma(a: float, b: float, c: float) -> float:
    return float(Fraction(a) * Fraction(b) + Fraction(c))


@needs_compiler
@pytest.mark.parametrize("pairs", [1, 257, 2047, 2049, pytest.param(140_000, marks=pytest.mark.ci)])
def test_the_order_of_the_fused_sums_is_what_it_says(pairs):
    """Bit for bit: the result of a GPU is decided by the source, and by nothing else."""
    u = 2.0**-24
    doubles = [
        1234.5 * u,
        float(Fraction(16777217, 16777216)) * u,
        2.0**-55 / 3 * u,
        1.0 + u * u / 4,
        u * u,
    ]
    tiles = np.empty(-(-pairs // 131072))
    source = Path(sys.modules["mpipar.kernels.pi"].__file__).with_name("pi.cu").read_text()
    launch(
        source,
        "pi_tiles",
        (tiles.size,),
        (256,),
        (*map(np.float64, doubles), np.int64(pairs), tiles),
    )
    expected = tile_sums(*doubles, pairs)
    assert tiles.tobytes() == expected.tobytes()
    total = np.empty(())
    launch(
        source,
        "pi_total",
        (1,),
        (256,),
        (tiles, np.int64(tiles.size), np.float64(u * u), np.float64(0.125), total),
    )
    assert float(total) == 2.0 * u * u * sum(expected) + 0.125


def test_the_plain_form_of_mcpi_counts_the_same_points_with_each_library():
    block = Block(3, 100, 5101)
    counts = [
        int(mcpi(block, PhiloxStream(xp, 9, 3), xp, samples=1)) for xp in (np, array_api_strict)
    ]
    assert counts[0] == counts[1]
    x, y = PhiloxStream(np, 9, 3).random((2, 5001))
    assert counts[0] == sum(
        a * a + b * b < 1.0 for a, b in zip(x.tolist(), y.tolist(), strict=True)
    )


@needs_compiler
@pytest.mark.parametrize(("samples", "block"), [(1, 1), (1000, 999), (100_000, 33_333)])
def test_the_fused_kernel_of_mcpi_counts_the_very_same_points(gpu, samples, block):
    bound = mcpi.bind({"samples": samples}, block=block, seed=11, device="gpu")
    fused = bound.evaluator(accelerator=gpu)
    for index in range(bound.plan.n_blocks):
        one = bound.plan[index]
        assert fused(one) == int(mcpi(one, PhiloxStream(np, 11, index), np, samples=samples))


@needs_compiler
@pytest.mark.parametrize("first", [0, 5, 2**32 - 16384, 2**32 - 16383, 2**32 - 1, 2**33 - 20_000])
def test_counters_of_the_fused_kernel_of_mcpi_pass_from_word_to_word(gpu, first):
    """In a whole tile, in the last one, and between tiles."""
    streams = PhiloxStream(gpu.xp, 11, 0), PhiloxStream(np, 11, 0)
    for stream in streams:
        stream.take(first)
    block = Block(0, 0, 40_000)
    fused = gpu.to_host(mcpi.function_on("gpu")(block, streams[0], gpu.xp, samples=1))
    assert fused == int(mcpi(block, streams[1], np, samples=1))


@needs_compiler
def test_a_second_draw_of_the_fused_kernel_goes_on_where_the_first_ended(gpu):
    streams = PhiloxStream(gpu.xp, 11, 0), PhiloxStream(np, 11, 0)
    for _ in range(2):
        fused = gpu.to_host(
            mcpi.function_on("gpu")(Block(0, 0, 4321), streams[0], gpu.xp, samples=1)
        )
        assert fused == int(mcpi(Block(0, 0, 4321), streams[1], np, samples=1))


@pytest.mark.parametrize("method", ["montecarlo", "midpoint"])
@pytest.mark.parametrize(
    ("f", "over"), [("x", [0.0, 2.0]), ("exp(-x*y) + sin(z)", [0.0, 1.0, -1.0, 1.0, 0.0, 3.0])]
)
def test_integrals_on_a_device(gpu, method, f, over):
    parameters = {"f": f, "over": over, "samples": 30_000, "method": method}
    there = evaluated(integrate.bind(parameters, block=7000, device="gpu"), gpu)
    here = evaluated(integrate.bind(parameters, block=7000))
    if method == "midpoint":
        assert there.value == pytest.approx(here.value, rel=1e-13)
    else:
        assert abs(there.value - here.value) < 5 * math.hypot(there.error, here.error)
        assert there.error == pytest.approx(here.error, rel=0.05)


def test_a_constant_is_broadcast(gpu):
    parameters = {"f": "2", "over": [0.0, 3.0], "samples": 1000}
    assert evaluated(integrate.bind(parameters, block=300, device="gpu"), gpu) == (6.0, 0.0)


def test_roots_on_a_device(gpu, tmp_path):
    import h5py

    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.linspace(0.0, 9.0, 1001)
    for parameters in (
        {"points": 5000, "over": [0.0, 7.0]},
        {"input": f"{tmp_path}/x.h5:/x", "f": "x*x - sin(x)"},
    ):
        there = rows(roots.bind(parameters, block=2000, device="gpu"), gpu)
        here = rows(roots.bind(parameters, block=2000))
        assert there.dtype == here.dtype
        assert (
            there.tobytes() == here.tobytes()
        )  # the same operations of the same library, after all


def test_expressions_say_what_is_not_to_be_had(gpu):
    with pytest.raises(BadInput, match=r"^expression 'interp.*': there is no interp on GPUs$"):
        function_of("interp(x, [0, 1], [0, 1])", ["x"], gpu.xp)(gpu.xp.ones((3,)))
    with pytest.raises(TypeError, match="takes 1 values, got 2"):
        Expression("x", ["x"]).on(gpu.xp, gpu.xp.ones((3,)), gpu.xp.ones((3,)))
    assert function_of("x", ["x"], np) is function_of("x", ["x"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("float64(x)", [0.0, 1.0, 2.0]),
        ("sum([x, 2*x, x + 1.0], axis=0)", [1.0, 5.0, 9.0]),
        ("where(x > 0.5, sum((1.0, 2.0, 3.0)), x)", [0.0, 6.0, 6.0]),
        ("full_like([1.0, 2.0], 7.0)[0] + x", [7.0, 8.0, 9.0]),
        ("sum((x, x, x, x), axis=0)", [0.0, 4.0, 8.0]),
    ],
)
def test_expressions_may_have_types_and_lists_on_a_device(gpu, text, expected):
    """Which other libraries' functions don't take for arrays."""
    value = function_of(text, ["x"], gpu.xp)(gpu.xp.asarray([0.0, 1.0, 2.0]))
    assert to_host(value).tolist() == expected
    assert np.asarray(function_of(text, ["x"])(np.asarray([0.0, 1.0, 2.0]))).tolist() == expected


def test_another_name_that_a_library_misses_is_not_taken_for_one_of_the_expression(gpu):
    library = types.ModuleType("library")
    library.asarray, library.exp = np.asarray, lambda x: nowhere  # noqa: F821
    with pytest.raises(BadInput, match="NameError: name 'nowhere' is not defined"):
        Expression("exp(x)", ["x"]).on(library, 1.0)


def test_arrays_of_a_device_are_out_of_numpys_reach(gpu):
    """Else the tests here would not notice where a kernel mixes the two."""
    with pytest.raises(RuntimeError, match="device1"):
        np.asarray(gpu.xp.ones((3,)))
    with pytest.raises(AttributeError):
        gpu.xp.unravel_index  # noqa: B018


def test_partials_come_to_the_host_at_whatever_depth(gpu):
    three = gpu.xp.ones((3,))
    partial = {"a": three, "b": (three[0], [three, 1.5]), "c": "text", "d": np.ones(2)}
    host = to_host(partial)
    assert host["a"].tolist() == [1.0, 1.0, 1.0]
    assert isinstance(host["b"][0], float)
    assert isinstance(host["b"][1][0], np.ndarray)
    assert host["c"] == "text"
    assert host["d"] is partial["d"]


def evaluator_of(function, items=100, device="gpu", **task) -> Evaluator:
    """Return what evaluates blocks of a kernel of two, on the stand-in or not."""
    kernel = driver(n="items", reduction=ExactSum, block=2)(function)
    card = Gpu(0, "", "", 0) if device == "gpu" else None
    return Evaluator(Task(kernel.bind({"items": items}, device=device), place=card, **task))


@pytest.mark.parametrize(
    ("items", "device", "expected"), [(7, "gpu", [(0, 0, 1)]), (0, "gpu", []), (7, "cpu", [])]
)
def test_kernels_are_compiled_before_the_first_block(gpu, items, device, expected):
    """By one item, of which nothing is left."""
    called = []

    def kernel(block, rng, xp, *, items: int = 3):
        called.append((block.index, block.start, block.stop))
        return float(np.asarray(to_host(rng.random(()))) if device == "gpu" else 1.0)

    evaluator = evaluator_of(kernel, items, device)
    assert called == expected
    outcome = evaluator.evaluate(Blocks([range(1)] if items else []))
    assert called == [*expected, *([(0, 0, 2)] if items else [])]
    if (items, device) == (7, "gpu"):
        assert ExactSum().finish(outcome.total) == float(PhiloxStream(np, 0, 0).random()), (
            "its stream begins anew"
        )


@pytest.mark.parametrize("error", [ValueError("odd size"), SystemExit("no")])
def test_an_error_with_one_item_is_no_matter(gpu, error):
    def kernel(block, xp, *, items: int = 3):
        if block.size == 1:
            raise error
        return 1.0

    outcome = evaluator_of(kernel).evaluate(Blocks([range(5)]))
    assert (outcome.failure, outcome.blocks) == (None, 5)


@pytest.mark.parametrize("before", [None, 0, 1])
def test_a_caller_keeps_the_device_that_was_chosen(gpu, monkeypatch, before):
    cuda = sys.modules["cupy"].cuda
    monkeypatch.setenv("STAND_IN_GPUS", "2")
    monkeypatch.setattr(cuda, "current", before)
    with callers_device_kept():
        Gpu(1, "", "", 0).open()
        assert cuda.current == 1
    assert cuda.current == (before or 0)
    monkeypatch.setenv("STAND_IN_GPUS", "-1")
    cuda.current = None
    with callers_device_kept():
        pass
    assert cuda.current is None
    del sys.modules["cupy"]  # the fixture puts back what was there
    with callers_device_kept():  # a context for nobody would be made
        pass
    assert "cupy" not in sys.modules


@driver(n="items", reduction=ExactSum, block={"cpu": 10, "gpu": 40})
def weighted(block, xp, weights, *, items: int = 100):
    return xp.sum(weights[block.start : block.stop])


@weighted.shared
def weights(empty, *, items):
    array = empty(items)
    array[:] = np.arange(items)
    return array


def test_shared_arrays_are_on_the_device(gpu):
    for device, accelerator in (("cpu", None), ("gpu", gpu)):
        bound = weighted.bind({}, device=device)
        assert bound.shared_names == ("weights",)
        evaluator = bound.evaluator({"weights": np.arange(100.0)}, accelerator)
        assert sum(evaluator(bound.plan[index]) for index in range(bound.plan.n_blocks)) == 4950.0


def test_blocks_that_a_gpu_can_not_have_are_refused():
    assert pi.bind({"steps": 2**44 + 1}, block=2**44, device="gpu").plan.n_blocks == 2
    assert pi.bind({"steps": 2**44}, block=2**50, device="gpu").plan.n_blocks == 1
    assert mcpi.bind({"samples": 2**50}, block=2**50).plan.n_blocks == 1
    with pytest.raises(
        BadInput,
        match=r"^block: expected at most 17_592_186_044_416 items on a GPU, got 2\d+(_\d+)*$",
    ):
        mcpi.bind({"samples": 10**18}, block=2 * 10**13, device="gpu")


def test_blocks_are_sized_for_the_device():
    assert weighted.bind({}).plan == Plan(100, 10)
    bound = weighted.bind({}).on("gpu")
    assert (bound.plan, bound.device) == (Plan(100, 40), "gpu")
    assert bound.on("cpu") == weighted.bind({})
    assert weighted.bind({}, block=7).on("gpu").plan == Plan(100, 7)
    assert Plan.by_default(10**3, "gpu") == Plan(10**3, 2**20)
    assert Plan.by_default(2**28, "gpu") == Plan(2**28, 2**22)
    assert Plan.by_default(10**12, "gpu") == Plan(10**12, 2**24)


def test_a_kernel_without_xp_is_refused_on_a_device():
    @driver(n="items", reduction=ExactSum)
    def plain(block, *, items: int = 3):
        return 1.0

    with pytest.raises(
        BadInput, match=r"^device: plain has no kernel for a GPU: one takes the array library, xp$"
    ):
        plain.bind({}, device="gpu")
    assert not plain.runs_on("gpu")
    plain.on("gpu")(lambda block: 2.0)
    assert plain.bind({}, device="gpu").evaluator(accelerator=Accelerator(np, to_host))


def test_variants_have_the_rules_of_kernels():
    @driver(n="items", reduction=ExactSum)
    def plain(block, xp, *, items: int = 3, scale: float = 1.0):
        return scale

    with pytest.raises(
        TypeError, match="plain: there is no device 'tpu', but cpu, compiled and gpu"
    ):
        plain.on("tpu")
    with pytest.raises(
        TypeError, match="plain: its variant on the cpu takes other, which the kernel doesn't"
    ):
        plain.on("cpu")(lambda block, *, other: 1.0)
    with pytest.raises(TypeError, match=r"a kernel takes \(block"):
        plain.on("cpu")(lambda *, scale: 1.0)

    @plain.on("cpu")
    def doubled(block, *, scale):
        return 2 * scale

    assert plain.bind({"scale": 5.0}).evaluator()(Block(0, 0, 1)) == 10.0
    assert plain(None, None, scale=5.0) == 5.0
    assert doubled(None, scale=1.0) == 2.0
    plain.on("gpu")(lambda block, table: 1.0)
    with pytest.raises(TypeError, match="nothing makes its array 'table'"):
        plain.bind({}, device="gpu")


def test_arguments_of_kernels_are_those_of_the_source():
    """The stand-in refuses what a GPU would take for something else."""
    source = 'extern "C" __global__ void f(double x, const long long *y)'
    assert signatures(source) == {"f": [("double", "x"), ("const long long *", "y")]}
    array = np.zeros(3, np.int64)
    for wrong in [
        (np.float64(1),),
        (1.0, array),
        (np.float32(1), array),
        (np.float64(1), array.astype(np.int32)),
    ]:
        with pytest.raises(AssertionError):
            launch(source + "{}", "f", (1,), (1,), wrong)
