"""Running a kernel with all that users may ask for.

The way of a run through the layers::

    settings ─▶ fork server ─▶ world ─▶ output file ─▶ run ─▶ (result, output file)
                (workers > 1)  MPI      checked                to print, and to write
"""

from __future__ import annotations

import contextlib
import inspect
import os
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from mpipar.base.errors import BadInput, MpiparError, RunFailed
from mpipar.command.progress import Progress
from mpipar.core.devices import before_looking
from mpipar.core.devices.cpu import CPU
from mpipar.core.devices.gpu import GPU
from mpipar.core.kernel import BoundKernel, Kernel
from mpipar.core.parameters import Parameter
from mpipar.runtime.comm import ranks_of, world
from mpipar.runtime.communicator import Comm
from mpipar.runtime.device import CHOICES, Gpu, callers_device_kept, chosen
from mpipar.runtime.failure import OURS, STOP, OnError, one_line
from mpipar.runtime.interrupt import Interruption
from mpipar.runtime.node import one_thread
from mpipar.runtime.outlets import note, open_missing
from mpipar.runtime.result import Result
from mpipar.runtime.run import Conduct
from mpipar.runtime.run import run as run_blocks
from mpipar.runtime.schedule import SCHEDULES
from mpipar.view.result_text import skipped_lines

if TYPE_CHECKING:
    from mpipar.store.output import OutputFile

WORKERS = Parameter("workers", int, 1, minimum=1)
DEVICE = Parameter("device", str, CPU.name, choices=CHOICES)
SCHEDULE = Parameter("schedule", str, "dynamic", choices=SCHEDULES)
CHECKPOINT = Parameter("checkpoint", float, 60.0, minimum=0.0)
STOP_BEFORE = Parameter("stop_before", float, None, minimum=0.0, optional=True)
BLOCK_TIMEOUT = Parameter("block_timeout", float, None, minimum=0.0, optional=True)


def default_workers() -> int | str | None:
    """Return the number of workers that the environment asks for, or None. Raises BadInput."""
    text = os.environ.get("MPIPAR_WORKERS")
    try:
        return parse_workers(text) if text else None
    except BadInput as error:
        raise BadInput(f"MPIPAR_WORKERS: {error}") from None


def parse_workers(text: str) -> int | str:
    """Return a number of workers, or "auto". Raises BadInput."""
    if text == "auto":
        return text
    try:
        workers: int = WORKERS.parse(text)
    except BadInput:
        raise BadInput(f"expected a whole number from 1 on, or auto, got {text!r}") from None
    return workers


def check_suffix(output: Path | None) -> None:
    """Raise BadInput if an output isn't named as an HDF5 file: nobody should take it for text."""
    if output is not None and output.suffix.lower() not in (".h5", ".hdf5"):
        raise BadInput(
            f"output: expected a file of .h5 or .hdf5, as it is made of HDF5, got {str(output)!r}"
        )


class Settings(NamedTuple):
    """How a kernel is run; nothing here but the device changes the value of its result.

    Attributes
    ----------
    workers : int or "auto"
        Worker processes in each rank.
    schedule : str
        stride, slice or dynamic.
    on_error : OnError
        What is done about an exception in the kernel.
    block_timeout : float or None
        Seconds after which a block has failed.
    output : Path or None
        The result file.
    checkpoint : float
        Seconds between commits to it.
    resume : bool
        Whether to go on with a run that was stopped.
    anyway : bool
        Whether to do so although parameters, functions or inputs are others.
    stop_before : float or None
        Seconds before the end of the Slurm job at which to stop.
    compress : bool
        Whether its datasets are compressed.
    progress : bool or None
        Whether to show progress; None is "on a terminal".
    device : str
        cpu, gpu or auto: this alone decides on the blocks and on how they are rounded.
    csv : Path or None
        Where the table that a kernel makes goes as text.
    """

    workers: int | str = 1
    schedule: str = "dynamic"
    on_error: OnError = STOP
    block_timeout: float | None = None
    output: Path | None = None
    checkpoint: float = 60.0
    resume: bool = False
    anyway: bool = False
    stop_before: float | None = None
    compress: bool = False
    progress: bool | None = None
    device: str = "cpu"
    csv: Path | None = None


Execution = tuple[Comm, Result | None, "OutputFile | None"]


@contextlib.contextmanager
def execution(
    bound: BoundKernel,
    settings: Settings,
    notify: Callable[[str], None],
    begun: Callable[[Path], None] = lambda path: None,
    comm: Comm | None = None,
) -> Iterator[Execution]:
    """Run a kernel. Collective over all ranks that the launcher started, or those that are given.

    Parameters
    ----------
    bound : BoundKernel
    settings : Settings
    notify : callable
        Called on the root with what the user should know.
    begun : callable, optional
        Called on the root with the output's path, when it is this run's.
    comm : Comm, optional
        The ranks; by default all that the launcher started.

    Yields
    ------
    comm : Comm
        The ranks.
    result : Result or None
        The result on the root, None elsewhere.
    output : OutputFile or None
        The file that it is to be written to, if any; what isn't written is gone after this context.
    """
    with one_thread(), contextlib.ExitStack() as stack:
        comm = all_ranks(bound.kernel.name, settings.workers) if comm is None else comm
        for note in bound.kernel.notes if comm.is_root else ():
            notify(note)
        gpu, no_gpu = None, None
        try:
            bound, gpu = on_device(bound, settings.device, comm, notify)
        except BadInput as error:  # on all ranks
            if settings.output is None or not settings.resume:
                raise
            no_gpu = error  # a run that is finished needs none
        output = None
        told = notify if comm.is_root else _unheard
        if bound.plan.n == 0:
            told("there are no items: nothing is to be evaluated")
        interruption = Interruption(settings.stop_before, told)  # says nothing until it is entered
        if settings.output is not None:
            stack.enter_context(interruption)
            from mpipar.store.output import (
                OutputFile,
            )  # HDF5 takes time to load, in which a signal may come

            output = stack.enter_context(
                OutputFile(
                    settings.output,
                    bound,
                    comm,
                    compress=settings.compress,
                    resume=settings.resume,
                    anyway=settings.anyway,
                    every=settings.checkpoint,
                )
            )
            if no_gpu is not None and not output.finished:
                raise no_gpu
            if comm.is_root:
                begun(settings.output.absolute())
                for note in output.notes:
                    notify(note)
                if output.finished:
                    notify(f"{settings.output} is finished; nothing is left to evaluate")
        nothing_left = output is not None and output.finished
        with Progress(bound.kernel.name, settings.progress if comm.is_root else False) as progress:
            conduct = Conduct(
                schedule=settings.schedule,
                workers=1 if nothing_left else settings.workers,
                on_error=settings.on_error,
                block_timeout=settings.block_timeout,
                output=None if output is None else output.rows,
                checkpoint=output,
                keep_partials=output is not None,
                gpu=None if nothing_left else gpu,
                keep_timeline=output is not None,
                interruption=interruption,
                progress=progress,
                notify=notify,
            )
            result = run_blocks(bound, comm, conduct)
        yield comm, result, output


def _unheard(text: str) -> None:
    """Tell nobody."""


def all_ranks(name: str, workers: int | str = 1) -> Comm:
    """Return the ranks that the launcher started, for what has this name. Collective over them.

    Raises
    ------
    BadInput
        If they have something else to do.
    """
    if workers != 1:
        from mpipar.runtime.pool_evaluator import prepare

        prepare()
    comm = world()
    if comm.is_lent:
        raise BadInput(f"{name}: the other ranks serve pools here; run it without `mpipar run`")
    return comm


def on_device(
    bound: BoundKernel, wanted: str, comm: Comm, notify: Callable[[str], None] | None = None
) -> tuple[BoundKernel, Gpu | None]:
    """Return the kernel as bound to the device that is wanted, and the GPU of this rank. Collective
    over comm.

    Parameters
    ----------
    bound : BoundKernel
    wanted : str
        cpu, gpu, or auto: a GPU if the kernel can use one and all ranks have one.
    comm : Comm
    notify : callable, optional
        Called on the root with why it is the CPU, if that is not what was asked for.

    Raises
    ------
    BadInput
        On all ranks, if GPUs are wanted and any rank has none.
    """
    gpu = chosen(comm, wanted, notify) if bound.kernel.runs_on(GPU.name) else None
    device = before_looking(wanted) if gpu is None else GPU.name
    if bound.device != device:
        bound = bound.on(device)
    return bound, gpu


def trace_of_user(error: BaseException) -> TracebackType | None:
    """Return the traceback from where mpipar called the user's own code that raised, or None if it
    was ours.
    """
    from mpipar.store.source import is_own

    found = None
    trace = error.__traceback__
    came_from_us = False
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        is_ours = path.startswith(OURS)
        if is_ours:
            found = None
        elif came_from_us and is_own(path):
            found = trace
        came_from_us = is_ours
        trace = trace.tb_next
    return found


def end_all_ranks(program: str, error: BaseException, code: int, comm: Comm | None = None) -> None:
    """End the other ranks after a bug or Ctrl-C on this one: they may be waiting for it in a
    collective call.
    """
    interrupted = isinstance(error, KeyboardInterrupt)
    trace = trace_of_user(error)
    if not interrupted:
        note(
            "".join(
                traceback.format_exception(type(error), error, trace or error.__traceback__)
            ).rstrip("\n")
        )
    comm = world() if comm is None else comm
    if comm.is_root or not interrupted:
        where = f"on rank {comm.rank}, host {comm.host}"
        what = "interrupted"
        if not interrupted and trace is None:
            what = f"a bug, {where}"
        elif not interrupted and trace is not None:
            called = trace.tb_frame.f_code
            what = (
                f"{called.co_name}() of {os.path.basename(called.co_filename)} raised"
                f" {one_line(error)}, {where}"
            )
        note(f"{program}: {what}")
    else:
        time.sleep(0.5)  # all ranks are interrupted, and the first to abort silences the root
    if comm.size > 1:
        comm.abort(code)


def run(
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
        cpu, gpu, or auto: a GPU if the kernel can use one and all ranks have one.
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
    settings = settings_of(
        workers=workers,
        schedule=schedule,
        on_error=OnError.parse(str(on_error)),
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
    bound = kernel.bind(parameters, block=block, seed=seed, device=before_looking(settings.device))
    if comm is None:
        return _run(bound, settings, everywhere, None)
    ranks = ranks_of(comm)
    result = _run(bound, settings, everywhere, ranks)
    ranks.free()
    return result


def settings_of(
    *, workers: Any, schedule: Any, block_timeout: Any, output: Any, checkpoint: Any, **given: Any
) -> Settings:
    """Return the settings that arguments from Python say. Raises BadInput."""
    settings = Settings(
        workers=workers if workers == "auto" else WORKERS.check_all(workers),
        schedule=SCHEDULE.check_all(schedule),
        block_timeout=BLOCK_TIMEOUT.check_all(block_timeout),
        output=None if output is None else Path(output),
        checkpoint=CHECKPOINT.check_all(checkpoint),
        **given,
    )
    DEVICE.check_all(settings.device)
    check_suffix(settings.output)
    return settings


def _run(
    bound: BoundKernel, settings: Settings, everywhere: bool, ranks: Comm | None
) -> Result | None:
    """Run a kernel over ranks, by default all. Collective over them."""
    path = os.path.abspath(settings.output or "")  # a kernel may change the folder
    try:
        with (
            callers_device_kept(),
            execution(bound, settings, _notify, comm=ranks) as (comm, result, output_file),
        ):
            for line in () if result is None else skipped_lines(result):
                _notify(line)
            problem = None
            if result is not None and output_file is not None:
                problem = output_file.write(result)
                result = _with_stored_datasets(result, bound, path)
            problem = comm.bcast(problem)
            if problem is not None:
                raise RunFailed(problem)
            return comm.bcast(result) if everywhere else result
    except MpiparError as error:
        raise error.with_traceback(None) from None  # what is between says nothing to the user
    except BaseException as error:
        ranks = world() if ranks is None else ranks
        if ranks.size > 1:
            end_all_ranks("mpipar.run", error, 1, ranks)
        raise


def _with_stored_datasets(result: Result, bound: BoundKernel, path: str) -> Result:
    """Return a result whose datasets are those in its file."""
    from mpipar.store.stored_rows import StoredDatasets

    names = tuple(dataset.name for dataset in bound.reduction.datasets())
    return replace(result, datasets=StoredDatasets(path, names)) if names else result


def _notify(text: str) -> None:
    note(f"mpipar.run: {text}")
