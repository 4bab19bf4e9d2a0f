"""CUDA kernels run on the host: compiled as C++, a thread of the system for each of a block's,
block after block.

So a kernel's own source is what runs, with its barriers and shared memory; and the arguments that
it is launched with are checked against its signature, as a device would not do.
"""

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")

# What the language has more than C++, for one block at a time: shared memory can be static.
PREAMBLE = """
#include <cmath>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>
#define __global__
#define __device__
#define __shared__ static
using std::fma;
struct Index { unsigned x; };
static thread_local Index threadIdx, blockIdx;
static Index blockDim, gridDim;
class Barrier {
    std::mutex mutex; std::condition_variable all_here; unsigned size, missing, round = 0;
public:
    explicit Barrier(unsigned size) : size(size), missing(size) {}
    void wait() {
        std::unique_lock<std::mutex> lock(mutex);
        unsigned mine = round;
        if (--missing == 0) { missing = size; round += 1; all_here.notify_all(); }
        else all_here.wait(lock, [&] { return mine != round; });
    }
};
static Barrier *barrier;
static void __syncthreads() { barrier->wait(); }
static void atomicAdd(unsigned long long *where, unsigned long long more) { __atomic_fetch_add(where, more, 5); }
static void run(unsigned blocks, unsigned threads, const std::function<void()> &kernel) {
    Barrier all(threads);
    barrier = &all;
    blockDim.x = threads;
    gridDim.x = blocks;
    std::vector<std::thread> running;
    for (unsigned thread = 0; thread < threads; thread += 1)
        running.emplace_back([=, &kernel] {
            threadIdx.x = thread;
            for (unsigned block = 0; block < blocks; block += 1) {
                blockIdx.x = block;
                kernel();
                __syncthreads();
            }
        });
    for (std::thread &one : running) one.join();
}
"""

# {type in CUDA: type of the argument}
SCALARS = {
    "double": np.float64,
    "long long": np.int64,
    "unsigned long long": np.uint64,
    "unsigned int": np.uint32,
}
CTYPES = {
    np.float64: ctypes.c_double,
    np.int64: ctypes.c_longlong,
    np.uint64: ctypes.c_ulonglong,
    np.uint32: ctypes.c_uint,
}


def signatures(source: str) -> dict[str, list[tuple[str, str]]]:
    """Return the parameters of each kernel in a source, {name: [(type, name), …]}."""
    found = {}
    for name, parameters in re.findall(r"__global__ void (\w+)\(([^)]*)\)", source):
        words = [" ".join(one.replace("*", " * ").split()) for one in parameters.split(",")]
        found[name] = [(one.rpartition(" ")[0], one.rpartition(" ")[2]) for one in words]
    return found


@functools.cache
def _library(source: str) -> ctypes.CDLL:
    launchers = ""
    for name, parameters in signatures(source).items():
        declared = "".join(f", {kind} {parameter}" for kind, parameter in parameters)
        passed = ", ".join(parameter for _, parameter in parameters)
        launchers += (
            f'extern "C" void launch_{name}(unsigned blocks, unsigned threads{declared}) '
            f"{{ run(blocks, threads, [=] {{ {name}({passed}); }}); }}\n"
        )
    text = PREAMBLE + source + launchers
    kept = os.environ.get(
        "STAND_IN_KERNELS"
    )  # a folder, for processes of one test to share what is compiled
    if kept is None:
        with tempfile.TemporaryDirectory() as folder:
            return ctypes.CDLL(str(_compiled(text, Path(folder) / "kernels.so")))
    library = Path(kept) / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.so"
    if not library.exists():
        _compiled(text, Path(kept) / f"{os.uname().nodename}-{os.getpid()}.so").replace(library)
    return ctypes.CDLL(str(library))


def _compiled(text: str, library: Path) -> Path:
    assert COMPILER is not None
    code = library.with_suffix(".cpp")
    code.write_text(text)
    warnings = [
        "-Wall",
        "-Wno-unknown-pragmas",
        "-Wno-unused-function",
        "-Wno-unused-variable",
        "-Werror",
    ]
    flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-pthread"]
    subprocess.run(
        [COMPILER, *flags, *warnings, str(code), "-o", str(library)], check=True, timeout=60
    )
    return library


def launch(
    source: str,
    name: str,
    grid: tuple[int, ...],
    block: tuple[int, ...],
    arguments: tuple[Any, ...],
) -> None:
    """Run a kernel, as a GPU would; arrays are NumPy's."""
    parameters = signatures(source)[name]
    assert len(arguments) == len(parameters), f"{name} takes {parameters}, got {arguments}"
    assert all(isinstance(one, int) and one >= 1 for one in (*grid, *block)), (grid, block)
    assert len(grid) == len(block) == 1
    assert grid[0] < 2**31
    assert block[0] <= 1024
    passed = []
    for (kind, parameter), argument in zip(parameters, arguments, strict=True):
        pointed = kind.removeprefix("const ").removesuffix(" *") if kind.endswith("*") else None
        if pointed is None:
            assert type(argument) is SCALARS[kind], (
                f"{name}: {parameter} is {kind}, got {argument!r}"
            )
            passed.append(CTYPES[SCALARS[kind]](argument.item()))
        else:
            assert isinstance(argument, np.ndarray), (
                f"{name}: {parameter} is a pointer, got {argument!r}"
            )
            assert argument.dtype == SCALARS[pointed], (
                f"{name}: {parameter} is {kind}, got {argument.dtype}"
            )
            assert argument.flags.c_contiguous
            passed.append(ctypes.c_void_p(argument.ctypes.data))
    getattr(_library(source), f"launch_{name}")(
        ctypes.c_uint(grid[0]), ctypes.c_uint(block[0]), *passed
    )
