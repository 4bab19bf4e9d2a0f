"""A driver: a kernel that can be run from the command line. Imports mpipar.core, mpipar.runtime and mpipar.command.

The way of a command through the layers::

    main(argv) ─▶ options ─▶ fork server ─▶ world ─▶ run ─▶ report on stdout, result file ─▶ exit code
                  bad: 2     (workers > 1)  MPI      fails: 1
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mpipar.command.options import HelpWanted, Options, check_output, parse
from mpipar.command.progress import Progress
from mpipar.core.errors import BadInput, MpiparError, RunFailed
from mpipar.core.kernel import Kernel
from mpipar.core.reduction import Reduction
from mpipar.runtime.comm import Comm, speaks_for_all, world
from mpipar.runtime.node import one_thread
from mpipar.runtime.run import Result, run

DONE, FAILED, BAD_INPUT = 0, 1, 2
"""Exit codes."""


class Driver(Kernel):
    """A kernel with a command line: what :func:`driver` makes of a function."""

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """Run the command line ``arguments`` (default: this process's) and exit with its code.

        Collective over all ranks that the launcher started.
        """
        if self.function.__module__ == "__mp_main__":
            return  # a worker is importing the script, to find the kernel in it
        program = _program()
        code = run_command(self, sys.argv[1:] if arguments is None else arguments, program)
        sys.stdout.flush()
        sys.exit(code)


def driver(
    *, n: str | Callable[..., int], reduction: Reduction | type[Reduction], block: int | None = None
) -> Callable[[Callable[..., Any]], Driver]:
    """Make a driver of a kernel; a decorator.

    Parameters
    ----------
    n : str or callable
        Name of the parameter that is the number of items, or a function of parameters (named as the kernel's).
    reduction : Reduction, or a subclass of it that needs no arguments
        How the partials of blocks become the result.
    block : int, optional
        Default block size, in items. If None, a size that depends on n alone: 1/4096 of n, at most 32768.

    Returns
    -------
    callable
        A decorator for ``function(block, *, …)`` or ``function(block, rng, *, …)``. Keyword-only parameters must have
        types; they are the command line's options, described by the docstring's Parameters section.

    Examples
    --------
    >>> @driver(n="terms", reduction=ExactSum)
    ... def basel(block, *, terms: int = 10**6):
    ...     return sum(1 / (i + 1) ** 2 for i in block)
    >>> basel.name
    'basel'
    """
    return lambda function: Driver(function, n=n, reduction=reduction, block=block)


def run_command(kernel: Kernel, arguments: Sequence[str], program: str) -> int:
    """Run a kernel as the command line says, and return the exit code. Collective over all ranks."""
    try:
        with one_thread():
            return _run(parse(kernel, arguments, program), program)
    except HelpWanted as wanted:
        return _say_once(str(wanted), sys.stdout, DONE)
    except RunFailed as error:
        return _say_once(f"{program}: {error}", sys.stderr, FAILED)
    except MpiparError as error:
        return _say_once(f"{program}: error: {error}", sys.stderr, BAD_INPUT)
    except BaseException as error:
        # A bug, or Ctrl-C: other ranks may be waiting for this one in a collective call, so end them all.
        interrupted = isinstance(error, KeyboardInterrupt)
        if not interrupted:
            traceback.print_exc()
        comm = world()
        if comm.is_root or not interrupted:
            what = "interrupted" if interrupted else f"a bug, on rank {comm.rank}, host {comm.host}"
            print(f"{program}: {what}", file=sys.stderr, flush=True)
        else:
            time.sleep(0.5)  # all ranks are interrupted, and the first to abort silences the root
        if comm.size > 1:
            comm.abort(FAILED)
        return FAILED


def _run(options: Options, program: str) -> int:
    if options.workers != 1:
        from mpipar.runtime.workers import prepare

        prepare()
    comm = world()
    problem = None
    if options.output is not None:
        problem = comm.bcast(_problem_with(options.output) if comm.is_root else None)
    if problem is not None:
        raise BadInput(problem)
    with Progress(options.bound.kernel.name, options.progress if comm.is_root else False) as progress:
        result = run(
            options.bound,
            comm,
            schedule=options.schedule,
            workers=options.workers,
            keep_partials=options.output is not None,
            progress=progress,
            notify=lambda text: print(f"{program}: {text}", file=sys.stderr),
        )
    return comm.bcast(DONE if result is None else _deliver(result, options, program))


def _problem_with(output: Path) -> str | None:
    try:
        check_output(output)
    except BadInput as error:
        return str(error)
    return None


def _deliver(result: Result, options: Options, program: str) -> int:
    """Print the result and write it, on the root. Return the exit code."""
    from mpipar.command.report import as_json, as_text

    print(as_json(result) if options.json else as_text(result), flush=True)
    if options.output is not None:
        from mpipar.store.result import write

        try:
            write(options.output, result)
        except (OSError, RuntimeError) as error:  # h5py raises both
            print(f"{program}: the result could not be written to {options.output}: {error}", file=sys.stderr)
            return FAILED
    return DONE


def say_bad_input(message: str) -> int:
    """Write one line to stderr, once for all ranks, and return the exit code. Collective over all ranks."""
    return _say_once(message, sys.stderr, BAD_INPUT)


def _say_once(text: str, stream: Any, code: int) -> int:
    """Write a text that all ranks have, once, and let none leave before: a launcher may end all when one fails."""
    speaks = speaks_for_all()
    if speaks:
        print(text.rstrip("\n"), file=stream, flush=True)
    try:
        comm: Comm = world()
    except BadInput:
        if not speaks:
            time.sleep(1.0)  # copies that don't know of each other have no barrier
        return code
    comm.barrier()
    return code


def _program() -> str:
    """Return how this program was started, such as "python -m mpipar.pi"."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None:
        return f"python -m {spec.name.removesuffix('.__main__')}"
    return f"python {os.path.basename(sys.argv[0])}"
