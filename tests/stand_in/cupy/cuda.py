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
            "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime"
            " version"
        )
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = list(range(count)) if named is None else [int(one) for one in named.split(",") if one]
    if not found:
        raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
    return found


def _properties(index: int) -> dict[str, Any]:
    number = _visible()[index]
    # CuPy ends what it has of a UUID at the first zero: here all that tells one GPU from another is
    # lost.
    uuid = bytes([*os.uname().nodename.encode()[:13], 0, number]).partition(b"\0")[0]
    return {
        "name": b"Stand-in",
        "uuid": uuid,
        "totalGlobalMem": 2**34,
        "multiProcessorCount": 1,
        "pciDomainID": 0,
        "pciBusID": 16 + number,
        "pciDeviceID": 0,
    }


runtime = SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError,
    getDevice=lambda: 0 * len(_visible()) if current is None else current,
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
