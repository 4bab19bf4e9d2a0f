"""Compiled code: the port, what is kept on disk, what is refused, and whether it is what the readable
form says."""

import importlib
import math
import os
import subprocess
import sys
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mpipar import BadInput, BadKernel, ExactSum, open_result, run
from mpipar.core.block import Block
from mpipar.core.devices.compiled import COMPILED
from mpipar.core.devices.cpu import CPU
from mpipar.core.kernel import Kernel
from mpipar.core.run_record import Timing
from mpipar.core.streams import seeds
from mpipar.kernels.compiled_sieve import FIRST_STRUCK, MOST_BYTES, count_primes
from mpipar.kernels.mcpi import LANES
from mpipar.kernels.pi import radius, tiles
from mpipar.kernels.sieve import count
from mpipar.mcpi import mcpi
from mpipar.pi import pi
from mpipar.primes import primes
from mpipar.roots import roots
from mpipar.runtime import code_cache, compiling, device, frozen_code, node
from mpipar.runtime.conduct import Conduct
from mpipar.runtime.gathering import Gathering

numba = pytest.importorskip("numba")
numba_compiler = pytest.importorskip("mpipar.runtime.numba_compiler")

SCALE = 3.0
SIMD = ("AVX512F", "AVX2")
FROM_RANK = {"host": "node", "gpu": None, "retried": 0, "lost_workers": 0}


@pytest.fixture(autouse=True, scope="module")
def _folder_of_these_tests(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(code_cache.VARIABLE, str(tmp_path_factory.mktemp("code")))
        yield


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """Let nothing be kept yet, on the disk or in this process."""
    monkeypatch.setenv(code_cache.VARIABLE, str(tmp_path / "code"))
    monkeypatch.setattr(numba_compiler, "_made", {})


def scaled(x):
    return x * SCALE


def series(block, weights, rng, *, terms: int = 1000, power: float = 2.0, xs: list[float] = [1.0]):  # noqa: B006
    total = weights[0]
    for i in block:
        total += scaled(rng.random()) + 1.0 / (i + 1.0) ** power + xs[i % len(xs)]
    return total + len(block) + block.size + block.index + block.start - block.stop


def kernel_of(function, **jit):
    kernel = Kernel(function, n="terms", reduction=ExactSum)
    if "weights" in kernel.arrays:
        kernel.shared(weights)
    kernel.on("compiled", **jit)(function)
    return kernel


def weights(empty):
    array = empty((2,), float)
    array[:] = 0.5
    return array


def evaluators(kernel, block=None, arrays=None, **parameters):
    """Return what evaluates blocks, readable and compiled, and the plan."""
    bound = kernel.bind(parameters, block=block, device="compiled")
    readable = kernel.bind(parameters, block=block)
    assert bound.plan == readable.plan
    return (
        readable.evaluator(arrays),
        bound.evaluator(arrays, compiling.compiler().open()),
        bound.plan,
    )


def test_a_compiled_function_is_given_what_any_kernel_is():
    array = np.full(2, 0.5)
    array.flags.writeable = False
    kernel = kernel_of(series)
    readable, compiled, plan = evaluators(
        kernel, arrays={"weights": array}, terms=1000, block=300, xs=[1.0, 2.5]
    )
    assert plan.n_blocks == 4
    for index in range(plan.n_blocks):
        assert compiled(plan[index]) == readable(plan[index])


def item_sum(block, *, terms: int = 10) -> float:
    return float(sum(block))


def test_it_has_the_blocks_of_the_cpu_unless_it_says_otherwise():
    for sizes, expected in (({"cpu": 10, "gpu": 20}, 10), ({"cpu": 10, "compiled": 30}, 30)):
        kernel = Kernel(item_sum, n="terms", reduction=ExactSum, block=sizes)
        kernel.on("compiled")(item_sum)
        assert kernel.bind({"terms": 100}, device="compiled").plan.block == expected
    assert COMPILED.default_block(10**6) == CPU.default_block(10**6)


def test_what_can_not_be_compiled_is_said_where_it_is_decorated():
    kernel = Kernel(item_sum, n="terms", reduction=ExactSum)
    with pytest.raises(BadKernel, match="compiled code can't be given 'xp'"):
        kernel.on("compiled")(lambda block, xp: 0.0)
    with pytest.raises(BadKernel, match="without Numba's own decorator"):
        kernel.on("compiled")(numba.njit(item_sum))
    with pytest.raises(BadKernel, match="compiled code has no option 'fastmath'"):
        kernel.on("compiled", fastmath=True)
    with pytest.raises(BadKernel, match="there is no device 'compield', but cpu, compiled and gpu"):
        kernel.on("compield")
    with pytest.raises(BadInput, match="item_sum has no kernel for compiled code: one is in Numba"):
        kernel.bind({}, device="compiled")


def reads_beyond(block, *, terms: int = 10) -> float:
    return np.zeros(3)[block.stop]


def divides(block, *, terms: int = 10) -> float:
    return 1.0 / block.start


def test_indices_and_divisors_are_checked_as_in_python():
    for function, error in ((reads_beyond, IndexError), (divides, ZeroDivisionError)):
        _, compiled, plan = evaluators(kernel_of(function), block=10)
        with pytest.raises(error):
            compiled(plan[0])


def opens_files(block, *, terms: int = 10) -> float:
    return len(open("x").read())


def adds_text(block, *, terms: int = 10) -> float:
    return "a" + block.start


def needs_more(block, *, terms: int = 10, big: int = 2**70) -> float:
    return float(big)


def needs_more_in_a_list(block, *, terms: int = 10, some: list[int] = [1, 2**63 + 1]) -> float:  # noqa: B006
    return float(some[1] - some[0])


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (opens_files, r"^Numba refuses opens_files: .*'open'.* \(test_compiled.py, line \d+\)$"),
        (
            adds_text,
            r"^Numba refuses adds_text: No implementation of .*operator\.add\) .*line \d+\)$",
        ),
        (
            needs_more,
            r"^big: compiled code has whole numbers of 64 bits, got 1180591620717411303424$",
        ),
        (
            needs_more_in_a_list,
            r"^compiled code has whole numbers of 64 bits, got 9223372036854775809$",
        ),
    ],
)
def test_what_numba_refuses_is_told_in_one_line(function, told):
    with pytest.raises(BadInput, match=told):
        evaluators(kernel_of(function))


def test_more_items_than_64_bits_count_are_refused():
    kernel = Kernel(item_sum, n=lambda terms: terms**2, reduction=ExactSum)
    kernel.on("compiled")(item_sum)
    with pytest.raises(BadInput, match="compiled code counts to 9223372036854775807"):
        kernel.bind({"terms": 2**40}, device="compiled")


# What is kept on disk


def compile_anew(function=scaled):
    numba_compiler._made.clear()
    return numba_compiler.compiled(function, [1.0])


def test_machine_code_is_kept_and_never_stale(fresh, monkeypatch):
    assert not compile_anew().was_kept
    again = compile_anew()
    assert again.was_kept
    assert again.function(2.0) == 6.0
    monkeypatch.setitem(globals(), "SCALE", 5.0)
    other = compile_anew()
    assert not other.was_kept
    assert other.function(2.0) == 10.0
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert compile_anew().was_kept
    monkeypatch.setattr(numba, "__version__", "0.0.1")
    numba_compiler._surroundings.cache_clear()
    assert not compile_anew().was_kept
    monkeypatch.setattr(numba_compiler, "_processor", lambda: ("x86_64", "another", "+avx"))
    assert not compile_anew().was_kept
    monkeypatch.undo()
    numba_compiler._surroundings.cache_clear()


def test_files_that_are_damaged_or_of_others_are_not_read(fresh):
    compile_anew()
    (path,) = code_cache.folder().iterdir()
    data = path.read_bytes()
    for damaged in (b"", data[:-1], data[:40] + bytes([data[40] ^ 1]) + data[41:]):
        path.write_bytes(damaged)
        made = compile_anew()
        assert not made.was_kept
        assert made.function(2.0) == 6.0
        assert compile_anew().was_kept
    path.chmod(0o666)
    assert not compile_anew().was_kept
    assert compile_anew().was_kept
    if os.getuid() == 0:
        os.chown(path, 12345, 12345)
        assert not compile_anew().was_kept
    code_cache.folder().chmod(0o777)
    made = compile_anew()
    assert not made.was_kept
    assert "others can write to" in made.problem


def test_whoever_reads_meanwhile_has_all_or_nothing(fresh):
    contents = [bytes([number]) * 10**6 for number in range(8)]

    def write_and_read(content):
        code_cache.write("key", content)
        return code_cache.read("key")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(write_and_read, contents * 4)) <= set(contents)
    assert len(list(code_cache.folder().iterdir())) == 1


def test_what_nobody_has_used_for_long_is_removed(fresh):
    code_cache.write("old", b"1")
    (path,) = code_cache.folder().iterdir()
    os.utime(path, (0, 0))
    code_cache.write("new", b"2")
    assert code_cache.read("old") is None
    assert code_cache.read("new") == b"2"


def test_there_need_be_no_folder(fresh, monkeypatch):
    monkeypatch.setenv(code_cache.VARIABLE, "/proc/none")
    made = compile_anew()
    assert made.problem
    assert made.function(2.0) == 6.0


LARGE = np.arange(200_000, dtype=float)
WITH_GAPS = np.arange(10.0)[::2]


def last_of_large(x):
    return LARGE[-1] + x


def last_with_gaps(x):
    return WITH_GAPS[-1] + x


@pytest.mark.parametrize(("function", "value"), [(last_of_large, 2e5), (last_with_gaps, 9.0)])
def test_addresses_of_a_process_are_not_kept(fresh, function, value):
    for _ in range(2):
        made = compile_anew(function)
        assert not made.was_kept
        assert made.problem.startswith("it has addresses of this process")
        assert made.function(1.0) == value


def test_what_others_set_for_numba_is_not_kept_for_those_who_do_not(fresh, monkeypatch):
    compile_anew(reads_third)
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", 0)
    assert not compile_anew(reads_third).was_kept
    monkeypatch.undo()


def reads_third(x):
    return np.zeros(2)[int(x) + 1]


WITH_NUMBA_OF_ONES_OWN = """
import sys
from numba import njit
from mpipar.runtime.numba_compiler import compiled

def made(k):
    @njit
    def inner(n):
        return inner(n - 1) + inner(n - 2) + k if n > 1 else k
    return inner

ONE, TWO = made(1), made(1000)

def one(n):
    return ONE(n)

def two(n):
    return TWO(n)

print([compiled(globals()[name], [1]).function(5) for name in sys.argv[1:]])
"""


def test_functions_of_one_name_that_other_processes_kept_are_not_confused(fresh):
    for names, values in ((["one"], [15]), (["two"], [15000]), (["one", "two"], [15, 15000])):
        command = [sys.executable, "-c", WITH_NUMBA_OF_ONES_OWN, *names]
        finished = subprocess.run(command, capture_output=True, timeout=300, text=True)
        assert finished.stdout == f"{values}\n", finished.stderr


CALL_EACH_OTHER = """
from mpipar.runtime import numba_compiler

def is_even(n):
    return n == 0 or is_odd(n - 1)

def is_odd(n):
    return n != 0 and is_even(n - 1)

made = numba_compiler.compiled(is_even, [1])
print(made.function(11), made.function(12), made.was_kept, made.problem)
"""


def test_functions_that_call_each_other_have_addresses_of_their_process(fresh):
    for _ in range(2):
        command = [sys.executable, "-c", CALL_EACH_OTHER]
        finished = subprocess.run(command, capture_output=True, timeout=300, text=True)
        told = "functions of it call each other, by addresses of this process"
        assert finished.stdout == f"False True False {told}\n", finished.stderr


HELPERS = """
import math
from math import sqrt
from other_helpers import shifted
import other_helpers

SIZE = {size}

def squared(x):
    return shifted(x * x) + other_helpers.shifted(SIZE)
"""
OTHER_HELPERS = """
import helpers

OFFSET = {offset}

def shifted(x):
    return x + OFFSET
"""
USES_HELPERS = """
import helpers
import numpy as np

def uses(x):
    return helpers.squared(x) + helpers.SIZE + helpers.math.sqrt(x) + np.linalg.norm(np.ones(4))
"""


def test_functions_of_a_module_are_compiled_with_it_and_never_stale(fresh, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    kept = []
    for size, offset in ((2, 10), (3, 10), (3, 11), (3, 11)):
        (tmp_path / "helpers.py").write_text(HELPERS.format(size=size))
        (tmp_path / "other_helpers.py").write_text(OTHER_HELPERS.format(offset=offset))
        (tmp_path / "uses_helpers.py").write_text(USES_HELPERS)
        importlib.invalidate_caches()
        for name in ("helpers", "other_helpers", "uses_helpers"):
            sys.modules.pop(name, None)
        uses = importlib.import_module("uses_helpers").uses
        numba_compiler._made.clear()
        made = numba_compiler.compiled(uses, [4.0])
        kept.append(made.was_kept)
        assert made.function(4.0) == uses(4.0) == 16.0 + 2 * offset + 2 * size + 2.0 + 2.0
    assert kept == [False, False, False, True]


def test_a_function_need_be_of_no_module(fresh):
    namespace = {}
    exec("def next_one(x): return x + 1", namespace)
    assert compile_anew(namespace["next_one"]).function(1.0) == 2.0


def uses(value, monkeypatch):
    monkeypatch.setitem(globals(), "SCALE", value)
    return frozen_code.digest_of(scaled)


def test_a_digest_is_of_values_and_of_functions(monkeypatch):
    namespace = {}
    exec("def inner(x): return x + 1", namespace)
    exec("def other(x): return x + 2", namespace)
    inner, other = namespace["inner"], namespace["other"]
    values = [3.0, 3, True, "3", np.float32(3), np.array([3.0]), np.array([3]), (3.0,), None]
    values += [inner, other, numba.njit(inner), numba.njit(fastmath=True)(inner), math.sqrt, np]
    values += [np.sum, np.sqrt, numba.float64, namedtuple("Pair", "a b"), namedtuple("Pair", "a c")]
    digests = [uses(value, monkeypatch) for value in values]
    assert len(set(digests)) == len(values)
    assert digests == [uses(value, monkeypatch) for value in values]
    with pytest.raises(frozen_code.Unknown):
        uses(object(), monkeypatch)


def pairs(fields, **more):
    return namedtuple("Pair", fields, **more)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (pairs("a b")(1, 2), pairs("b a")(1, 2)),
        (pairs("a b", defaults=[1]), pairs("a b", defaults=[2])),
        (np.ones(3, [("a", "f8"), ("b", "f8")]), np.ones(3, [("b", "f8"), ("a", "f8")])),
    ],
)
def test_a_digest_is_of_the_names_of_fields_and_their_defaults(before, after, monkeypatch):
    assert uses(before, monkeypatch) != uses(after, monkeypatch)


# Without Numba


def test_without_numba_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    told = r"^Numba is not installed: pip install 'mpipar\[jit\]'$"
    with pytest.raises(BadInput, match=told):
        compiling.compiler()


def test_numba_is_imported_where_it_is_asked_for_alone():
    program = (
        "import sys; from mpipar import run; from mpipar.pi import pi;"
        " run(pi, steps=10); assert 'numba' not in sys.modules;"
        " print(run(pi, steps=10, device='compiled').value); assert 'numba' in sys.modules"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=300)
    assert finished.returncode == 0, finished.stderr


def test_auto_says_what_it_took_instead_of_a_gpu(monkeypatch, caplog):
    def visible():
        raise BadInput("there is none")

    monkeypatch.setattr(device, "visible", visible)
    assert run(pi, steps=10, device="auto").device == "compiled"
    assert caplog.messages[0] == "runs as compiled code: there is none"


# Ours


def exact_pi_of(block, steps):
    n = int(radius(steps))
    step = Fraction(n, steps)
    total = Fraction(0)
    for item in block:
        total += 1 / (n * n + ((2 * item + 1) * step / 2) ** 2)
    return total


@settings(max_examples=60, deadline=None)
@given(
    steps=st.integers(1, 2**62) | st.integers(1, 10**4),
    start=st.floats(0, 1),
    size=st.integers(1, 9) | st.integers(1, 1500),
)
def test_pi_compiled_is_the_sum_to_a_few_bits(steps, start, size):
    size = min(size, steps)
    first = round(start * (steps - size))
    block = Block(0, first, first + size)
    exact = exact_pi_of(block, steps)
    compiled = numba_compiler.compiled(tiles, [block, steps]).function
    assert abs(Fraction(compiled(block, steps)) / exact - 1) <= 8 * Fraction(2) ** -53


@settings(max_examples=40, deadline=None)
@given(
    start=st.integers(0, 200) | st.integers(0, 10**6) | st.integers(0, 10**12),
    size=st.integers(1, 100) | st.integers(1, 200_000),
)
@example(start=0, size=2 * 10**6)
@example(start=FIRST_STRUCK**2, size=1)
@example(start=10**14 + 31, size=10**5)
def test_primes_compiled_are_as_many_as_in_numpy(start, size):
    block = Block(0, start, start + size)
    compiled = numba_compiler.compiled(count_primes, [block, None]).function
    assert compiled(block, None) == count(start, start + size)


@pytest.mark.ci
def test_ranges_longer_than_the_sieve_are_cut():
    block = Block(0, 10**9, 10**9 + 30 * MOST_BYTES + 10**6)
    compiled = numba_compiler.compiled(count_primes, [block, None]).function
    assert compiled(block, None) == count(block.start, block.stop)


def test_primes_are_counted_by_compiled_code_and_neither_listed_nor_tested():
    with pytest.raises(
        BadInput, match="no kernel for compiled code: --list and --test run on the CPU"
    ):
        primes.bind({"below": 100, "list": True}, device="compiled")
    assert not primes.bind({"below": 100, "list": True}).runs_on("compiled")
    assert primes.bind({"below": 100}).runs_on("compiled")


def numpys_generators(seed, index):
    """Return the generators of a block of mcpi, as NumPy's."""
    for words in seeds(seed, index)[: 3 * LANES].reshape(LANES, 3):
        bits = np.random.SFC64()
        state = np.array([*words, 1], np.uint64)
        bits.state = {
            "bit_generator": "SFC64",
            "state": {"state": state},
            "has_uint32": 0,
            "uinteger": 0,
        }
        bits.random_raw(12)
        yield np.random.Generator(bits)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    index=st.integers(0, 50),
    size=st.integers(1, 40) | st.integers(1000, 3000),
)
def test_mcpi_compiled_counts_points_of_generators_that_numpy_has(seed, index, size):
    bound = mcpi.bind({"samples": 51 * size}, block=size, seed=seed, device="compiled")
    compiled = bound.evaluator(None, compiling.compiler().open())
    rounds = -(-size // LANES)
    drawn = [generator.random((rounds, 2)) for generator in numpys_generators(seed, index)]
    points = np.stack(drawn, axis=1).reshape(-1, 2)[:size]
    assert compiled(bound.plan[index]) == np.count_nonzero((points**2).sum(axis=1) < 1.0)


def test_mcpi_compiled_is_as_near_to_pi_as_its_error_says():
    found = run(mcpi, samples=4 * 10**7, device="compiled", seed=1)
    assert abs(found.value - math.pi) < 4 * found.error


ON_ANOTHER_PROCESSOR = """
import sys
import numpy as np
from mpipar.core.block import Block
from mpipar.kernels.pi import tiles
from mpipar.runtime import numba_compiler

def rounded(block, scale):
    total = product = 0.0
    for i in block:
        x = i * scale + 0.1
        product = product * x + 1.0 / x - np.sqrt(x)
        total = total * 0.3 + product * product
    return total

pi = numba_compiler.compiled(tiles, [Block(0, 0, 1), 10]).function
own = numba_compiler.compiled(rounded, [Block(0, 0, 1), 0.5]).function
print(numba_compiler._processor()[1], file=sys.stderr)
for start in (0, 3, 65536):
    block = Block(0, start, start + 5003)
    print(pi(block, 10**6 + 3).hex(), own(block, 1e-4).hex())
"""


def test_bits_do_not_depend_on_the_processor():
    """Neither by vectors of another width, nor by products and sums in one rounding."""
    told = {}
    for name in ("", "generic"):
        env = {**os.environ, "NUMBA_CPU_NAME": name}
        program = [sys.executable, "-c", ON_ANOTHER_PROCESSOR]
        finished = subprocess.run(program, env=env, capture_output=True, text=True, timeout=300)
        assert finished.returncode == 0, finished.stderr
        told[name] = finished.stdout
        assert ("generic" in finished.stderr) == (name == "generic")
    assert told[""] == told["generic"] != ""


def test_a_result_says_how_long_it_was_compiled_and_on_what_processor(fresh, tmp_path):
    output = tmp_path / "pi.h5"
    made = run(pi, steps=10, device="compiled", output=output)
    again = run(pi, steps=11, device="compiled")
    with open_result(output) as found:
        assert made.compile_seconds == found.compile_seconds > 0.0
        assert (again.compile_seconds, made.simd) == (0.0, found.simd)
    assert made.simd == [node.simd_level()]


@pytest.mark.parametrize(
    ("kernel", "told"),
    [
        (pi.bind({"steps": 10}), 0),
        (roots.bind({"f": "sqrt(x)", "points": 4}), 1),
        (kernel_of(item_sum).bind({}), 1),
    ],
)
def test_nodes_with_several_kinds_of_processors_are_told_of(kernel, told):
    """Where the last digits may depend on that."""
    notices = []
    conduct = Conduct(notify=notices.append)
    gathering = Gathering(kernel, None, conduct, "stride", 1, 0.0)
    gathering._replace(comm=SimpleNamespace(library="", lost_ranks=0))._run_record(
        kernel.plan, 0, Timing.of(1.0, []), [SimpleNamespace(**FROM_RANK, simd=s) for s in SIMD]
    )
    assert len(notices) == told
    assert all("AVX2, AVX512F" in notice for notice in notices)
