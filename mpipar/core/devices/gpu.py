"""GPUs, with an array library such as CuPy's: which that is, and which GPU, others say."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from mpipar.base.overriding import override
from mpipar.core.block import Block
from mpipar.core.devices.port import Device, Evaluate, Function, Opened

if TYPE_CHECKING:
    from mpipar.core.partials import Array

SMALLEST_DEFAULT_BLOCK = 2**20
LARGEST_DEFAULT_BLOCK = 2**24
"""Items in a default block: enough to fill a GPU, and 128 MiB of doubles, of which it has room for
many.
"""

DEFAULT_BLOCKS = 64
"""Blocks that a default plan is cut into, where these are neither too small nor too large."""


class _Gpu(Device):
    name = "gpu"
    one = "a GPU"
    where = " on the GPU"
    needs = "one takes the array library, xp"
    largest_block = 2**44
    """CUDA has less than 2³¹ blocks of threads, each of 2¹⁴ points in mpipar.mcpi."""

    @override
    def default_block(self, n: int) -> int:
        return min(LARGEST_DEFAULT_BLOCK, max(SMALLEST_DEFAULT_BLOCK, n // DEFAULT_BLOCKS))

    @override
    def suits(self, arguments: tuple[str, ...], has_own_function: bool) -> bool:
        return has_own_function or "xp" in arguments


class Accelerator(Opened):
    """A GPU that this process uses.

    Attributes
    ----------
    xp : module
        The array library, whose arrays are on the GPU.
    to_host : callable
        Returns a partial with numbers and NumPy arrays for what is on the GPU, once that is
        computed.
    """

    is_slow_at_first: ClassVar[bool] = True

    def __init__(self, xp: Any, to_host: Callable[[Any], Any]) -> None:
        self.xp = xp
        self.to_host = to_host

    @override
    def library(self) -> Any:
        return self.xp

    @override
    def shared(self, array: Array) -> Any:
        return self.xp.asarray(array)

    @override
    def evaluator(
        self,
        function: Function,
        given: Mapping[str, Any],
        seed: int,
        *,
        draws: bool,
    ) -> Evaluate:
        ready = functools.partial(function, **given)
        to_host = self.to_host
        if not draws:
            return lambda block: to_host(ready(block))
        from mpipar.core.philox import PhiloxStream

        xp = self.xp

        def evaluate(block: Block) -> Any:
            return to_host(ready(block, rng=PhiloxStream(xp, seed, block.index)))

        return evaluate


GPU = _Gpu()
