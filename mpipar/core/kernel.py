"""A kernel: a function that evaluates one block, with what is needed to run it. Imports mpipar.core alone."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from mpipar.core.errors import BadInput
from mpipar.core.parameters import Parameter, parameters_of
from mpipar.core.plan import Block, Plan
from mpipar.core.reduction import Reduction

Finish = Callable[..., Any]


class Kernel:
    """A function of one block, the reduction of its partials, and the parameters that both have.

    Parameters
    ----------
    function : callable
        ``function(block, *, …)`` or ``function(block, rng, *, …)``, returning the partial of the block. ``rng`` is the
        block's own :class:`numpy.random.Generator`. Keyword-only parameters must have types and are the options.
    n : str or callable
        Name of the parameter that is the number of items, or a function of parameters (named as the kernel's).
    reduction : Reduction, or a subclass of it that needs no arguments
        How partials become the result.
    block : int, optional
        Default block size, in items. If None, a size that depends on n alone.

    Raises
    ------
    TypeError
        If the signature doesn't fit.

    Notes
    -----
    A kernel can be called like its function. It is pickled by name, hence must be found in its module.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        n: str | Callable[..., int],
        reduction: Reduction | type[Reduction],
        block: int | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = function.__name__
        self.reduction = reduction() if isinstance(reduction, type) else reduction
        self.parameters = parameters_of(function)
        self.default_block = block
        self.wants_rng = _wants_rng(function)
        self.n = n
        self._finish: Finish | None = None
        if isinstance(n, str) and n not in {p.name for p in self.parameters}:
            raise TypeError(f"{self.name}: n={n!r} is not one of its keyword-only parameters")
        if not isinstance(self.reduction, Reduction):
            raise TypeError(f"{self.name}: reduction must be a Reduction, got {reduction!r}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.function(*args, **kwargs)

    __qualname__: str

    def __reduce__(self) -> str:
        return self.__qualname__

    def finish(self, function: Finish) -> Finish:
        """Use ``function(total, *, …)`` to make the result of what the reduction gives; a decorator.

        Its keyword-only parameters are some of the kernel's. It may return an :class:`~mpipar.Estimate`.
        """
        positional = inspect.signature(function).parameters.keys() - _keywords(function)
        if len(positional) != 1:
            raise TypeError(f"{self.name}: its finish takes (total, *, …), with parameters of the kernel after the *")
        unknown = _keywords(function) - {p.name for p in self.parameters}
        if unknown:
            raise TypeError(f"{self.name}: its finish takes {', '.join(sorted(unknown))}, which the kernel doesn't")
        self._finish = function
        return function

    def result(self, total: Any, parameters: dict[str, Any]) -> Any:
        """Return the result of a total."""
        reduced = self.reduction.finish(total)
        return reduced if self._finish is None else _call(self._finish, reduced, **parameters)

    def bind(self, parameters: dict[str, Any], *, block: int | None = None, seed: int = 0) -> BoundKernel:
        """Return this kernel with all its parameters, the plan and the seed.

        Raises
        ------
        BadInput
            If a parameter is missing, unknown, or of a value that isn't allowed.
        """
        known = {p.name: p for p in self.parameters}
        for name in parameters:
            if name not in known:
                raise BadInput(f"{self.name} has no parameter {name!r}; it has {', '.join(known) or 'none'}")
        values = {}
        for name, parameter in known.items():
            if name in parameters:
                values[name] = parameter.check_all(parameters[name])
            elif parameter.required:
                raise BadInput(f"{self.name} needs a value for {name!r} ({parameter.allowed})")
            else:
                values[name] = parameter.default
        n = values[self.n] if isinstance(self.n, str) else _call(self.n, **values)
        if not isinstance(n, int) or n < 0:
            raise BadInput(f"{self.name} can't have {n!r} items")
        size = self.default_block if block is None else block
        plan = Plan(n, BLOCK.check_all(size)) if size is not None else Plan.by_default(n)
        return BoundKernel(self, values, plan, SEED.check_all(seed))


BLOCK = Parameter("block", int, None, minimum=1, help="items in a block (default: by the driver and n)")
SEED = Parameter("seed", int, 0, minimum=0, help="seed of the random streams")


class BoundKernel(NamedTuple):
    """A kernel with its parameters, plan and seed: all that decides the result. Can be sent to a worker.

    Attributes
    ----------
    kernel : Kernel
    parameters : dict
        Values of all parameters of the kernel.
    plan : Plan
    seed : int
    """

    kernel: Kernel
    parameters: dict[str, Any]
    plan: Plan
    seed: int

    def evaluator(self) -> Callable[[Block], Any]:
        """Return a function that evaluates a block to its partial."""
        function = functools.partial(self.kernel.function, **self.parameters)
        if not self.kernel.wants_rng:
            return function
        from mpipar.core.streams import stream  # numpy.random takes time to load, and most kernels do without

        seed = self.seed
        return lambda block: function(block, stream(seed, block.index))

    def result(self, total: Any) -> Any:
        """Return the result of a total."""
        return self.kernel.result(total, self.parameters)


def _wants_rng(function: Callable[..., Any]) -> bool:
    positional = [
        p.name if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) else f"*{p.name}"
        for p in inspect.signature(function).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    starred = any(name.startswith("*") for name in positional)
    if starred or len(positional) not in (1, 2) or positional[1:] not in ([], ["rng"]):
        raise TypeError(
            f"{function.__name__}: a kernel takes (block, *, …) or (block, rng, *, …), "
            f"its options after the *; got ({', '.join(positional)}, …)"
        )
    return len(positional) == 2


def _keywords(function: Callable[..., Any]) -> set[str]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}


def _call(function: Callable[..., Any], *args: Any, **available: Any) -> Any:
    """Call ``function`` with those of ``available`` that it takes by keyword."""
    wanted = set(inspect.signature(function).parameters) if not args else _keywords(function)
    return function(*args, **{name: value for name, value in available.items() if name in wanted})
