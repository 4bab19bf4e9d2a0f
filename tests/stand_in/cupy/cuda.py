"""The devices of the stand-in for CuPy."""

import os
import time
from types import SimpleNamespace
from typing import Any

current: int | None = None


class CUDARuntimeError(RuntimeError):
    """What the runtime raises."""


def _visible() -> list[int]:
    count = int(os.environ["STAND_IN_GPUS"])
    if count < 0:
        raise CUDARuntimeError(
            "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
        )
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = list(range(count)) if named is None else [int(one) for one in named.split(",") if one]
    if not found:
        raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
    return found


def _properties(index: int) -> dict[str, Any]:
    number = _visible()[index]
    return {"name": b"Stand-in", "uuid": bytes([number, *os.uname().nodename.encode()[:15].ljust(15)]),
            "totalGlobalMem": 2**34, "multiProcessorCount": 1}  # fmt: skip


runtime = SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError,
    getDeviceCount=lambda: len(_visible()),
    getDeviceProperties=_properties,
)


class Device:
    """A GPU, by its number among those that are visible."""

    def __init__(self, index: int) -> None:
        _visible()[index]
        self.index = index

    def use(self) -> None:
        global current
        current = self.index


class Event:
    """A moment."""

    def record(self) -> None:
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        assert self.time


def get_elapsed_time(begin: Event, end: Event) -> float:
    """Return milliseconds."""
    return 1000 * (end.time - begin.time)
