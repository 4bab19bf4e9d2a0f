"""A stand-in for CuPy on machines without a GPU: what mpipar uses of it, and no more.

Arrays are those of array-api-strict on one of its made-up devices: NumPy can't get at them but
through :func:`asnumpy`, and no operation works that the array API doesn't have. Kernels run on the
host (tests/cuda_on_host.py).

STAND_IN_GPUS says how many GPUs there are, -1 that there is no driver, "missing" that CuPy isn't
installed. CUDA_VISIBLE_DEVICES is heeded.
"""

import os
from collections.abc import Sequence
from typing import Any

if os.environ["STAND_IN_GPUS"] == "missing":
    raise ModuleNotFoundError("No module named 'cupy'", name="cupy")

import array_api_strict
import numpy as np
from array_api_strict import Device
from array_api_strict import _array_object as _implementation
from cuda_on_host import launch

from . import cuda

_GPU, _HOST = Device("device1"), Device("CPU_DEVICE")
_CREATORS = ("arange", "empty", "eye", "full", "linspace", "ones", "zeros")

ndarray = _implementation.Array


def __getattr__(name: str) -> Any:
    function = getattr(array_api_strict, name)
    if name in _CREATORS:
        return lambda *arguments, **options: _on_gpu(function, *arguments, **options)
    return function


def _on_gpu(function: Any, *arguments: Any, **options: Any) -> Any:
    assert cuda.current is not None, "no GPU was chosen"
    return function(*arguments, device=_GPU, **options)


def asarray(values: Any, **options: Any) -> Any:
    return _on_gpu(array_api_strict.asarray, values, **options)


def asnumpy(array: Any) -> np.ndarray:
    assert isinstance(array, ndarray)
    return np.array(array.to_device(_HOST))


class RawModule:
    """Kernels of a source, compiled for the host when the first is launched."""

    def __init__(self, *, code: str, options: tuple[str, ...] = (), backend: str = "nvrtc") -> None:
        assert options in (("-fmad=false",), ("-fmad=true",)) or backend == "nvcc"
        self.code, self.backend = code, backend

    def compile(self) -> None:
        if self.backend == "nvcc":
            raise RuntimeError("there is no nvcc")

    def get_function(self, name: str) -> Any:
        def kernel(grid: tuple[int, ...], block: tuple[int, ...], arguments: Sequence[Any]) -> None:
            assert cuda.current is not None, "no GPU was chosen"
            plain = [one._array if isinstance(one, ndarray) else one for one in arguments]
            launch(self.code, name, grid, block, tuple(plain))

        return kernel
