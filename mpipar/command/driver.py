"""A driver: a kernel that can be run from the command line.

The way of a command through the layers::

    main(argv) ─▶ options ─▶ execution ─▶ report on stdout, result file ─▶ exit code
                  bad: 2     fails: 1
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpipar.base.arguments import HelpWanted
from mpipar.base.errors import BadInput, MpiparError
from mpipar.base.exit_codes import DONE, FAILED
from mpipar.base.text import items_in_blocks, suit_any_encoding
from mpipar.command.entry import flushed, print_text, say_once, tell_ending
from mpipar.command.execute import end_all_ranks, execution, on_device
from mpipar.command.options import Options, parse
from mpipar.core.devices import AUTO, DEVICES
from mpipar.core.devices.gpu import GPU
from mpipar.core.kernel import AnyReduction, BlockSize, Kernel
from mpipar.inputs.function import is_loading, load
from mpipar.runtime.comm import leave, world
from mpipar.runtime.communicator import Comm, RankLost
from mpipar.runtime.interrupt import outlive_warning
from mpipar.runtime.journal import OUTPUT, tell
from mpipar.runtime.outlets import note, open_missing, reason_of
from mpipar.runtime.result import Result

if TYPE_CHECKING:
    from mpipar.store.output import OutputFile


class Driver(Kernel):
    """A kernel with a command line: what :func:`driver` makes of a function."""

    def main(self, arguments: Sequence[str] | None = None, program: str | None = None) -> None:
        """Run the command line ``arguments`` (default: this process's) and exit with its code.

        Collective over all ranks that the launcher started.
        """
        if self.function.__module__ == "__mp_main__" or is_loading():
            return  # the script is being imported for the kernel in it
        open_missing()
        outlive_warning()
        suit_any_encoding()
        program = program or _program()
        code = run_command(self, sys.argv[1:] if arguments is None else arguments, program)
        code = flushed(program, code)
        leave(code)
        sys.exit(code)


def driver(
    *,
    n: str | Callable[..., int],
    reduction: AnyReduction,
    block: BlockSize | Mapping[str, BlockSize] | None = None,
) -> Callable[[Callable[..., Any]], Driver]:
    """Make a driver of a kernel; a decorator.

    Parameters
    ----------
    n : str or callable
        Name of the parameter that is the number of items, or a function of parameters (named as the
        kernel's).
    reduction : Reduction, a subclass of it that needs no arguments, or a function of parameters
        How the partials of blocks become the result.
    block : int or callable, or a mapping, optional
        Default block size, in items, or a function of parameters; {"cpu": …, "gpu": …} where they
        differ. If None, a size that depends on n and the device alone: 1/4096 of n, at most 32768;
        on a GPU 1/64, from 2²⁰ to 2²⁴.

    Returns
    -------
    callable
        A decorator for ``function(block, *, …)``, which may also take ``rng`` and ``xp`` after the
        block. Keyword-only parameters must have types; they are the command line's options,
        described by the docstring's Parameters.

    Examples
    --------
    >>> @driver(n="terms", reduction=ExactSum)
    ... def basel(block, *, terms: int = 10**6):
    ...     return sum(1 / (i + 1) ** 2 for i in block)
    >>> basel.name
    'basel'
    """
    return lambda function: Driver(function, n=n, reduction=reduction, block=block)


def named_driver(name: str) -> Driver:
    """Return the driver of the user's that is named as FILE.py:KERNEL. Raises BadInput."""
    driver = load(name)
    if not isinstance(driver, Driver):
        raise BadInput(f"{name} is not a driver (decorate it with @mpipar.driver)")
    return driver


def run_command(kernel: Kernel, arguments: Sequence[str], program: str) -> int:
    """Run a kernel as the command line says, and return the exit code. Collective over all
    ranks.
    """
    try:
        options = parse(kernel, arguments, program)
        if options.dry_run:
            return say_once(f"{program}: {_preview(options)}", sys.stdout, DONE)
        return _run(options, program)
    except (MpiparError, HelpWanted) as ending:
        return tell_ending(program, ending, by_all_ranks=True)
    except BaseException as error:
        end_all_ranks(program, error, FAILED)
        return FAILED


def _run(options: Options, program: str) -> int:
    def notify(text: str) -> None:
        note(f"{program}: {text}")

    def begun(path: Path) -> None:
        tell(OUTPUT, path=str(path))

    delivered: Result | None = None
    code = None
    while True:
        try:
            with execution(options.bound, options.settings, notify, begun) as (
                comm,
                result,
                output,
            ):
                code = DONE if result is None else _stored(result, output, options, notify)
                delivered = result
                code = _settled(comm, code)
            return _told(delivered, options, code, notify)
        except RankLost:
            # The run survives that by itself; this was before it or after it. Begin again, unless
            # the root lives and has delivered.
            comm = world()
            comm.repair()
            with contextlib.suppress(RankLost):
                told = comm.bcast(code if comm.is_root and code is not None else None)
                if told is not None:
                    return _told(delivered, options, int(told), notify)
            resumed = options.settings._replace(resume=options.settings.output is not None)
            options = options._replace(settings=resumed)


def _preview(options: Options) -> str:
    """Return what would be run. Raises BadInput if it can't be. Collective over all ranks.

    Whether there are GPUs is not asked: this may be the node from which a job is submitted to those
    that have them.
    """
    bound, output = options.bound, options.settings.output
    could_be = [bound]
    if options.settings.device == AUTO:
        bound, _ = on_device(bound, AUTO, world())
        could_be = [bound.on(device) for device in DEVICES if bound.kernel.runs_on(device)]
    if output is not None:
        from mpipar.store.output import preview  # HDF5 takes time to load

        settings = options.settings
        preview(output.absolute(), could_be, resume=settings.resume, anyway=settings.anyway)
    where, plan = DEVICES[bound.device].where, bound.plan
    return f"would evaluate {items_in_blocks(plan.n, plan.n_blocks, plan.block)}{where}"


def _settled(comm: Comm, code: int) -> int:
    """Return the root's exit code, or raise RankLost on all ranks."""
    code = comm.bcast(code)
    comm.settle()
    return code


def _stored(
    result: Result, output: OutputFile | None, options: Options, notify: Callable[[str], None]
) -> int:
    """Write the result to its file, on the root: before all words, which may find no reader. Return
    the exit code.
    """
    problem = None if output is None else output.write(result)
    if problem is None and options.settings.csv is not None:
        problem = _as_csv(result, options, options.settings.csv)
    if problem is None:
        return DONE
    notify(problem)
    return FAILED


def _as_csv(result: Result, options: Options, path: Path) -> str | None:
    """Write the table of a result as text; return why that can't be done. On the root."""
    from mpipar.store.csv_file import write_csv
    from mpipar.store.stored_rows import StoredRows

    [dataset] = options.bound.reduction.datasets()
    output = options.settings.output
    try:
        write_csv(
            path,
            result.datasets[dataset.name] if output is None else StoredRows(output, dataset.name),
        )
    except OSError as error:
        return f"the table could not be written to {path}: {reason_of(error)}"
    return None


def _told(result: Result | None, options: Options, code: int, notify: Callable[[str], None]) -> int:
    """Print the result, on the root, when all else is done. Return the exit code on all ranks.
    Collective.
    """
    if result is not None:
        where = options.settings.output if code == DONE else None
        code = _printed(result, options, where, notify) or code
    with contextlib.suppress(RankLost):  # of which the others needn't know any more
        return int(world().bcast(code))
    return code


def _printed(
    result: Result, options: Options, where: Path | None, notify: Callable[[str], None]
) -> int:
    from mpipar.view.result_text import as_json, as_text, skipped_lines

    for line in skipped_lines(result):
        notify(line)
    had_choice = options.settings.device == AUTO and options.bound.kernel.runs_on(GPU.name)
    try:
        print_text(as_json(result) if options.json else as_text(result, device=had_choice))
    except OSError as error:
        kept = "" if where is None else f"; it is in {where}"
        notify(f"the result could not be printed: {reason_of(error)}{kept}")
        return FAILED
    return DONE


def _program() -> str:
    """Return how this program was started, such as "python -m mpipar.pi"."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None:
        return f"python -m {spec.name.removesuffix('.__main__')}"
    return f"python {os.path.basename(sys.argv[0])}"
