"""``mpipar.run``: a kernel from Python, rather than from a command line."""

from __future__ import annotations

import inspect
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput, MpiparError, RunFailed
from mpipar.command.crash import end_all_ranks
from mpipar.command.execute import execution
from mpipar.core.kernel import BoundKernel, Kernel
from mpipar.runtime.comm import ranks_of, world
from mpipar.runtime.communicator import Comm
from mpipar.runtime.device import callers_device_kept
from mpipar.runtime.outlets import open_missing, warn
from mpipar.runtime.result import Result
from mpipar.runtime.run_options import RunOptions
from mpipar.view.result_text import skipped_lines


def run(  # noqa: PLR0913 (options of a run, by name)
    kernel: Kernel,
    *,
    workers: int | str = 1,
    schedule: str = "dynamic",
    block: int | None = None,
    seed: int = 0,
    on_error: str = "stop",
    block_timeout: float | None = None,
    output: str | Path | None = None,
    checkpoint: float = 60.0,
    resume: bool = False,
    anyway: bool = False,
    compress: bool = False,
    progress: bool | None = None,
    device: str = "cpu",
    everywhere: bool = True,
    comm: Any = None,
    **parameters: Any,
) -> Result | None:
    """Run a kernel from Python: over all ranks under a launcher, or else here. Collective over all
    ranks.

    Parameters
    ----------
    kernel : Kernel
        What :func:`mpipar.driver` made.
    workers : int or "auto"
        Worker processes in each rank; 1 is the rank itself, "auto" its share of the cores.
    schedule : str
        stride, slice or dynamic.
    block : int, optional
        Items in a block; by default the kernel's own choice.
    seed : int
        Seed of the random streams.
    on_error : str
        What is done about an exception in the kernel: stop, skip or retry:N.
    block_timeout : float, optional
        Seconds after which a block has failed, and its worker is replaced.
    output : path, optional
        HDF5 file for the result.
    checkpoint : float
        Seconds between commits to it.
    resume : bool
        Whether to go on with a run that was stopped, if the output is of one.
    anyway : bool
        Whether to do so although parameters, functions or inputs are others than they were.
    compress : bool
        Whether datasets in it are compressed.
    progress : bool, optional
        Whether to show progress on stderr; by default on a terminal.
    device : str
        cpu, compiled, gpu, or auto: a GPU if the kernel can use one and all ranks have one, or
        else compiled code, if it has such a function and all ranks have Numba.
    everywhere : bool
        Whether all ranks get the result, or else the root alone.
    comm : mpi4py.MPI.Intracomm, optional
        Whose ranks run it, by default those of the world. It is copied: no message of the run meets
        those of others.
    **parameters
        The kernel's own.

    Returns
    -------
    Result or None
        With ``value``, ``error``, ``elapsed``, ``records`` and more; ``datasets`` has the rows of
        datasets as arrays, if there is no output. None on ranks other than the root, unless
        ``everywhere``.

    Raises
    ------
    BadInput
        If an argument can't be used.
    RunFailed
        On all ranks, if a block failed on any, or the output can't be written.
    StoppedEarly
        On all ranks, if there is an output and any was told to stop by SIGTERM, SIGUSR1 or SIGINT.

    Examples
    --------
    >>> from mpipar.pi import pi
    >>> run(pi, steps=1000).value
    3.1415927369231267
    """
    if not isinstance(kernel, Kernel):
        raise BadInput(f"run: expected a kernel, such as mpipar.driver makes, got {kernel!r:.60}")
    open_missing()
    options = RunOptions.given(
        workers=workers,
        schedule=schedule,
        block=block,
        seed=seed,
        on_error=on_error,
        block_timeout=block_timeout,
        output=output,
        checkpoint=checkpoint,
        resume=resume,
        anyway=anyway,
        compress=compress,
        progress=progress,
        device=device,
    )
    for name in parameters.keys() - {parameter.name for parameter in kernel.parameters}:
        raise kernel.unknown(name, inspect.signature(run).parameters)
    bound = options.bind(kernel, parameters)
    if comm is None:
        return _run(bound, options, everywhere, None)
    ranks = ranks_of(comm)
    result = _run(bound, options, everywhere, ranks)
    ranks.free()
    return result


def _run(
    bound: BoundKernel,
    options: RunOptions,
    everywhere: bool,
    ranks: Comm | None,
) -> Result | None:
    """Run a kernel over ranks, by default all. Collective over them."""
    try:
        with callers_device_kept():
            return _result(bound, options, everywhere, ranks)
    except MpiparError as error:
        raise error.with_traceback(None) from None  # what is between says nothing to the user
    except BaseException as error:
        if ranks is None:
            ranks = world()
        if ranks.size > 1:
            end_all_ranks("mpipar.run", error, 1, ranks)
        raise


def _result(
    bound: BoundKernel,
    options: RunOptions,
    everywhere: bool,
    ranks: Comm | None,
) -> Result | None:
    """Run a kernel, and store its result. Collective over the ranks."""
    path = os.path.abspath(options.output or "")  # a kernel may change the folder
    with execution(bound, options, _notify, comm=ranks) as (comm, result, output):
        problem = None
        if result is not None:
            for words in skipped_lines(result):
                _notify(words)
        if result is not None and output is not None:
            problem = output.write(result)
            result = _with_stored_datasets(result, bound, path)
        problem = comm.bcast(problem)
        if problem is not None:
            raise RunFailed(problem)
        return comm.bcast(result) if everywhere else result


def _with_stored_datasets(result: Result, bound: BoundKernel, path: str) -> Result:
    """Return a result whose datasets are those in its file."""
    from mpipar.store.stored_rows import StoredDatasets

    names = tuple(dataset.name for dataset in bound.reduction.datasets())
    if not names:
        return result
    return replace(result, datasets=StoredDatasets(path, names))


def _notify(text: str) -> None:
    warn(text, "mpipar.run")
