"""A kernel: a function that evaluates one block; and a kernel with all that decides its result."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mpipar.base.errors import BadInput, BadKernel
from mpipar.base.text import did_you_mean
from mpipar.core import variants
from mpipar.core.devices import DEVICES
from mpipar.core.devices.cpu import CPU, HOST
from mpipar.core.devices.port import Evaluate, Opened
from mpipar.core.parameters import (
    BLOCK,
    SEED,
    parameters_of,
    unknown_parameter,
    values_of,
)
from mpipar.core.plan import Plan, number_of_items
from mpipar.core.reduction import Array, Reduction
from mpipar.core.signature import GIVEN, arrays_wanted, call, check_count, fitting, keywords_of

Hook: TypeAlias = Callable[..., Any]
AnyReduction: TypeAlias = Reduction | type[Reduction] | Callable[..., Reduction]
BlockSize: TypeAlias = int | Callable[..., int]
"""A number of items, or a function of parameters."""


@dataclass(frozen=True)
class BoundKernel:
    """A kernel with its parameters, plan, seed and device: all that decides the result. Can be
    sent to a worker.

    Attributes
    ----------
    kernel : Kernel
    parameters : dict
        Values of all parameters of the kernel.
    plan : Plan
    seed : int
    device : str
        The name of one of :data:`~mpipar.core.devices.DEVICES`.
    block : int or None
        The block size that was asked for; None is the default.
    reduction : Reduction
        The kernel's, with these parameters.
    """

    kernel: Kernel
    parameters: dict[str, Any]
    plan: Plan
    seed: int
    device: str = CPU.name
    block: int | None = field(default=None, repr=False, compare=False)
    reduction: Reduction = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        reduction = self._made_reduction()
        if not isinstance(reduction, Reduction):
            raise BadKernel(f"{self.kernel.name}: reduction must be a Reduction, got {reduction!r}")
        names = [dataset.name for dataset in reduction.datasets()]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise BadInput(f"{self.kernel.name} has several datasets named {twice[0]!r}")
        object.__setattr__(self, "reduction", reduction)

    def _made_reduction(self) -> Any:
        """Return the kernel's reduction, made of its class or by its function."""
        given = self.kernel._reduction
        if isinstance(given, Reduction):
            return given
        if not isinstance(given, type):
            return call(given, **self.parameters)
        try:
            return given()
        except TypeError as error:
            raise BadKernel(
                f"{self.kernel.name}: reduction={given.__name__} needs arguments: {error}"
            ) from None

    def __reduce__(self) -> Any:
        given = (self.kernel, self.parameters, self.plan, self.seed, self.device, self.block)
        return BoundKernel, given

    def on(self, device: str) -> BoundKernel:
        """Return the same for another device, with the blocks that are the default there."""
        return self.kernel._bound(self.parameters, self.plan.n, self.block, self.seed, device)

    def runs_on(self, device: str) -> bool:
        """Return whether the kernel can be evaluated on a device, with these parameters."""
        return self.kernel.runs_on(device, self.parameters)

    @property
    def _function(self) -> Callable[..., Any]:
        return variants.made(self.kernel.function_on(self.device), self.parameters)

    def evaluator(
        self,
        shared: Mapping[str, Array] | None = None,
        accelerator: Opened | None = None,
    ) -> Evaluate:
        """Return a function that evaluates a block to its partial.

        Parameters
        ----------
        shared : mapping
            The arrays of :attr:`shared_names`, in the memory of the host.
        accelerator : Opened, optional
            The device, where it isn't the CPU.
        """
        device = HOST if accelerator is None else accelerator
        function = self._function
        wanted = arrays_wanted(function)
        given: dict[str, Any] = {}
        for name, array in (shared or {}).items():
            given[name] = device.shared(array)
        if "xp" in wanted:
            given["xp"] = device.library()
        for name in keywords_of(function):
            if name in self.parameters:
                given[name] = self.parameters[name]
        return device.evaluator(function, given, self.seed, draws="rng" in wanted)

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
        if enough is None:
            return False
        return all(self.parameters[name] is not None for name in keywords_of(enough))

    def is_enough(self, result: Any) -> bool:
        """Return whether the result of the first blocks will do."""
        assert self.kernel._enough is not None
        return bool(call(self.kernel._enough, result, **self.parameters))

    def result(self, total: Any) -> Any:
        """Return the result of a total."""
        reduced = self.reduction.finish(total)
        finish = self.kernel._finish
        if finish is None:
            return reduced
        return call(finish, reduced, **self.parameters)


class Kernel:
    """A function of one block, the reduction of its partials, and the parameters that both have.

    Parameters
    ----------
    function : callable
        ``function(block, *, …)``, returning the partial of the block. If it also takes ``rng``,
        that is the block's own :class:`numpy.random.Generator`; if it takes ``xp``, that is the
        array library: NumPy, or that of the GPU, where ``rng`` is a
        :class:`~mpipar.core.philox.PhiloxStream`. Any other positional parameter is an array that
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
        self.is_table = False  # whether its one dataset is a table, which may be wanted as CSV
        if isinstance(n, str) and n not in self._known:
            hint = did_you_mean(n, self._known)
            raise BadKernel(f"{self.name}: n={n!r} is not one of its keyword-only parameters{hint}")
        check_count(self.name, n)
        if not isinstance(reduction, Reduction) and not callable(reduction):
            raise BadKernel(f"{self.name}: reduction must be a Reduction, got {reduction!r}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.function(*args, **kwargs)

    __qualname__: str

    @property
    def _known(self) -> list[str]:
        """Names of its parameters."""
        return [parameter.name for parameter in self.parameters]

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

    def on(self, device: str, unless: Hook | None = None, **jit: Any) -> Callable[[Hook], Hook]:
        """Use a function ``(block, …, *, …)`` on this device ("cpu", "compiled" or "gpu") instead
        of the kernel's; a decorator.

        It returns the same partial, but for rounding, faster. It may take the positional parameters
        that the kernel may, and some of its keyword-only ones. ``unless(*, …)`` says why it can't
        be used for some values of these, or nothing. What is compiled is in Numba's subset of
        Python (:mod:`mpipar.core.devices.compiled`), with options ``jit``: boundscheck,
        error_model, strict.
        """
        check = functools.partial(variants.check_variant, unless=unless)
        return variants.decorator(self._variants, device, self.name, self._known, jit, check)

    def made_on(self, device: str, **jit: Any) -> Callable[[Hook], Hook]:
        """Use what a function ``(*, …)`` returns, or raise what it does; a decorator as ``on``."""
        check = variants.check_maker
        return variants.decorator(self._variants, device, self.name, self._known, jit, check)

    def runs_on(self, device: str, values: Mapping[str, Any] | None = None) -> bool:
        """Return whether there is a function for this device, and these values of parameters."""
        own = self._variants.get(device)
        suits = DEVICES[device].suits(self.arrays, has_own_function=own is not None)
        return suits and not variants.reason_against(own, values)

    def function_on(self, device: str) -> Callable[..., Any]:
        """Return the function for this device."""
        return self._variants.get(device, self.function)

    def finish(self, function: Hook) -> Hook:
        """Use ``function(total, *, …)`` to make the result of what the reduction gives; a
        decorator.

        Its keyword-only parameters are some of the kernel's. It may return an
        :class:`~mpipar.Estimate`.
        """
        self._finish = fitting(function, "finish", ("total",), self.name, self._known)
        return function

    def check(self, function: Hook) -> Hook:
        """Call ``function(*, …)`` with the parameters before anything else is done with them; a
        decorator.

        It raises :class:`~mpipar.BadInput` for values that don't go together, or that name what
        isn't there. It may return lines that the user should know of.
        """
        self._check = fitting(function, "check", (), self.name, self._known)
        return function

    def enough(self, function: Hook) -> Hook:
        """End the run early where ``function(result, *, …)`` is true; a decorator.

        It is asked with the result of the first 16, 32, 64, … blocks, so that the answer, and with
        it the number of blocks of the run, depends on neither ranks nor timing. It isn't asked if
        one of its parameters is None.
        """
        self._enough = fitting(function, "enough", ("result",), self.name, self._known)
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
        self._shared[function.__name__] = fitting(
            function, "shared array", ("empty",), self.name, self._known
        )
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
        device: str = CPU.name,
    ) -> BoundKernel:
        """Return this kernel with all its parameters, the plan, the seed and the device.

        Raises
        ------
        BadInput
            If a parameter is missing, unknown, or of a value that isn't allowed, or there is no
            kernel for the device.
        """
        values = values_of(self.parameters, parameters, self.name)
        if not self.runs_on(device, values):
            raise variants.refusal(DEVICES[device], self.name, self._variants.get(device), values)
        if self._check is not None:
            self.notes = list(call(self._check, **values) or ())
        n = self._number_of_items(values)
        return self._bound(values, n, block, SEED.check_all(seed), device)

    def _number_of_items(self, values: Mapping[str, Any]) -> int:
        if isinstance(self.n, str):
            n = values[self.n]
        else:
            n = call(self.n, **values)
        return number_of_items(n, self.name)

    def _bound(
        self,
        values: dict[str, Any],
        n: int,
        block: int | None,
        seed: int,
        device: str,
    ) -> BoundKernel:
        """Return this kernel bound to values that are known to be good."""
        plan = self._plan(values, n, block, device)
        bound = BoundKernel(self, values, plan, seed, device, block)
        for name in bound.shared_names:
            if name not in self._shared:
                raise BadKernel(
                    f"{self.name}: nothing makes its array {name!r};"
                    " decorate a function with .shared"
                )
        return bound

    def _plan(self, values: dict[str, Any], n: int, block: int | None, device: str) -> Plan:
        size: Any = self.default_block if block is None else block
        if isinstance(size, Mapping):
            size = DEVICES[device].block_among(size)
        if callable(size):
            size = call(size, **values)
        if size is None:
            plan = Plan.by_default(n, device)
        else:
            plan = Plan(n, BLOCK.check_all(size))
        plan.check_on(device)
        return plan

    def unknown(self, name: str, others: Iterable[str] = ()) -> BadInput:
        """Return what to raise for a parameter that the kernel hasn't; ``others`` are names that
        may be meant, too.
        """
        return unknown_parameter(self.name, name, self._known, others)


def _by_value(kind: type[Kernel], attributes: dict[str, Any]) -> Kernel:
    """Return a kernel with these attributes."""
    kernel = object.__new__(kind)
    kernel.__dict__.update(attributes)
    return kernel
