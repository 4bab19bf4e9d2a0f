"""What a kernel has to know of a device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

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
    most_items : int or None
        Items that all blocks together may have.
    gives : tuple of str
        What a function for it may take beside the block and arrays: rng, the random stream of the
        block; seeds, for generators of its own; xp, the array library.
    """

    name: ClassVar[str]
    one: ClassVar[str]
    where: ClassVar[str] = ""
    needs: ClassVar[str] = ""
    largest_block: ClassVar[int | None] = None
    most_items: ClassVar[int | None] = None
    gives: ClassVar[tuple[str, ...]] = ("rng", "xp")

    @abstractmethod
    def default_block(self, n: int) -> int:
        """Return how many items a block has by default: it depends on ``n`` alone."""

    def block_among(self, sizes: Mapping[str, Any]) -> Any:
        """Return the block size of a kernel that has several, by names of devices, or None."""
        return sizes.get(self.name)

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
    """A device that this process uses: arrays, random numbers and kernels on it.

    Attributes
    ----------
    is_slow_at_first : bool
        Whether a function takes long, or may fail, when it is first evaluated.
    """

    is_slow_at_first: ClassVar[bool] = False

    @abstractmethod
    def library(self) -> Any:
        """Return the array library."""

    def shared(self, array: Array) -> Any:
        """Return an array in the memory of the host as the kernel sees it."""
        return array

    @abstractmethod
    def evaluator(
        self,
        function: Function,
        given: Mapping[str, Any],
        seed: int,
        *,
        draws: bool,
    ) -> Evaluate:
        """Return what evaluates a block to its partial, and waits until that is in the memory of
        the host.

        Parameters
        ----------
        function : callable
            The kernel's.
        given : mapping
            Its arguments but block and rng, by their names.
        seed : int
        draws : bool
            Whether it takes rng, the random stream of the block.
        """


class Place(Protocol):
    """What a process is told of the device that it is to use. Can be sent to a worker."""

    def open(self) -> Opened:
        """Use it in this process and thread from now on."""
