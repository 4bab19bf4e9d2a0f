"""A kernel: a function that evaluates one block, with what is needed to run it. Imports mpipar.core alone."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mpipar.core.errors import BadInput
from mpipar.core.parameters import Parameter, parameters_of
from mpipar.core.plan import Block, Plan
from mpipar.core.reduction import Array, Reduction

Hook: TypeAlias = Callable[..., Any]
AnyReduction: TypeAlias = Reduction | type[Reduction] | Callable[..., Reduction]


class Kernel:
    """A function of one block, the reduction of its partials, and the parameters that both have.

    Parameters
    ----------
    function : callable
        ``function(block, *, …)``, returning the partial of the block. If it also takes ``rng``, that is the block's own
        :class:`numpy.random.Generator`; any other positional parameter is an array that :meth:`shared` makes.
        Keyword-only parameters must have types and are the options.
    n : str or callable
        Name of the parameter that is the number of items, or a function of parameters (named as the kernel's).
    reduction : Reduction, a subclass of it that needs no arguments, or a function of parameters
        How partials become the result.
    block : int or callable, optional
        Default block size, in items, or a function of parameters. If None, a size that depends on n alone.

    Raises
    ------
    TypeError
        If the signature doesn't fit.

    Notes
    -----
    A kernel can be called like its function. It is pickled by name, hence must be found in its module; one that was
    typed into a notebook or an interpreter is sent to workers by value.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        n: str | Callable[..., int],
        reduction: AnyReduction,
        block: int | Callable[..., int] | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = function.__name__
        self.parameters = parameters_of(function)
        self.default_block = block
        self.arrays = _arrays_wanted(function)
        self.n = n
        self._reduction = reduction
        self._finish: Hook | None = None
        self._check: Hook | None = None
        self._enough: Hook | None = None
        self._shared: dict[str, Hook] = {}
        if isinstance(n, str) and n not in {p.name for p in self.parameters}:
            raise TypeError(f"{self.name}: n={n!r} is not one of its keyword-only parameters")
        if not isinstance(reduction, Reduction) and not callable(reduction):
            raise TypeError(f"{self.name}: reduction must be a Reduction, got {reduction!r}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.function(*args, **kwargs)

    __qualname__: str

    def __reduce__(self) -> Any:
        main = sys.modules["__main__"]
        if self.__module__ == "__main__" and not hasattr(main, "__file__"):
            return _by_value, (type(self), self.__dict__)  # a notebook's: nobody else can import that
        return self.__qualname__

    def finish(self, function: Hook) -> Hook:
        """Use ``function(total, *, …)`` to make the result of what the reduction gives; a decorator.

        Its keyword-only parameters are some of the kernel's. It may return an :class:`~mpipar.Estimate`.
        """
        self._finish = self._fitting(function, "finish", ("total",))
        return function

    def check(self, function: Hook) -> Hook:
        """Call ``function(*, …)`` with the parameters before anything else is done with them; a decorator.

        It raises :class:`~mpipar.BadInput` for values that don't go together, or that name what isn't there.
        """
        self._check = self._fitting(function, "check", ())
        return function

    def enough(self, function: Hook) -> Hook:
        """End the run early where ``function(result, *, …)`` is true; a decorator.

        It is asked with the result of the first 16, 32, 64, … blocks, so that the answer, and with it the number of
        blocks of the run, depends on neither ranks nor timing. It isn't asked if one of its parameters is None.
        """
        self._enough = self._fitting(function, "enough", ("result",))
        return function

    def shared(self, function: Hook) -> Hook:
        """Let ``function(empty, *, …)`` make an array that exists once on each node; a decorator.

        The kernel gets it, read-only, as the positional parameter with the name of the function.
        ``empty(shape, dtype)`` is :func:`numpy.empty` in memory that all ranks and workers of the node see; return the
        array that it gave, filled.
        """
        if function.__name__ not in self.arrays or function.__name__ == "rng":
            raise TypeError(f"{self.name}: it takes no positional parameter {function.__name__!r} to be shared")
        self._shared[function.__name__] = self._fitting(function, "shared array", ("empty",))
        return function

    def bind(self, parameters: Mapping[str, Any], *, block: int | None = None, seed: int = 0) -> BoundKernel:
        """Return this kernel with all its parameters, the plan and the seed.

        Raises
        ------
        BadInput
            If a parameter is missing, unknown, or of a value that isn't allowed.
        """
        values = self._values(parameters)
        if self._check is not None:
            _call(self._check, **values)
        n = values[self.n] if isinstance(self.n, str) else _call(self.n, **values)
        if not isinstance(n, int) or n < 0:
            raise BadInput(f"{self.name} can't have {n!r} items")
        size: Any = self.default_block if block is None else block
        if callable(size):
            size = _call(size, **values)
        plan = Plan(n, BLOCK.check_all(size)) if size is not None else Plan.by_default(n)
        missing = [name for name in self.arrays if name != "rng" and name not in self._shared]
        if missing:
            raise TypeError(f"{self.name}: nothing makes its array {missing[0]!r}; decorate a function with .shared")
        return BoundKernel(self, values, plan, SEED.check_all(seed))

    def _values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the value of each parameter."""
        known = {p.name: p for p in self.parameters}
        for name in given:
            if name not in known:
                raise BadInput(f"{self.name} has no parameter {name!r}; it has {', '.join(known) or 'none'}")
        values = {}
        for name, parameter in known.items():
            if name in given:
                values[name] = parameter.check_all(given[name])
            elif parameter.required:
                raise BadInput(f"{self.name} needs a value for {name!r} ({parameter.allowed})")
            else:
                values[name] = parameter.default
        return values

    def _fitting(self, function: Hook, what: str, positional: tuple[str, ...]) -> Hook:
        """Return ``function`` if it takes these positional parameters and, by keyword, some of the kernel's."""
        if len(inspect.signature(function).parameters.keys() - _keywords(function)) != len(positional):
            takes = ", ".join((*positional, "*", "…"))
            raise TypeError(f"{self.name}: its {what} takes ({takes}), with parameters of the kernel after the *")
        unknown = _keywords(function) - {p.name for p in self.parameters}
        if unknown:
            raise TypeError(f"{self.name}: its {what} takes {', '.join(sorted(unknown))}, which the kernel doesn't")
        return function


BLOCK = Parameter("block", int, None, minimum=1, help="items in a block (default: by the driver and n)")
SEED = Parameter("seed", int, 0, minimum=0, help="seed of the random streams")


@dataclass(frozen=True)
class BoundKernel:
    """A kernel with its parameters, plan and seed: all that decides the result. Can be sent to a worker.

    Attributes
    ----------
    kernel : Kernel
    parameters : dict
        Values of all parameters of the kernel.
    plan : Plan
    seed : int
    reduction : Reduction
        The kernel's, with these parameters.
    """

    kernel: Kernel
    parameters: dict[str, Any]
    plan: Plan
    seed: int
    reduction: Reduction = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        made = self.kernel._reduction
        if not isinstance(made, Reduction):
            made = made() if isinstance(made, type) else _call(made, **self.parameters)
        if not isinstance(made, Reduction):
            raise TypeError(f"{self.kernel.name}: reduction must be a Reduction, got {made!r}")
        names = [dataset.name for dataset in made.datasets()]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise BadInput(f"{self.kernel.name} has several datasets named {twice[0]!r}")
        object.__setattr__(self, "reduction", made)

    def __reduce__(self) -> Any:
        return BoundKernel, (self.kernel, self.parameters, self.plan, self.seed)

    def evaluator(self, shared: Mapping[str, Array] | None = None) -> Callable[[Block], Any]:
        """Return a function that evaluates a block to its partial, with the arrays of :attr:`shared_names`."""
        function = functools.partial(self.kernel.function, **(shared or {}), **self.parameters)
        if "rng" not in self.kernel.arrays:
            return function
        from mpipar.core.streams import stream  # numpy.random takes time to load, and most kernels do without

        seed = self.seed
        return lambda block: function(block, rng=stream(seed, block.index))

    @property
    def shared_names(self) -> tuple[str, ...]:
        """Names of the arrays that exist once on each node."""
        return tuple(name for name in self.kernel.arrays if name != "rng")

    def make_shared(self, name: str, empty: Callable[..., Array]) -> Any:
        """Return what the kernel's function for this shared array makes, with memory from ``empty``."""
        return _call(self.kernel._shared[name], empty, **self.parameters)

    @property
    def may_end_early(self) -> bool:
        """Whether :meth:`is_enough` is to be asked."""
        enough = self.kernel._enough
        return enough is not None and all(self.parameters[name] is not None for name in _keywords(enough))

    def is_enough(self, result: Any) -> bool:
        """Return whether the result of the first blocks will do."""
        assert self.kernel._enough is not None
        return bool(_call(self.kernel._enough, result, **self.parameters))

    def result(self, total: Any) -> Any:
        """Return the result of a total."""
        reduced = self.reduction.finish(total)
        finish = self.kernel._finish
        return reduced if finish is None else _call(finish, reduced, **self.parameters)


def _by_value(kind: type[Kernel], attributes: dict[str, Any]) -> Kernel:
    """Return a kernel with these attributes."""
    kernel = object.__new__(kind)
    kernel.__dict__.update(attributes)
    return kernel


def _arrays_wanted(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the positional parameters of a kernel after the block."""
    positional = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    if not positional or any(p.kind is not p.POSITIONAL_OR_KEYWORD for p in positional):
        raise TypeError(
            f"{function.__name__}: a kernel takes (block, *, …) or (block, rng, *, …), its options after the *; "
            f"got ({', '.join(map(str, positional))}, …)"
        )
    return tuple(p.name for p in positional[1:])


def _keywords(function: Callable[..., Any]) -> set[str]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}


def _call(function: Callable[..., Any], /, *args: Any, **available: Any) -> Any:
    """Call ``function`` with those of ``available`` that it takes by keyword."""
    wanted = set(inspect.signature(function).parameters) if not args else _keywords(function)
    return function(*args, **{name: value for name, value in available.items() if name in wanted})
