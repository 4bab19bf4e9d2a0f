"""GPUs: which rank takes which, what is said where there is none, whether their kernels compile,
and, with one, run.
"""

import ctypes
import ctypes.util
import importlib
import math
import os
import re
import runpy
import site
import sys
import types
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mpipar
from mpipar import BadInput
from mpipar.command import gpus
from mpipar.core.philox import PhiloxStream
from mpipar.mcpi import mcpi
from mpipar.pi import pi
from mpipar.runtime import device
from mpipar.runtime.device import COMPILER_OPTIONS, Gpu, Seat, chosen, place, visible

SOURCES = sorted(Path(mpipar.__file__).parent.glob("kernels/*.cu"))
RIVALS = Path(__file__).parents[2] / "benchmarks/gpu/rivals.cu"


def what_is_missing() -> str:
    try:
        visible()
    except BadInput as error:
        return str(error)
    return ""


def absent(what: str) -> NoReturn:
    """Skip the test, but not where what it needs must be there: ``MPIPAR_TEST_CUDA=1``."""
    if os.environ.get("MPIPAR_TEST_CUDA") == "1":
        pytest.fail(what)
    pytest.skip(what)


def library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        absent(f"needs {name}, though no GPU")


def needs_gpu(test):
    return pytest.mark.gpu(
        pytest.mark.skipif(bool(what_is_missing()), reason=f"needs a GPU: {what_is_missing()}")(
            test
        )
    )


# Which rank takes which


names = st.lists(st.uuids().map(str), min_size=1, max_size=8, unique=True)


@given(gpus=names, ranks=st.integers(1, 40))
def test_ranks_that_see_the_same_gpus_take_turns(gpus, ranks):
    """As without any binding, or with one CUDA_VISIBLE_DEVICES for all."""
    assert place([gpus] * ranks) == [rank % len(gpus) for rank in range(ranks)]


@given(gpus=names, ranks=st.integers(1, 40))
def test_a_rank_that_was_given_one_has_it(gpus, ranks):
    """As by Slurm's --gpus-per-task=1, or --gpu-bind=single:1."""
    assert place([[gpus[rank % len(gpus)]] for rank in range(ranks)]) == [0] * ranks


@given(st.data(), names)
def test_whatever_ranks_see(data, gpus):
    """Each takes one that it sees, and none for which another that it sees had fewer takers."""
    some = st.lists(st.sampled_from(gpus), unique=True, max_size=len(gpus))
    seen = data.draw(st.lists(some, min_size=1, max_size=12))
    taken: dict[str, int] = dict.fromkeys(gpus, 0)
    for own, index in zip(seen, place(seen), strict=True):
        if not own:
            assert index is None
            continue
        assert index is not None
        assert taken[own[index]] == min(taken[name] for name in own)
        taken[own[index]] += 1


@given(gpus=names, ranks=st.integers(1, 12), each=st.integers(1, 3))
def test_ranks_with_several_of_their_own_share_none(gpus, ranks, each):
    """As by --gpus-per-task=2."""
    seen = [[f"{rank}-{number}" for number in range(each)] for rank in range(ranks)]
    chosen = [own[index] for own, index in zip(seen, place(seen), strict=True) if index is not None]
    assert len(set(chosen)) == ranks


# What is said where there is none


class Runtime:
    class CUDARuntimeError(RuntimeError):
        pass

    def __init__(
        self, count: int = 0, error: str = "", name: bytes = b"Card", uuid: bytes = bytes(range(16))
    ) -> None:
        self.count, self.error, self.name, self.uuid = count, error, name, uuid

    def getDeviceCount(self) -> int:
        if self.error:
            raise self.CUDARuntimeError(self.error)
        return self.count

    def getDeviceProperties(self, number: int) -> dict[str, object]:
        return {
            "name": self.name,
            "uuid": self.uuid,
            "totalGlobalMem": 2**33,
            "pciDomainID": 0,
            "pciDeviceID": 0,
            "pciBusID": 16 + number,
        }


def cupy_with(monkeypatch, runtime) -> None:
    cupy = types.ModuleType("cupy")
    cupy.cuda = types.SimpleNamespace(runtime=runtime)
    monkeypatch.setitem(sys.modules, "cupy", cupy)


def test_visible_gpus_are_described(monkeypatch):
    cupy_with(monkeypatch, Runtime(2))
    uuid = "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert visible() == (
        Gpu(0, "Card", uuid, 2**33, (0, 16, 0)),
        Gpu(1, "Card", uuid, 2**33, (0, 17, 0)),
    )


@pytest.mark.parametrize(
    "name", [b"NVIDIA RTX A6000", b"NVIDIA RTX A6000\0\xff\0", b"NVIDIA RTX A6000" + bytes(240)]
)
def test_a_name_is_text_whatever_its_length(monkeypatch, name):
    cupy_with(monkeypatch, Runtime(1, name=name))
    assert visible()[0].name == "NVIDIA RTX A6000"


@pytest.mark.parametrize(
    ("uuid", "shown"),
    [
        (b"", "GPU-00000000-0000-0000-0000-000000000000"),
        (b"\x12\x34", "GPU-12340000-0000-0000-0000-000000000000"),
        (b"0123456789abcdef and what comes after", "GPU-30313233-3435-3637-3839-616263646566"),
    ],
)
def test_gpus_differ_though_a_uuid_ends_at_a_zero(monkeypatch, uuid, shown):
    """CuPy takes the 16 bytes for text."""
    cupy_with(monkeypatch, Runtime(2, uuid=uuid))
    gpus = visible()
    assert [gpu.uuid for gpu in gpus] == [shown, shown]
    assert place([[gpu.key for gpu in gpus]] * 4) == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("runtime", "told"),
    [
        (
            Runtime(error="cudaErrorInsufficientDriver: CUDA driver version is insufficient"),
            "no NVIDIA driver",
        ),
        (
            Runtime(error="cudaErrorNoDevice: no CUDA-capable device is detected"),
            "no GPU is visible: see CUDA_VISIBLE",
        ),
        (Runtime(0), "no GPU is visible: see CUDA_VISIBLE_DEVICES"),
        (
            Runtime(error="cudaErrorSystemDriverMismatch:\n odd"),
            "cudaErrorSystemDriverMismatch: odd: see whether nvidia-smi",
        ),
    ],
)
def test_no_gpu_is_told_in_one_line(monkeypatch, runtime, told):
    cupy_with(monkeypatch, runtime)
    with pytest.raises(BadInput, match=f"^{told}") as raised:
        visible()
    assert "\n" not in str(raised.value)


def test_a_missing_cupy_is_told_with_the_command_that_gets_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(BadInput, match=r"^CuPy is not installed: pip install 'mpipar\[gpu\]'$"):
        visible()


@pytest.mark.parametrize(
    "raised", ["ImportError('libcudart.so.12:\\n none')", "OSError('libcudart.so.12: none')"]
)
def test_a_broken_cupy_is_told_with_what_it_says(monkeypatch, tmp_path, raised):
    (tmp_path / "cupy.py").write_text(f"raise {raised}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    told = r"^CuPy can't be imported \(libcudart.so.12: none\): pip install 'mpipar\[gpu\]'$"
    with pytest.raises(BadInput, match=told):
        visible()


def test_the_cupy_that_is_installed_is_asked_in_words_that_it_knows():
    library("cupy")
    assert not what_is_missing() or what_is_missing().startswith(("no NVIDIA driver", "no GPU"))


@pytest.mark.parametrize("name", ["array_api_strict", "numpy", "cupy"])
def test_libraries_have_what_is_used_of_them(name):
    xp = library(name)
    used = {
        name
        for path in Path(mpipar.__file__).parent.rglob("*.py")
        for name in re.findall(r"\bxp\.(\w+)", path.read_text(encoding="utf-8"))
    }
    assert {"arange", "count_nonzero", "sum", "concat"} <= used
    missing = {name for name in used if not hasattr(xp, name)}
    assert missing < {"concat", "concatenate"}, "one of the two will do"


class Ranks:
    """A comm of one rank that is told what the others are."""

    def __init__(self, others: list[tuple[str, str]]) -> None:
        self.others, self.size, self.host, self.is_root = others, 1 + len(others), "n1", True

    def node_neighbours(self, value):
        return 0, [value]

    def gather(self, value):
        return [value, *self.others]

    def bcast(self, value):
        return value


def test_all_ranks_use_the_gpu_or_none(monkeypatch):
    cupy_with(monkeypatch, Runtime(1))
    fine = ("n2", None)
    broken = ("n3", BadInput("no GPU is visible", remedy="ask for one"))
    assert chosen(Ranks([fine]), "gpu") == chosen(Ranks([fine]), "auto") == visible()[0]
    assert chosen(Ranks([fine]), "cpu") is None
    told: list[str] = []
    assert chosen(Ranks([fine]), "auto", told.append) is not None
    assert chosen(Ranks([fine, broken]), "cpu", told.append) is None
    assert told == []
    assert chosen(Ranks([fine, broken]), "auto", told.append) is None
    assert told == ["1 rank of 3, such as rank 2 on host n3: no GPU is visible: ask for one"]
    with pytest.raises(
        BadInput,
        match=r"^device: 1 rank of 3, such as rank 2 on host n3: no GPU is visible: ask for one$",
    ):
        chosen(Ranks([fine, broken]), "gpu")
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(
        BadInput, match=r"^device: CuPy is not installed: pip install 'mpipar\[gpu\]'$"
    ):
        chosen(Ranks([]), "gpu")
    with pytest.raises(BadInput, match=r"\(on all 2 ranks\)$"):
        chosen(Ranks([("n2", "the same")]), "gpu")


def test_the_cpu_asks_nothing(monkeypatch):
    monkeypatch.setattr(device, "visible", lambda: pytest.fail("asked for GPUs"))
    assert chosen(Ranks([]), "cpu") is None


# What doctor says

A, B = Gpu(0, "Card", "GPU-aaaaaaaa-1", 2**33), Gpu(1, "Card", "GPU-bbbbbbbb-2", 2**33)


def findings(*seats: tuple[str, Seat], wanted: bool = False, launched: bool = True) -> list[str]:
    return [
        what for what, remedy in gpus.problems(seats, wanted=wanted, launched=launched) if remedy
    ]


def test_doctor_tells_who_has_which():
    seats = [
        ("n1", Seat((A, B), A)),
        ("n1", Seat((A, B), B)),
        ("n2", Seat((), None, BadInput("no GPU is visible", remedy="ask"))),
    ]
    assert list(gpus.facts(seats)) == [
        ("GPUs of n1", "Card (8 GiB, GPU-aaaaaaaa): rank 0; Card (8 GiB, GPU-bbbbbbbb): rank 1"),
        ("GPUs of n2", "none (no GPU is visible: ask)"),
    ]
    assert list(gpus.facts([])) == []


def test_doctor_finds_nothing_wrong_where_each_rank_has_its_own():
    both = [("n1", Seat((A, B), A)), ("n1", Seat((A, B), B))]
    assert findings(*both) == findings(*both, wanted=True) == []


def test_doctor_flags_ranks_that_share_a_gpu():
    seats = [("n1", Seat((A, B), gpu)) for gpu in (A, B, A)]
    assert findings(*seats) == ["host n1: ranks 0, 2 share one GPU (Card, GPU-aaaaaaaa)"]


def test_doctor_flags_gpus_without_a_rank():
    assert findings(("n1", Seat((A, B), A))) == ["host n1: 1 GPU of 2 without a rank"]
    assert findings(("n1", Seat((A, B), A)), launched=False) == []


def test_doctor_flags_ranks_without_a_gpu_if_others_have_one_or_all_should():
    without = Seat((), None, BadInput("no GPU is visible", remedy="ask for one"))
    assert findings(("n1", without)) == []
    assert findings(("n1", without), wanted=True) == [
        "rank 0 on host n1 has no GPU: no GPU is visible"
    ]
    reason = "CuPy can't be imported (libcudart.so.12: none)"
    broken = ("n1", Seat((), None, BadInput(reason, remedy="pip install 'mpipar[gpu]'")))
    told = (f"rank 0 on host n1 has no GPU: {reason}", "pip install 'mpipar[gpu]'")
    assert list(gpus.problems([broken], wanted=True, launched=True)) == [told]
    assert findings(("n1", Seat((A,), A)), ("n2", without)) == [
        "rank 1 on host n2 has no GPU: no GPU is visible"
    ]


# Whether the kernels compile: NVIDIA's compiler needs no GPU


def nvrtc() -> ctypes.CDLL:
    """Return the compiler that CuPy uses (it comes with mpipar[gpu])."""
    found = [
        path
        for folder in site.getsitepackages()
        for path in Path(folder).glob("nvidia/**/libnvrtc.so.*")
    ]
    name = str(found[0]) if found else ctypes.util.find_library("nvrtc")
    return ctypes.CDLL(name) if name else absent("needs NVRTC: pip install nvidia-cuda-nvrtc-cu12")


def compiled(library: ctypes.CDLL, source: bytes, options: list[str]) -> tuple[int, str, str]:
    """Return the compiler's code, what it says, and the assembly."""

    def text(kind: str) -> str:
        size = ctypes.c_size_t()
        getattr(library, f"nvrtcGet{kind}Size")(program, ctypes.byref(size))
        room = ctypes.create_string_buffer(size.value)
        getattr(library, f"nvrtcGet{kind}")(program, room)
        return room.value.decode()

    program = ctypes.c_void_p()
    assert (
        library.nvrtcCreateProgram(ctypes.byref(program), source, b"kernels.cu", 0, None, None) == 0
    )
    encoded = [option.encode() for option in options]
    code = library.nvrtcCompileProgram(
        program, len(encoded), (ctypes.c_char_p * len(encoded))(*encoded)
    )
    return code, text("ProgramLog"), text("PTX") if code == 0 else ""


MOST_REGISTERS = 48
"""Of a thread: a processor has 65,536 registers, and so takes 1280 threads, of 2048 at most."""


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_kernels_compile_for_gpus(source, architecture):
    options = [
        f"--gpu-architecture={architecture}",
        *COMPILER_OPTIONS,
        "--std=c++17",
        "--ptxas-options=-v",
    ]
    code, said, assembly = compiled(nvrtc(), source.read_bytes(), options)
    assert code == 0, said
    assert "warning" not in said, said
    spilled = set(re.findall(r"(\d+) bytes spill", said))
    assert spilled == {"0"}, said
    registers = [int(used) for used in re.findall(r"Used (\d+) registers", said)]
    assert registers, said
    assert max(registers) <= MOST_REGISTERS, said
    contracted = "fma.rn.f64" in assembly
    assert contracted == ("fma(" in source.read_text()), (
        "the compiler made an fma that isn't in the source"
    )


def test_the_arithmetic_of_pi_is_as_much_as_the_comparison_takes_it_for():
    source = next(path for path in SOURCES if path.stem == "pi")
    code, said, assembly = compiled(
        nvrtc(), source.read_bytes(), ["--gpu-architecture=sm_90", *COMPILER_OPTIONS]
    )
    assert code == 0, said
    loop = max(re.split(r"\n\$L|bra", assembly), key=lambda piece: piece.count(".f64"))
    counted = runpy.run_path(str(RIVALS.with_name("compare.py")))
    groups = loop.count("div.rn.f64")  # the compiler may do several in one round
    assert groups >= 1
    assert (
        len(re.findall(r"(?:fma|mul|add|sub)\.rn\.f64", loop))
        == groups * counted["SOURCE_OF_A_GROUP"]
    )


def test_the_yardsticks_compile_for_gpus():
    code, said, assembly = compiled(
        nvrtc(), RIVALS.read_bytes(), ["--gpu-architecture=sm_90", "-fmad=true"]
    )
    assert code == 0, said
    assert "fma.rn.f64" in assembly


@pytest.mark.parametrize("source", [*SOURCES, RIVALS], ids=lambda path: path.stem)
def test_sources_are_ascii(source):
    """CuPy writes them in the encoding of the locale."""
    assert source.read_bytes().isascii()


def test_the_kernels_are_installed_with_the_package():
    assert [path.stem for path in SOURCES] == ["mcpi", "pi"]


# With a GPU


@needs_gpu
@pytest.mark.parametrize(
    ("steps", "block"),
    [(1, 1), (10**6 + 1, 300_001), (10**11, 2**30), (2**63 - 1, 2**27), (2**53, 2**20 + 1)],
)
def test_pi_on_a_gpu_is_the_sum_that_the_cpu_has(steps, block):
    accelerator = visible()[0].open()
    bound = pi.bind({"steps": steps}, block=block, device="gpu")
    fused, tuned = bound.evaluator(accelerator=accelerator), bound.on("cpu").evaluator()
    one = bound.plan[bound.plan.n_blocks // 2]
    pieces = [
        mpipar.Block(0, first, min(first + 2**16, one.stop))
        for first in range(one.start, one.stop, 2**16)
    ]
    assert fused(one) == pytest.approx(math.fsum(map(tuned, pieces)), rel=1e-15)
    assert fused(one) == fused(one)


@needs_gpu
def test_mcpi_on_a_gpu_counts_the_points_that_numpy_does():
    accelerator = visible()[0].open()
    bound = mcpi.bind({"samples": 10**6 + 1}, block=400_001, seed=3, device="gpu")
    fused = bound.evaluator(accelerator=accelerator)
    for index in range(bound.plan.n_blocks):
        block = bound.plan[index]
        on_gpu = mcpi(block, PhiloxStream(accelerator.xp, 3, index), accelerator.xp, samples=1)
        on_cpu = mcpi(block, PhiloxStream(np, 3, index), np, samples=1)
        assert fused(block) == int(on_gpu) == int(on_cpu)


@needs_gpu
def test_integrals_and_roots_on_a_gpu():
    accelerator = visible()[0].open()
    for name, parameters in (
        (
            "integrate",
            {
                "f": "exp(-x*y)",
                "over": [0.0, 1.0, 0.0, 2.0],
                "samples": 90_000,
                "method": "midpoint",
            },
        ),
        ("roots", {"points": 1000}),
    ):
        kernel = getattr(__import__(f"mpipar.{name}", fromlist=[name]), name)
        bound = kernel.bind(parameters, device="gpu")
        there = bound.evaluator(accelerator=accelerator)(bound.plan[0])
        here = bound.on("cpu").evaluator()(bound.plan[0])
        for one, other in zip(
            *(x.values() if isinstance(x, dict) else [x] for x in (there, here)), strict=True
        ):
            assert np.asarray(one) == pytest.approx(np.asarray(other), rel=1e-14)
