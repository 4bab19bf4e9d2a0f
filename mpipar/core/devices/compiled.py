"""The cores of the host, with machine code that Numba makes of a kernel's Python.

Decorate a function with ``@kernel.on("compiled")``, or a kernel's one and only function::

    @driver(n="terms", reduction=ExactSum)
    def basel(block, *, terms: int = 10**6):
        total = 0.0
        for i in block:
            total += 1.0 / (i + 1.0) ** 2
        return total

    basel.on("compiled")(basel.function)

It is in Numba's subset of Python, and takes what any kernel does: block (with ``index``, ``start``,
``stop``, ``size``, ``len`` and iteration), rng (the block's own generator of NumPy), shared arrays,
and options after the ``*``; a list comes as an array. What draws by itself takes seeds, 64 words of
64 bits that the seed of the run and the number of the block hash to. Functions of Python's that it
calls are compiled with it. It says nothing of Numba: that is imported where ``--device compiled``
is asked for.

Whole numbers have 64 bits there. What needs more raises, and what NumPy's types would make of it
otherwise than compiled code is refused, unless ``strict=False`` leaves that to Numba's rules. No
sum is reordered and no product fused with a sum, so that the bits are those of the source on each
processor.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from mpipar.base.errors import BadInput
from mpipar.base.overriding import override
from mpipar.core.block import Block
from mpipar.core.devices.cpu import CPU
from mpipar.core.devices.port import Device, Evaluate, Function, Opened

if TYPE_CHECKING:
    pass

Compile: TypeAlias = Callable[[Function, list[Any]], Function]
"""Returns the machine code of a function for arguments of the types that these have."""

JIT_OPTIONS = ("error_model", "boundscheck", "strict")
"""Options that a kernel may choose, with ``kernel.on("compiled", boundscheck=False)``: two of
Numba's, none of which lets the compiler choose how to round, and whether all else is as in plain
Python.
"""

JIT = "__mpipar_jit__"
"""The attribute of a function that has the options which were chosen."""

_F = TypeVar("_F", bound=Callable[..., Any])

INLINED = "__mpipar_inlined__"
"""The attribute of a function that is to be a part of those which call it."""


def inlined(function: _F) -> _F:
    """Compile a function into each loop that calls it, so that this may run in the processor's
    vectors; a decorator. For short functions: the compiler does so by itself with the shortest.
    """
    setattr(function, INLINED, True)
    return function


class _Compiled(Device):
    name = "compiled"
    one = "compiled code"
    where = ", compiled"
    needs = 'one is in Numba\'s subset of Python, decorated with kernel.on("compiled")'
    most_items = 2**63 - 1
    gives = ("rng", "seeds")

    @override
    def default_block(self, n: int) -> int:
        # With the blocks of the CPU, a kernel has the same random numbers as there.
        return CPU.default_block(n)

    @override
    def block_among(self, sizes: Mapping[str, Any]) -> Any:
        return sizes.get(self.name, CPU.block_among(sizes))

    @override
    def suits(self, arguments: tuple[str, ...], has_own_function: bool) -> bool:
        return has_own_function


class Compiling(Opened):
    """The compiler, as this process uses it.

    Attributes
    ----------
    compile : callable
        See :data:`Compile`.
    """

    def __init__(self, compile: Compile) -> None:
        self.compile = compile

    @override
    def library(self) -> Any:
        raise AssertionError("no compiled function takes xp")

    @override
    def evaluator(
        self,
        function: Function,
        given: Mapping[str, Any],
        seed: int,
        *,
        draws: bool,
    ) -> Evaluate:
        _, *names = inspect.signature(function).parameters
        drawn = [name for name in names if name in _STREAMS]
        values = dict(given)
        for name in drawn:
            values[name] = _STREAMS[name](seed, 0)
        arguments = [_as_compiled(values[name]) for name in names]
        compiled = self.compile(function, [Block(0, 0, 0), *arguments])
        if not drawn:
            return lambda block: compiled(block, *arguments)
        place = names.index(drawn[0])
        stream = _STREAMS[drawn[0]]
        before = arguments[:place]
        after = arguments[place + 1 :]

        def evaluate(block: Block) -> object:
            return compiled(block, *before, stream(seed, block.index), *after)

        return evaluate


def _generator(seed: int, index: int) -> Any:
    """Return the generator of a block."""
    from mpipar.core.streams import stream  # numpy.random takes time to load

    return stream(seed, index)


def _seeds(seed: int, index: int) -> Any:
    """Return the words of a block."""
    from mpipar.core.streams import seeds

    return seeds(seed, index)


_STREAMS = {"rng": _generator, "seeds": _seeds}


def _as_compiled(value: Any) -> Any:
    """Return the value of an argument as compiled code takes it."""
    if not isinstance(value, list):
        return value
    import numpy as np

    array = np.array(value)
    if array.dtype.kind not in "iu" and value and all(type(item) is int for item in value):
        raise BadInput(f"compiled code has whole numbers of 64 bits, got {max(value, key=abs)}")
    array.flags.writeable = False
    return array


COMPILED = _Compiled()
