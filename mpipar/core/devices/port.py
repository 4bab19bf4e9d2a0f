"""What a kernel has to know of a device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from mpipar.core.block import Block

if TYPE_CHECKING:
    from mpipar.core.partials import Array  # NumPy takes time to load, and a plan does without

Function: TypeAlias = Callable[..., Any]
Evaluate: TypeAlias = Callable[[Block], Any]


class Device(ABC):
    """A kind of device. A result depends on which kind it is of, and not on which of these.

    Attributes
    ----------
    name : str
        As options have it, and the identity of results.
    one, where : str
        As people are told of one, and of what is on it; nothing where that goes without saying.
    needs : str
        What a kernel must have to be evaluated on it.
    largest_block : int or None
        Items that a block may have.
    """

    name: ClassVar[str]
    one: ClassVar[str]
    where: ClassVar[str] = ""
    needs: ClassVar[str] = ""
    largest_block: ClassVar[int | None] = None

    @abstractmethod
    def default_block(self, n: int) -> int:
        """Return how many items a block has by default: it depends on ``n`` alone."""

    @abstractmethod
    def suits(self, arguments: tuple[str, ...], has_own_function: bool) -> bool:
        """Return whether a kernel can be evaluated on it.

        Parameters
        ----------
        arguments : tuple of str
            Positional parameters of the kernel, after the block.
        has_own_function : bool
            Whether it has a function for this device beside that for all.
        """


class Opened(ABC):
    """A device that this process uses: arrays, random numbers and kernels on it."""

    @abstractmethod
    def library(self) -> Any:
        """Return the array library."""

    @abstractmethod
    def shared(self, array: Array) -> Any:
        """Return an array in the memory of the host as the kernel sees it."""

    @abstractmethod
    def evaluator(self, function: Function, seed: int, *, draws: bool) -> Evaluate:
        """Return what evaluates a block to its partial, and waits until that is in the memory of
        the host.

        Parameters
        ----------
        function : callable
            The kernel's, with all arguments but block and rng.
        seed : int
        draws : bool
            Whether it takes rng, the random stream of the block.
        """
