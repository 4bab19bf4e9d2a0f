"""Running a kernel with all that users may ask for.

The way of a run through the layers::

    options ─▶ fork server ─▶ world ─▶ output file ─▶ run ─▶ (result, output file)
               (workers > 1)  MPI      checked                to print, and to write
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpipar.base.errors import BadInput
from mpipar.base.named_files import named_files
from mpipar.command.progress import Progress
from mpipar.core.devices import AUTO, before_looking
from mpipar.core.devices.compiled import COMPILED
from mpipar.core.devices.cpu import CPU
from mpipar.core.devices.gpu import GPU
from mpipar.core.devices.port import Place
from mpipar.core.kernel import BoundKernel, Kernel
from mpipar.runtime.comm import world
from mpipar.runtime.communicator import Comm
from mpipar.runtime.compiling import DOOR, chosen_compiler
from mpipar.runtime.conduct import Conduct
from mpipar.runtime.device import chosen
from mpipar.runtime.interrupt import Interruption
from mpipar.runtime.node import one_thread
from mpipar.runtime.result import Result
from mpipar.runtime.run import run as run_blocks
from mpipar.runtime.run_options import RunOptions

if TYPE_CHECKING:
    from mpipar.store.output import OutputFile

Notify = Callable[[str], None]
Execution = tuple[Comm, Result | None, "OutputFile | None"]


def _unheard(text: str) -> None:
    """Tell nobody."""


def _not_noted(path: Path) -> None:
    """Note nowhere that the run has begun."""


@contextlib.contextmanager
def execution(
    bound: BoundKernel,
    options: RunOptions,
    notify: Notify,
    begun: Callable[[Path], None] = _not_noted,
    comm: Comm | None = None,
) -> Iterator[Execution]:
    """Run a kernel. Collective over all ranks that the launcher started, or those that are given.

    Parameters
    ----------
    bound : BoundKernel
    options : RunOptions
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
        if comm is None:
            comm = all_ranks(
                bound.kernel.name, options.workers, _loaded_ahead(bound.kernel, options)
            )
        told = notify if comm.is_root else _unheard
        for words in bound.kernel.notes:
            told(words)
        _check_inputs(bound, comm)
        bound, place, missing = _on_device(bound, options, comm, notify)
        if bound.plan.n == 0:
            told("there are no items: nothing is to be evaluated")
        interruption = Interruption(options.stop_before, told)  # says nothing until it is entered
        output = None
        if options.output is not None:
            stack.enter_context(interruption)  # HDF5 takes time to load, in which a signal may come
            output = stack.enter_context(_output_file(options, bound, comm))
            if missing is not None and not output.finished:
                raise missing
            if comm.is_root:
                begun(options.output.absolute())
                _tell_of_output(output, options.output, notify)
            if output.finished:
                options = replace(options, workers=1)
                place = None
        result = _evaluate(bound, comm, options, output, place, interruption, notify)
        yield comm, result, output


def _check_inputs(bound: BoundKernel, comm: Comm) -> None:
    """Look at result files that are inputs. Collective over comm.

    Raises
    ------
    BadInput
        On all ranks, if one is damaged.
    """
    values = bound.parameters.values()
    if not any(isinstance(value, (str, Path, list, tuple)) for value in values):
        return
    problem = None
    large: list[Path] = []
    if comm.is_root:
        paths = list(named_files(values))
        problem = _damaged(paths)
        large = _with_large_rows(paths, problem)
    problem, large = comm.bcast((problem, large))
    if large:
        problem = _damaged_rows(large, comm)
    if problem is not None:
        raise BadInput(problem)


def _with_large_rows(paths: list[Path], problem: str | None) -> list[Path]:
    """Return the files whose rows are still to be compared, by all ranks; none after a problem."""
    from mpipar.store.seal import has_large_rows

    if problem is not None:
        return []
    return [path for path in paths if has_large_rows(path)]


def _damaged_rows(paths: list[Path], comm: Comm) -> str | None:
    """Return what is to be said of files, if one has rows that aren't what was sealed.

    Collective over comm: each rank looks at a part of them.
    """
    from mpipar.store.sealed_rows import check_rows

    found = None
    try:
        for path in paths:
            check_rows(path, comm.rank, comm.size)
    except BadInput as error:
        found = str(error)
    except OSError:
        pass  # told by what reads it
    problems = filter(None, comm.gather(found))
    return comm.bcast(next(problems, None))


def _damaged(paths: Iterable[Path]) -> str | None:
    """Return what is to be said of files, if one has a seal and isn't what was sealed."""
    for path in paths:
        from mpipar.store.seal import check_seal  # HDF5 takes time to load

        try:
            check_seal(path)
        except BadInput as error:
            return str(error)
        except OSError:
            continue  # told by what reads it
    return None


def _evaluate(
    bound: BoundKernel,
    comm: Comm,
    options: RunOptions,
    output: OutputFile | None,
    place: Place | None,
    interruption: Interruption,
    notify: Notify,
) -> Result | None:
    """Evaluate the blocks that are missing, with a bar; return the result on the root.

    Collective over comm.
    """
    shown = options.progress if comm.is_root else False
    with Progress(bound.kernel.name, shown) as progress:
        conduct = Conduct(
            options=options,
            output=None if output is None else output.rows,
            checkpoint=output,
            keep_partials=output is not None,
            keep_timeline=output is not None,
            place=place,
            interruption=interruption,
            progress=progress,
            notify=notify,
        )
        with _answering_ctrl_c(bound, None if output is None else interruption):
            return run_blocks(bound, comm, conduct)


def _answering_ctrl_c(
    bound: BoundKernel,
    interruption: Interruption | None,
) -> contextlib.AbstractContextManager[Any]:
    """Return what has Ctrl-C answered within a block, where Python doesn't do that by itself."""
    if bound.device != COMPILED.name:
        return contextlib.nullcontext()
    from mpipar.runtime.prompt_end import PromptEnd

    return PromptEnd(interruption)


def _tell_of_output(output: OutputFile, path: Path, notify: Notify) -> None:
    """Tell the user what was found in an output file, on the root."""
    for words in output.notes:
        notify(words)
    if output.finished:
        notify(f"{path} is finished; nothing is left to evaluate")


def _output_file(options: RunOptions, bound: BoundKernel, comm: Comm) -> OutputFile:
    """Return the output file of a run, to be entered. Collective over comm."""
    from mpipar.store.output import OutputFile

    assert options.output is not None
    return OutputFile(
        options.output,
        bound,
        comm,
        compress=options.compress,
        resume=options.resume,
        anyway=options.anyway,
        every=options.checkpoint,
    )


def _loaded_ahead(kernel: Kernel, options: RunOptions) -> tuple[str, ...]:
    """Return the modules that the fork server is to load for all workers."""
    if options.device in (COMPILED.name, AUTO) and kernel.runs_on(COMPILED.name):
        return (DOOR,)
    return ()


def all_ranks(name: str, workers: int | str = 1, loaded: tuple[str, ...] = ()) -> Comm:
    """Return the ranks that the launcher started, for what has this name; workers find some modules
    loaded. Collective over them.

    Raises
    ------
    BadInput
        If they have something else to do.
    """
    if workers != 1:
        from mpipar.runtime.pool_worker import prepare

        prepare(*loaded)
    comm = world()
    if comm.is_lent:
        raise BadInput(f"{name}: the other ranks serve pools here; run it without `mpipar run`")
    return comm


def _on_device(
    bound: BoundKernel,
    options: RunOptions,
    comm: Comm,
    notify: Notify,
) -> tuple[BoundKernel, Place | None, BadInput | None]:
    """Return the kernel as bound to the device that is wanted, this rank's GPU or compiler, and why
    there is none although one is wanted: a run that is finished needs none. Collective over comm.

    Raises
    ------
    BadInput
        On all ranks, if GPUs or compilers are wanted, any rank has none, and the run can't be
        finished.
    """
    may_be_finished = options.output is not None and options.resume
    try:
        return *on_device(bound, options.device, comm, notify), None
    except BadInput as error:  # on all ranks
        if not may_be_finished:
            raise
        return bound, None, error


def on_device(
    bound: BoundKernel,
    wanted: str,
    comm: Comm,
    notify: Notify | None = None,
) -> tuple[BoundKernel, Place | None]:
    """Return the kernel as bound to the device that is wanted, and the GPU or compiler of this
    rank.

    Collective over comm.

    Parameters
    ----------
    bound : BoundKernel
    wanted : str
        cpu, compiled, gpu, or auto: a GPU if the kernel can use one and all ranks have one, or
        else compiled code, if it has such a function and all ranks have Numba.
    comm : Comm
    notify : callable, optional
        Called on the root with why it is no GPU, or not compiled, where auto looked for that.

    Raises
    ------
    BadInput
        On all ranks, if GPUs or compilers are wanted and any rank has none.
    """
    place: Place | None = None
    device = before_looking(wanted)
    no_gpu: list[str] = []
    not_compiled: list[str] = []
    if bound.runs_on(GPU.name):
        place = chosen(comm, wanted, no_gpu.append)
    if place is not None:
        device = GPU.name
    elif wanted in (COMPILED.name, AUTO) and bound.runs_on(COMPILED.name):
        place = chosen_compiler(comm, wanted == COMPILED.name, not_compiled.append)
        device = CPU.name if place is None else COMPILED.name
    instead = "runs as compiled code" if device == COMPILED.name else "runs on the CPU"
    why_not = [f"{instead}: {reason}" for reason in no_gpu] + not_compiled
    if why_not and notify is not None:
        notify("; ".join(why_not))
    if bound.device != device:
        bound = bound.on(device)
    return bound, place
