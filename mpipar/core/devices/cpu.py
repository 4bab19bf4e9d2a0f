"""The cores of the host, with NumPy."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any

from mpipar.base.overriding import override
from mpipar.core.block import Block
from mpipar.core.devices.port import Device, Evaluate, Function, Opened

if TYPE_CHECKING:
    pass

LARGEST_DEFAULT_BLOCK = 2**15
"""Items in a default block, at most: 256 KiB of doubles, so that a few NumPy buffers stay in the
cache.
"""

DEFAULT_BLOCKS = 2**12
"""Blocks that a small default plan is cut into, so that they can be balanced over many workers."""


class _Cpu(Device):
    name = "cpu"
    one = "a CPU"

    @override
    def default_block(self, n: int) -> int:
        return max(1, min(LARGEST_DEFAULT_BLOCK, n // DEFAULT_BLOCKS))

    @override
    def suits(self, arguments: tuple[str, ...], has_own_function: bool) -> bool:
        return True


class _Host(Opened):
    @override
    def library(self) -> Any:
        import numpy

        return numpy

    @override
    def evaluator(
        self,
        function: Function,
        given: Mapping[str, Any],
        seed: int,
        *,
        draws: bool,
    ) -> Evaluate:
        ready = with_arguments(function, given)
        if not draws:
            return ready
        # numpy.random takes time to load, and most kernels do without.
        from mpipar.core.streams import stream

        def evaluate(block: Block) -> object:
            return ready(block, rng=stream(seed, block.index))

        return evaluate


def with_arguments(function: Function, given: Mapping[str, Any]) -> Function:
    """Return a function whose arguments with these names are given.

    As defaults, since keywords would take half a microsecond of each call.
    """
    if not isinstance(function, FunctionType):
        return functools.partial(function, **given)
    code = function.__code__
    _, *names = code.co_varnames[: code.co_argcount]
    defaults = tuple(map(given.get, names))
    ready = FunctionType(
        code, function.__globals__, function.__name__, defaults, function.__closure__
    )
    by_keyword = {name: value for name, value in given.items() if name not in names}
    ready.__kwdefaults__ = {**(function.__kwdefaults__ or {}), **by_keyword}
    return ready


CPU = _Cpu()
HOST = _Host()
