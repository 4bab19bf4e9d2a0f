"""A kernel: a function that evaluates one block; and a kernel with all that decides its result."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from mpipar.base.errors import BadInput, BadKernel
from mpipar.base.text import did_you_mean
from mpipar.core.devices import DEVICES, Accelerator
from mpipar.core.parameters import Parameter, parameters_of
from mpipar.core.plan import LARGEST_BLOCK_ON_GPU, Block, Plan
from mpipar.core.reduction import Array, Reduction
from mpipar.core.signature import GIVEN, arrays_wanted, call, keywords_of


@dataclass(frozen=True)
class BoundKernel:
    """A kernel with its parameters, plan, seed and device: all that decides the result. Can be sent
    to a worker.

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
            raise BadKernel(
                f"{self.kernel.name}: reduction={reduction.__name__} needs arguments: {error}"
            ) from None

    def __reduce__(self) -> Any:
        return BoundKernel, (
            self.kernel,
            self.parameters,
            self.plan,
            self.seed,
            self.device,
            self.block,
        )

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
        from mpipar.core.streams import (
            stream,
        )  # numpy.random takes time to load, and most kernels do without

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
        """Return what the kernel's function for this shared array makes, with memory from
        ``empty``.
        """
        return call(self.kernel._shared[name], empty, **self.parameters)

    @property
    def may_end_early(self) -> bool:
        """Whether :meth:`is_enough` is to be asked."""
        enough = self.kernel._enough
        return enough is not None and all(
            self.parameters[name] is not None for name in keywords_of(enough)
        )

    def is_enough(self, result: Any) -> bool:
        """Return whether the result of the first blocks will do."""
        assert self.kernel._enough is not None
        return bool(call(self.kernel._enough, result, **self.parameters))

    def result(self, total: Any) -> Any:
        """Return the result of a total."""
        reduced = self.reduction.finish(total)
        finish = self.kernel._finish
        return reduced if finish is None else call(finish, reduced, **self.parameters)


Hook: TypeAlias = Callable[..., Any]
AnyReduction: TypeAlias = Reduction | type[Reduction] | Callable[..., Reduction]
BlockSize: TypeAlias = int | Callable[..., int]
"""A number of items, or a function of parameters."""


class Kernel:
    """A function of one block, the reduction of its partials, and the parameters that both have.

    Parameters
    ----------
    function : callable
        ``function(block, *, …)``, returning the partial of the block. If it also takes ``rng``,
        that is the block's own
        :class:`numpy.random.Generator`; if it takes ``xp``, that is the array library: NumPy, or that of the GPU, where
        ``rng`` is a :class:`~mpipar.core.philox.PhiloxStream`. Any other positional parameter is an
        array that
        :meth:`shared` makes. Keyword-only parameters must have types and are the options.
    n : str or callable
        Name of the parameter that is the number of items, or a function of parameters (named as the
        kernel's).
    reduction : Reduction, a subclass of it that needs no arguments, or a function of parameters
        How partials become the result.
    block : int or callable, or a mapping, optional
        Default block size, in items, or a function of parameters; {"cpu": …, "gpu": …} where they
        differ. If None, a size that depends on n and the device alone.

    Raises
    ------
    BadKernel
        If the signature doesn't fit.

    Notes
    -----
    A kernel can be called like its function. It is pickled by name, hence must be found in its
    module; one that was typed into a notebook or an interpreter is sent to workers by value.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        n: str | Callable[..., int],
        reduction: AnyReduction,
        block: BlockSize | Mapping[str, BlockSize] | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = function.__name__
        self.parameters = parameters_of(function)
        self.default_block = block
        self.arrays = arrays_wanted(function)
        self.n = n
        self._reduction = reduction
        self._finish: Hook | None = None
        self._check: Hook | None = None
        self._enough: Hook | None = None
        self._shared: dict[str, Hook] = {}
        self._variants: dict[str, Callable[..., Any]] = {}
        self.notes: list[str] = []
        self.is_table = (
            False  # whether its one dataset is a table, which may be wanted as a CSV file
        )
        if isinstance(n, str) and n not in {p.name for p in self.parameters}:
            hint = did_you_mean(n, (p.name for p in self.parameters))
            raise BadKernel(f"{self.name}: n={n!r} is not one of its keyword-only parameters{hint}")
        if not isinstance(reduction, Reduction) and not callable(reduction):
            raise BadKernel(f"{self.name}: reduction must be a Reduction, got {reduction!r}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.function(*args, **kwargs)

    __qualname__: str

    def __reduce__(self) -> Any:
        main = sys.modules["__main__"]
        if self.__module__ == "__main__" and not hasattr(main, "__file__"):
            return self.by_value()  # a notebook's: nobody else can import that
        return self.__qualname__

    def by_value(self) -> Any:
        """Return how to make this kernel where its module can't be imported, as ``__reduce__``
        does.
        """
        return _by_value, (type(self), self.__dict__)

    def on(self, device: str) -> Callable[[Hook], Hook]:
        """Use a function ``(block, …, *, …)`` on this device ("cpu" or "gpu") instead of the
        kernel's; a decorator.

        It returns the same partial, but for rounding, in a way that is faster there. It may take
        the positional parameters that the kernel may, and some of its keyword-only ones.
        """
        if device not in DEVICES:
            hint = did_you_mean(device, DEVICES)
            raise BadKernel(
                f"{self.name}: there is no device {device!r}, but {' and '.join(DEVICES)}{hint}"
            )

        def use(function: Hook) -> Hook:
            arrays_wanted(function)
            self._check_keywords(function, f"variant on the {device}")
            self._variants[device] = function
            return function

        return use

    def runs_on(self, device: str) -> bool:
        """Return whether there is a function for this device: on a GPU, one of its own or one that
        takes ``xp``.
        """
        return device == "cpu" or device in self._variants or "xp" in self.arrays

    def function_on(self, device: str) -> Callable[..., Any]:
        """Return the function for this device."""
        return self._variants.get(device, self.function)

    def finish(self, function: Hook) -> Hook:
        """Use ``function(total, *, …)`` to make the result of what the reduction gives; a
        decorator.

        Its keyword-only parameters are some of the kernel's. It may return an
        :class:`~mpipar.Estimate`.
        """
        self._finish = self._fitting(function, "finish", ("total",))
        return function

    def check(self, function: Hook) -> Hook:
        """Call ``function(*, …)`` with the parameters before anything else is done with them; a
        decorator.

        It raises :class:`~mpipar.BadInput` for values that don't go together, or that name what
        isn't there. It may return lines that the user should know of.
        """
        self._check = self._fitting(function, "check", ())
        return function

    def enough(self, function: Hook) -> Hook:
        """End the run early where ``function(result, *, …)`` is true; a decorator.

        It is asked with the result of the first 16, 32, 64, … blocks, so that the answer, and with
        it the number of blocks of the run, depends on neither ranks nor timing. It isn't asked if
        one of its parameters is None.
        """
        self._enough = self._fitting(function, "enough", ("result",))
        return function

    def shared(self, function: Hook) -> Hook:
        """Let ``function(empty, *, …)`` make an array that exists once on each node; a decorator.

        The kernel gets it, read-only, as the positional parameter with the name of the function.
        ``empty(shape, dtype)`` is :func:`numpy.empty` in memory that all ranks and workers of the
        node see; return the array that it gave, filled.
        """
        if function.__name__ not in self.arrays or function.__name__ in GIVEN:
            raise BadKernel(
                f"{self.name}: it takes no positional parameter {function.__name__!r} to be shared"
            )
        self._shared[function.__name__] = self._fitting(function, "shared array", ("empty",))
        return function

    def inputs(self) -> dict[str, str]:
        """Return what the result depends on beside parameters and functions, as {"input NAME":
        digest}.
        """
        return {}

    def bind(
        self,
        parameters: Mapping[str, Any],
        *,
        block: int | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> BoundKernel:
        """Return this kernel with all its parameters, the plan, the seed and the device.

        Raises
        ------
        BadInput
            If a parameter is missing, unknown, or of a value that isn't allowed, or there is no
            kernel for the device.
        """
        if not self.runs_on(device):
            raise BadInput(
                f"device: {self.name} has no kernel for a GPU: one takes the array library, xp"
            )
        values = self._values(parameters)
        if self._check is not None:
            self.notes = list(call(self._check, **values) or ())
        n = values[self.n] if isinstance(self.n, str) else call(self.n, **values)
        if hasattr(n, "item") and np.ndim(n) == 0:
            n = n.item()
        if isinstance(n, float) and n.is_integer():
            n = int(n)
        if not isinstance(n, int) or n < 0:
            raise BadInput(f"{self.name} can't have {n!r} items")
        return self._bound(values, n, block, SEED.check_all(seed), device)

    def _bound(
        self, values: dict[str, Any], n: int, block: int | None, seed: int, device: str
    ) -> BoundKernel:
        """Return this kernel bound to values that are known to be good."""
        size: Any = self.default_block if block is None else block
        if isinstance(size, Mapping):
            size = size.get(device)
        if callable(size):
            size = call(size, **values)
        plan = Plan(n, BLOCK.check_all(size)) if size is not None else Plan.by_default(n, device)
        if device == "gpu" and min(plan.block, n) > LARGEST_BLOCK_ON_GPU:
            raise BadInput(
                f"block: expected at most {LARGEST_BLOCK_ON_GPU:_} items on a GPU, got"
                f" {plan.block:_}"
            )
        bound = BoundKernel(self, values, plan, seed, device, block)
        missing = [name for name in bound.shared_names if name not in self._shared]
        if missing:
            raise BadKernel(
                f"{self.name}: nothing makes its array {missing[0]!r}; decorate a function with"
                " .shared"
            )
        return bound

    def _values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the value of each parameter."""
        known = {p.name: p for p in self.parameters}
        for name in given:
            if name not in known:
                raise self.unknown(name)
        values = {}
        for name, parameter in known.items():
            if name in given:
                values[name] = parameter.check_all(given[name])
            elif parameter.required:
                raise BadInput(f"{self.name} needs a value for {name!r} ({parameter.allowed})")
            else:
                values[name] = parameter.default
        return values

    def unknown(self, name: str, others: Iterable[str] = ()) -> BadInput:
        """Return what to raise for a parameter that the kernel hasn't; ``others`` are names that
        may be meant, too.
        """
        known = [p.name for p in self.parameters]
        hint = did_you_mean(name, [*known, *others]) or f"; it has {', '.join(known) or 'none'}"
        return BadInput(f"{self.name} has no parameter {name!r}{hint}")

    def _fitting(self, function: Hook, what: str, positional: tuple[str, ...]) -> Hook:
        """Return ``function`` if it takes these positional parameters and, by keyword, some of the
        kernel's.
        """
        if len(inspect.signature(function).parameters.keys() - keywords_of(function)) != len(
            positional
        ):
            takes = ", ".join((*positional, "*", "…"))
            raise BadKernel(
                f"{self.name}: its {what} takes ({takes}), with parameters of the kernel after"
                " the *"
            )
        self._check_keywords(function, what)
        return function

    def _check_keywords(self, function: Callable[..., Any], what: str) -> None:
        unknown = keywords_of(function) - {p.name for p in self.parameters}
        if unknown:
            hint = did_you_mean(min(unknown), (p.name for p in self.parameters))
            raise BadKernel(
                f"{self.name}: its {what} takes {', '.join(sorted(unknown))}, which the kernel"
                f" doesn't{hint}"
            )


BLOCK = Parameter(
    "block", int, None, minimum=1, help="items in a block (default: by the driver and n)"
)
SEED = Parameter("seed", int, 0, minimum=0, help="seed of the random streams")


def _by_value(kind: type[Kernel], attributes: dict[str, Any]) -> Kernel:
    """Return a kernel with these attributes."""
    kernel = object.__new__(kind)
    kernel.__dict__.update(attributes)
    return kernel
