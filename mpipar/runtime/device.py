"""GPUs: which there are, which rank takes which, arrays and kernels on them.

The one module that imports CuPy, and asks the driver anything. Nothing here makes a CUDA context,
which no fork would survive, but :meth:`Gpu.open`, in the process that evaluates.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mpipar.base.errors import BadInput
from mpipar.base.text import several
from mpipar.core.devices import AUTO, DEVICES
from mpipar.core.devices.gpu import GPU, Accelerator
from mpipar.runtime.launcher_words import ASK_FOR_GPU

if TYPE_CHECKING:
    from mpipar.runtime.communicator import Comm

CHOICES = (*DEVICES, AUTO)
"""What a user may ask for."""

COMPILER_OPTIONS = ("-fmad=false",)
"""Products and sums are rounded one by one, unless the source says fma: it decides each bit, not
the compiler.
"""

_INSTALL = "pip install 'mpipar[gpu]'"


class Gpu(NamedTuple):
    """A GPU, as a process sees it. Can be sent to a worker.

    Attributes
    ----------
    number : int
        Its number among those that the process sees: CUDA_VISIBLE_DEVICES, a container or the
        scheduler may hide others.
    name : str
        What the driver calls it.
    uuid : str
        The same in all processes. What CuPy has of it may end early, where a byte is zero.
    memory : int
        Bytes that it has.
    pci : tuple of int
        Its domain, bus and device.
    """

    number: int
    name: str
    uuid: str
    memory: int
    pci: tuple[int, int, int] = (0, 0, 0)

    @property
    def key(self) -> Hashable:
        """What tells it from the other GPUs of its node, in all processes."""
        return *self.pci, self.uuid

    def open(self) -> Accelerator:
        """Use this GPU in this process and thread from now on, with a CUDA context that is made if
        there is none.
        """
        import cupy

        cupy.cuda.Device(self.number).use()
        cupy.zeros(
            (1,)
        )  # so that what takes time at first is not taken for that of the first block
        return Accelerator(cupy, to_host)


class Seat(NamedTuple):
    """Which GPU a rank has.

    Attributes
    ----------
    seen : tuple of Gpu
        Those that the rank sees.
    taken : Gpu or None
        The one that it takes.
    problem : BadInput or None
        Why it sees none, and what to do about that.
    """

    seen: tuple[Gpu, ...]
    taken: Gpu | None
    problem: BadInput | None = None


def visible() -> tuple[Gpu, ...]:
    """Return the GPUs that this process sees, at least one.

    Raises
    ------
    BadInput
        If there is none, or what it takes to use it is missing; the message says how to get it.
    """
    try:
        import cupy
    except ModuleNotFoundError as error:
        told = (
            "is not installed"
            if error.name == "cupy"
            else f"can't be imported ({_one_line(error)})"
        )
        raise BadInput(f"CuPy {told}", remedy=_INSTALL) from None
    except Exception as error:  # it looks for libraries, which may be broken in many ways
        raise BadInput(f"CuPy can't be imported ({_one_line(error)})", remedy=_INSTALL) from None
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
        found = [runtime.getDeviceProperties(number) for number in range(count)]
    except runtime.CUDARuntimeError as error:
        raise _failed(_one_line(error)) from None
    if not found:
        raise _none_visible()
    return tuple(
        Gpu(
            number,
            bytes(one["name"]).partition(b"\0")[0].decode(errors="replace"),
            _uuid(one["uuid"]),
            int(one["totalGlobalMem"]),
            (int(one["pciDomainID"]), int(one["pciBusID"]), int(one["pciDeviceID"])),
        )
        for number, one in enumerate(found)
    )


def _none_visible() -> BadInput:
    return BadInput("no GPU is visible", remedy=f"see CUDA_VISIBLE_DEVICES, and {ASK_FOR_GPU}")


def _failed(told: str) -> BadInput:
    """Return the error for what CUDA says where it can't be used."""
    if "NoDevice" in told:
        return _none_visible()
    if "InsufficientDriver" in told:
        return BadInput(
            "no NVIDIA driver, or one that is too old for CUDA 12",
            remedy="use a machine with a GPU and its driver",
        )
    remedy = "see whether nvidia-smi works here, and ask those who run the machine"
    return BadInput(told, remedy=remedy)


def place(seen: Sequence[Sequence[Hashable]]) -> list[int | None]:
    """Return which GPU each rank of a node takes: of those that it sees, the first that the fewest
    before it have.

    Where all see the same GPUs that is rank modulo number of GPUs; a rank that was given one of its
    own has that.

    Parameters
    ----------
    seen : sequence of sequences
        For each rank of the node, the keys of the GPUs that it sees.

    Returns
    -------
    list of int or None
        The index among those that a rank sees; None if it sees none.
    """
    taken: Counter[Hashable] = Counter()
    places: list[int | None] = []
    for keys in seen:
        place = min(
            range(len(keys)),
            key=lambda index: taken[keys[index]],
            default=None,
        )
        places.append(place)
        if place is not None:
            taken[keys[place]] += 1
    return places


def take_seat(comm: Comm) -> Seat:
    """Return which GPU this rank has. Collective over comm."""
    seen: tuple[Gpu, ...] = ()
    problem = None
    try:
        seen = visible()
    except BadInput as error:
        problem = error.with_traceback(None)  # it is sent to the root
    local_rank, of_node = comm.node_neighbours([gpu.key for gpu in seen])
    index = place(of_node)[local_rank]
    return Seat(seen, None if index is None else seen[index], problem)


def chosen(
    comm: Comm,
    wanted: str,
    notify: Callable[[str], None] | None = None,
) -> Gpu | None:
    """Return the GPU that this rank is to use, or None for another device: the same on all ranks.
    Collective over comm.

    Parameters
    ----------
    comm : Comm
    wanted : str
        One of :data:`CHOICES`.
    notify : callable, optional
        Called on the root with why there is none, where one isn't needed.

    Raises
    ------
    BadInput
        On all ranks, if GPUs are wanted and any has none.
    """
    if wanted not in (GPU.name, AUTO):
        return None
    seat = take_seat(comm)
    without = [
        (rank, host, problem)
        for rank, (host, problem) in enumerate(comm.gather((comm.host, seat.problem)))
        if problem is not None
    ]
    told = comm.bcast(_told(without, comm.size) if without else None)
    if told is None:
        return seat.taken
    if wanted == AUTO:
        if notify is not None and comm.is_root:
            notify(told)
        return None
    raise BadInput(f"device: {told}")


def _told(without: list[tuple[int, str, BadInput]], size: int) -> str:
    """Return why there are no GPUs for some ranks, in one line."""
    rank, host, problem = without[0]
    if size == 1:
        return str(problem)
    if len(without) == size:
        return f"{problem} (on all {size} ranks)"
    return (
        f"{several(len(without), 'rank')} of {size}, such as rank {rank} on host {host}: {problem}"
    )


def to_host(partial: Any) -> Any:
    """Return a partial with NumPy arrays and numbers for what is on the GPU, once that is computed.

    Mappings, tuples and lists are looked into.
    """
    import cupy

    if isinstance(partial, cupy.ndarray):
        return cupy.asnumpy(partial)[()]
    if isinstance(partial, Mapping):
        return {name: to_host(value) for name, value in partial.items()}
    if isinstance(partial, tuple) and hasattr(partial, "_make"):
        return partial._make(map(to_host, partial))
    if isinstance(partial, (tuple, list)):
        return type(partial)(map(to_host, partial))
    return partial


@contextlib.contextmanager
def callers_device_kept() -> Iterator[None]:
    """Leave a caller who uses CuPy with the device that was the current one.

    To choose a device makes a context on it, which takes memory, and is refused where others have
    it for themselves: it isn't done for callers who have not even loaded CuPy.
    """
    if "cupy" not in sys.modules:
        yield
        return
    import cupy

    before = None
    with contextlib.suppress(cupy.cuda.runtime.CUDARuntimeError):  # there is none
        before = cupy.cuda.runtime.getDevice()
    try:
        yield
    finally:
        if before is not None and cupy.cuda.runtime.getDevice() != before:
            cupy.cuda.Device(before).use()


@functools.cache
def compiled(source: Path) -> Any:
    """Return the kernels of a CUDA source, as a :class:`cupy.RawModule`; they are compiled when
    they are first used.
    """
    import cupy

    return cupy.RawModule(code=source.read_text(encoding="utf-8"), options=COMPILER_OPTIONS)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _uuid(value: bytes) -> str:
    """Return a UUID in the usual form; CuPy takes its 16 bytes for text, which ends at a zero,
    there or later.
    """
    digits = value[:16].ljust(16, b"\0").hex()
    return "GPU-" + "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
