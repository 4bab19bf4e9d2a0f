"""A kernel with all that decides its result. Imports mpipar.core alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mpipar.core.errors import BadInput, BadKernel
from mpipar.core.plan import Block, Plan
from mpipar.core.reduction import Array, Reduction
from mpipar.core.signature import GIVEN, arrays_wanted, call, keywords_of

if TYPE_CHECKING:
    from mpipar.core.kernel import Kernel

DEVICES = ("cpu", "gpu")
"""What a result can be of: it depends on which of them, and not on which GPU."""


class Accelerator(NamedTuple):
    """What a kernel needs to be evaluated on a GPU.

    Attributes
    ----------
    xp : module
        The array library, whose arrays are on the GPU.
    to_host : callable
        Returns a partial with numbers and NumPy arrays for what is on the GPU.
    """

    xp: Any
    to_host: Callable[[Any], Any]


@dataclass(frozen=True)
class BoundKernel:
    """A kernel with its parameters, plan, seed and device: all that decides the result. Can be sent to a worker.

    Attributes
    ----------
    kernel : Kernel
    parameters : dict
        Values of all parameters of the kernel.
    plan : Plan
    seed : int
    device : str
        cpu or gpu.
    block : int or None
        The block size that was asked for; None is the default.
    reduction : Reduction
        The kernel's, with these parameters.
    """

    kernel: Kernel
    parameters: dict[str, Any]
    plan: Plan
    seed: int
    device: str = "cpu"
    block: int | None = field(default=None, repr=False, compare=False)
    reduction: Reduction = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        made = self.kernel._reduction
        if not isinstance(made, Reduction):
            made = self._of_class(made) if isinstance(made, type) else call(made, **self.parameters)
        if not isinstance(made, Reduction):
            raise BadKernel(f"{self.kernel.name}: reduction must be a Reduction, got {made!r}")
        names = [dataset.name for dataset in made.datasets()]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise BadInput(f"{self.kernel.name} has several datasets named {twice[0]!r}")
        object.__setattr__(self, "reduction", made)

    def _of_class(self, reduction: type) -> Any:
        try:
            return reduction()
        except TypeError as error:
            raise BadKernel(f"{self.kernel.name}: reduction={reduction.__name__} needs arguments: {error}") from None

    def __reduce__(self) -> Any:
        return BoundKernel, (self.kernel, self.parameters, self.plan, self.seed, self.device, self.block)

    def on(self, device: str) -> BoundKernel:
        """Return the same for another device, with the blocks that are the default there."""
        return self.kernel._bound(self.parameters, self.plan.n, self.block, self.seed, device)

    @property
    def _function(self) -> Callable[..., Any]:
        return self.kernel.function_on(self.device)

    def evaluator(
        self, shared: Mapping[str, Array] | None = None, accelerator: Accelerator | None = None
    ) -> Callable[[Block], Any]:
        """Return a function that evaluates a block to its partial.

        Parameters
        ----------
        shared : mapping
            The arrays of :attr:`shared_names`, in the memory of the host.
        accelerator : Accelerator, optional
            The GPU, if that is the device.
        """
        function, wanted = self._function, arrays_wanted(self._function)
        given: dict[str, Any] = dict(shared or {})
        if accelerator is not None:
            given = {name: accelerator.xp.asarray(array) for name, array in given.items()}
        if "xp" in wanted:
            given["xp"] = np if accelerator is None else accelerator.xp
        keywords = keywords_of(function)
        given |= {name: value for name, value in self.parameters.items() if name in keywords}
        function = functools.partial(function, **given)
        if accelerator is not None:
            return self._on_accelerator(function, accelerator, "rng" in wanted)
        if "rng" not in wanted:
            return function
        from mpipar.core.streams import stream  # numpy.random takes time to load, and most kernels do without

        seed = self.seed
        return lambda block: function(block, rng=stream(seed, block.index))

    def _on_accelerator(
        self, function: Callable[..., Any], accelerator: Accelerator, draws: bool
    ) -> Callable[[Block], Any]:
        xp, to_host, seed = accelerator.xp, accelerator.to_host, self.seed
        if not draws:
            return lambda block: to_host(function(block))
        from mpipar.core.philox import PhiloxStream

        return lambda block: to_host(function(block, rng=PhiloxStream(xp, seed, block.index)))

    @property
    def shared_names(self) -> tuple[str, ...]:
        """Names of the arrays that exist once on each node."""
        return tuple(name for name in arrays_wanted(self._function) if name not in GIVEN)

    def make_shared(self, name: str, empty: Callable[..., Array]) -> Any:
        """Return what the kernel's function for this shared array makes, with memory from ``empty``."""
        return call(self.kernel._shared[name], empty, **self.parameters)

    @property
    def may_end_early(self) -> bool:
        """Whether :meth:`is_enough` is to be asked."""
        enough = self.kernel._enough
        return enough is not None and all(self.parameters[name] is not None for name in keywords_of(enough))

    def is_enough(self, result: Any) -> bool:
        """Return whether the result of the first blocks will do."""
        assert self.kernel._enough is not None
        return bool(call(self.kernel._enough, result, **self.parameters))

    def result(self, total: Any) -> Any:
        """Return the result of a total."""
        reduced = self.reduction.finish(total)
        finish = self.kernel._finish
        return reduced if finish is None else call(finish, reduced, **self.parameters)
