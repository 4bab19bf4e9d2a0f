"""Compiled code: whether Numba is there, and one process of each node that compiles a kernel before
the others, and their workers, load it.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mpipar.base.errors import BadInput
from mpipar.base.text import several
from mpipar.core.devices.compiled import Compiling
from mpipar.core.kernel import BoundKernel
from mpipar.runtime.communicator import Comm
from mpipar.runtime.failure import one_line
from mpipar.runtime.shared import NodeArray

DOOR = "mpipar.runtime.numba_compiler"
"""The module that imports Numba."""

_INSTALL = "pip install 'mpipar[jit]'"


class Compiler(NamedTuple):
    """Numba, as a process is told to use it. Can be sent to a worker."""

    version: str

    def open(self) -> Compiling:
        """Use it in this process from now on."""
        return Compiling(lambda function, arguments: _compiled(function, arguments).function)


def _compiled(function: Any, arguments: list[Any]) -> Any:
    return importlib.import_module(DOOR).compiled(function, arguments)


def compiler() -> Compiler:
    """Return the compiler of this process.

    Raises
    ------
    BadInput
        If there is none; the message says how to get it.
    """
    try:
        numba = importlib.import_module("numba")
        importlib.import_module(DOOR)
    except ModuleNotFoundError as error:
        if error.name == "numba":
            raise BadInput("Numba is not installed", remedy=_INSTALL) from None
        raise _broken(error) from None
    except Exception as error:  # it is refused by a NumPy that it doesn't know
        raise _broken(error) from None
    if numba.config.DISABLE_JIT:
        raise BadInput("Numba is told not to compile", remedy="unset NUMBA_DISABLE_JIT")
    return Compiler(numba.__version__)


def _broken(error: Exception) -> BadInput:
    return BadInput(f"Numba can't be imported ({one_line(error)})", remedy=_INSTALL)


def chosen_compiler(
    comm: Comm,
    is_must: bool,
    notify: Callable[[str], None] | None = None,
) -> Compiler | None:
    """Return the compiler of this rank, or None on all ranks. Collective over comm.

    Parameters
    ----------
    comm : Comm
    is_must : bool
        Whether there must be one.
    notify : callable, optional
        Called on the root with why there is none.

    Raises
    ------
    BadInput
        On all ranks, if there must be one and any has none, or they are of several versions.
    """
    found = None
    problem = None
    try:
        found = compiler()
    except BadInput as error:
        problem = str(error)
    gathered = comm.gather((comm.host, found, problem))
    told = comm.bcast(_told(gathered) if comm.is_root else None)
    if told is None:
        return found
    if is_must:
        raise BadInput(f"device: {told}")
    if notify is not None and comm.is_root:
        notify(f"not compiled: {told}")
    return None


def _told(gathered: list[tuple[str, Compiler | None, str | None]]) -> str | None:
    """Return why ranks can't compile, in one line, or None if they can."""
    without = [(rank, host, told) for rank, (host, _, told) in enumerate(gathered) if told]
    if without:
        rank, host, told = without[0]
        if len(gathered) == 1:
            return told
        if len(without) == len(gathered):
            return f"{told} (on all {len(gathered)} ranks)"
        some = several(len(without), "rank")
        return f"{some} of {len(gathered)}, such as rank {rank} on host {host}: {told}"
    versions = {found.version for _, found, _ in gathered if found is not None}
    if len(versions) > 1:
        return f"ranks have several versions of Numba: {', '.join(sorted(versions))}"
    return None


class _Told(NamedTuple):
    """What the process that compiled on a node tells the root."""

    host: str
    seconds: float
    was_kept: bool
    problem: str
    refused: str


def compile_on_each_node(
    bound: BoundKernel,
    arrays: Mapping[str, NodeArray],
    comm: Comm,
    notify: Callable[[str], None],
) -> float:
    """Compile a kernel in one process of each node, and keep it for the others; return how many
    seconds that took, on the root. Collective over comm.

    Parameters
    ----------
    bound : BoundKernel
    arrays : mapping
        Its shared arrays.
    comm : Comm
    notify : callable
        Called on the root with how long that took, and with why the others must compile, too.

    Raises
    ------
    BadInput
        On all ranks, if the kernel is refused.
    """
    local_rank, _ = comm.node_neighbours(None)
    told = None
    if local_rank == 0:
        told = _compile(bound, arrays, comm.host)
    gathered = comm.gather(told)
    nodes = [each for each in gathered if each is not None]
    refused = comm.bcast(next((each.refused for each in nodes if each.refused), ""))
    if refused:
        raise BadInput(f"device: {refused}")
    if comm.is_root:
        _tell(bound.kernel.name, nodes, notify)
    return max((node.seconds for node in nodes if not node.was_kept), default=0.0)


def _compile(
    bound: BoundKernel,
    arrays: Mapping[str, NodeArray],
    host: str,
) -> _Told:
    """Compile a kernel in this process."""
    made = []

    def compile(function: Any, arguments: list[Any]) -> Any:
        made.append(_compiled(function, arguments))
        return made[0].function

    began = time.perf_counter()
    try:
        bound.evaluator(
            {name: array.attach() for name, array in arrays.items()}, Compiling(compile)
        )
    except BadInput as error:
        return _Told(host, 0.0, False, "", str(error))
    except Exception as error:
        return _Told(host, 0.0, False, "", one_line(error))
    seconds = time.perf_counter() - began
    return _Told(host, seconds, made[0].was_kept, made[0].problem, "")


def _tell(
    name: str,
    nodes: list[_Told],
    notify: Callable[[str], None],
) -> None:
    """Tell the user how long it took to compile, where that was done."""
    fresh = [node for node in nodes if not node.was_kept]
    if not fresh:
        return
    seconds = max(node.seconds for node in fresh)
    told = f"compiled {name} in {seconds:.1f} s"
    if len(nodes) > 1:
        told += f" on {several(len(fresh), 'node')}"
    notify(told)
    unkept = [node for node in fresh if node.problem]
    if unkept:
        where = "" if len(nodes) == 1 else f" on host {unkept[0].host}"
        notify(
            f"each process compiles it by itself, as it can't be kept{where}: {unkept[0].problem}"
        )
