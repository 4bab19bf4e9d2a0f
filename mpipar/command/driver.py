"""A driver: a kernel that can be run from the command line.

The way of a command through the layers::

    main(argv) ─▶ options ─▶ execution ─▶ report on stdout, result file ─▶ exit code
                  bad: 2     fails: 1
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpipar.base.arguments import HelpWanted
from mpipar.base.errors import BadInput, MpiparError
from mpipar.base.exit_codes import DONE, FAILED, INTERRUPTED
from mpipar.base.text import suit_any_encoding
from mpipar.command.delivery import Delivery
from mpipar.command.entry import flushed, say_once, tell_ending
from mpipar.command.execute import execution, on_device
from mpipar.command.options import CommandLine, parse
from mpipar.core.devices import AUTO, DEVICES
from mpipar.core.kernel import AnyReduction, BlockSize, Kernel
from mpipar.inputs.function import is_loading, load
from mpipar.runtime.comm import leave, world
from mpipar.runtime.communicator import Comm, RankLost
from mpipar.runtime.interrupt import outlive_warning
from mpipar.runtime.journal import OUTPUT, tell
from mpipar.runtime.outlets import for_kernels, note, open_missing, print_warnings
from mpipar.runtime.result import Result

if TYPE_CHECKING:
    from mpipar.core.preview import Preview


class Driver(Kernel):
    """A kernel with a command line: what :func:`driver` makes of a function."""

    @property
    def _is_ours(self) -> bool:
        """Whether this process was started for one of mpipar's own drivers."""
        return self.function.__module__ == "__main__" and _name_of_main().startswith("mpipar.")

    def main(self, arguments: Sequence[str] | None = None, program: str | None = None) -> None:
        """Run the command line ``arguments`` (default: this process's) and exit with its code.

        Collective over all ranks that the launcher started.
        """
        if self.function.__module__ == "__mp_main__" or is_loading():
            return  # the script is being imported for the kernel in it
        if self._is_ours:
            # The end of the process is a third of a short run, as Python looks for cycles then: in
            # what has been loaded so far none is of a user's.
            gc.freeze()
        open_missing()
        print_warnings()
        outlive_warning()
        suit_any_encoding()
        program = program or _program()
        if arguments is None:
            arguments = sys.argv[1:]
        code = run_command(self, arguments, program)
        code = flushed(program, code)
        if _has_other_libraries():
            gc.unfreeze()  # what is in C may rely on the order in which its objects end
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
    """Run a kernel as the command line says, and return the exit code.

    Collective over all ranks.
    """
    try:
        with for_kernels(apart="--json" in arguments):  # functions are loaded, and tried
            line = parse(kernel, arguments, program)
        if line.dry_run:
            return say_once(_previewed(line, program), sys.stdout, DONE)
        return _run(line, program)
    except (MpiparError, HelpWanted) as ending:
        return tell_ending(program, ending, arguments, by_all_ranks=True)
    except BaseException as error:
        from mpipar.command.crash import end_all_ranks

        code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
        end_all_ranks(program, error, code)
        return code


def _run(line: CommandLine, program: str) -> int:
    """Run a kernel, and begin again where a rank is lost before or after the run, which survives
    that by itself; unless the root lives and has delivered.
    """

    def notify(text: str) -> None:
        note(f"{program}: {text}")

    def begun(path: Path) -> None:
        tell(OUTPUT, path=str(path))

    delivered: Result | None = None
    code = None
    while True:
        delivery = Delivery(line, notify)
        try:
            with (
                for_kernels(apart=line.json),
                execution(line.bound, line.options, notify, begun) as (comm, result, output),
            ):
                code = DONE if result is None else delivery.store(result, output)
                delivered = result
                code = _settled(comm, code)
            return delivery.tell(delivered, code)
        except RankLost:
            comm = world()
            comm.repair()
            with contextlib.suppress(RankLost):
                told = comm.bcast(code if comm.is_root else None)
                if told is not None:
                    return delivery.tell(delivered, int(told))
            has_output = line.options.output is not None
            line = line._replace(options=replace(line.options, resume=has_output))


def _settled(comm: Comm, code: int) -> int:
    """Return the root's exit code, or raise RankLost on all ranks."""
    code = comm.bcast(code)
    comm.settle()
    return code


def _previewed(line: CommandLine, program: str) -> str:
    """Return what would be run, in words or as JSON. Raises BadInput. Collective over all ranks."""
    preview = _preview(line)
    if line.json:
        import json

        return json.dumps(preview.as_object())
    return f"{program}: would evaluate {preview.words}"


def _preview(line: CommandLine) -> Preview:
    """Return what would be run. Raises BadInput if it can't be. Collective over all ranks.

    Whether there are GPUs is not asked: this may be the node from which a job is submitted to those
    that have them.
    """
    from mpipar.core.preview import Preview

    bound = line.bound
    options = line.options
    could_be = [bound]
    if options.device == AUTO:
        bound, _ = on_device(bound, AUTO, world())
        could_be = [bound.on(device) for device in DEVICES if bound.runs_on(device)]
    if options.output is not None:
        from mpipar.store.output_check import preview  # HDF5 takes time to load

        path = options.output.absolute()
        preview(path, could_be, resume=options.resume, anyway=options.anyway)
    plan = bound.plan
    return Preview(
        bound.kernel.name, plan.n, plan.block, plan.n_blocks, seed=bound.seed, device=bound.device
    )


def _program() -> str:
    """Return how this program was started, such as "python -m mpipar.pi"."""
    name = _name_of_main()
    if name:
        return f"python -m {name}"
    return f"python {os.path.basename(sys.argv[0])}"


def _has_other_libraries() -> bool:
    """Return whether modules in C are loaded beside those of Python, NumPy and mpi4py."""
    for name, module in sys.modules.items():
        package = name.partition(".")[0]
        is_known = package in sys.stdlib_module_names or package in ("numpy", "mpi4py")
        file = getattr(module, "__file__", None) or ""
        if not is_known and file.endswith(".so"):
            return True
    return False


def _name_of_main() -> str:
    """Return the module that Python was told to run, or nothing."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None:
        return ""
    name: str = spec.name
    return name.removesuffix(".__main__")
