"""The ``mpipar`` command: ``mpipar pi --steps 1e9`` is ``python -m mpipar.pi --steps 1e9``."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

from mpipar._version import __version__
from mpipar.base.drivers import DRIVERS
from mpipar.base.exit_codes import INTERRUPTED
from mpipar.base.text import suit_any_encoding
from mpipar.runtime.journal import ENDED, tell
from mpipar.runtime.launcher import launch

COMMANDS = ("submit", "status", "logs", "cancel", "doctor", "scale", "show", "model")


def main() -> None:
    """Run the driver that the command line names, or tell which there are."""
    suit_any_encoding()
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        _say(f"mpipar {__version__}")
    elif not arguments or arguments[0] in ("-h", "--help"):
        _say(_usage())
    elif arguments[:2] in (["run", "-h"], ["run", "--help"]):
        from mpipar.command.run_script import USAGE

        _say(USAGE)
    elif arguments[0] in DRIVERS:
        name = arguments[0]
        getattr(importlib.import_module(f"mpipar.{name}"), name).main(
            arguments[1:], f"python -m mpipar.{name}"
        )
    elif arguments[0] == "run":
        _run(arguments[1:])
    elif arguments[0] in COMMANDS:
        try:
            code = importlib.import_module(f"mpipar.command.{arguments[0]}").main(arguments[1:])
        except KeyboardInterrupt:
            print(f"mpipar {arguments[0]}: interrupted", file=sys.stderr)
            code = INTERRUPTED
        sys.exit(code)
    else:
        from mpipar.base.text import did_you_mean

        hint = did_you_mean(arguments[0], ("run", *COMMANDS, *DRIVERS))
        _refuse(f"there is no driver {arguments[0]!r}; there are {', '.join(DRIVERS)}{hint}")


def _say(text: str) -> None:
    """Print a text, once for all ranks."""
    launched = launch()
    if launched is None or launched.rank == 0:
        print(text)
        tell(ENDED, code=0)


def _usage() -> str:
    drivers = "\n".join(f"  {name:10}{text}" for name, text in DRIVERS.items())
    return f"""usage: mpipar DRIVER [options]                 mpirun -np N mpipar DRIVER [options]
       mpipar run FILE.py:KERNEL [options]     a driver of your own
       mpipar run SCRIPT.py [arguments]        a script with pools of multiprocessing, as it is
       mpipar submit JOB.toml [options]        put a job into Slurm's queue
       mpipar status [JOB|FOLDER ...]          what became of it
       mpipar logs [-f] [JOB|FOLDER]           what it printed
       mpipar cancel JOB|FOLDER ...            end it, with a checkpoint
       mpipar doctor [--workers N|auto]        what is here, and what is wrong with it; under mpirun or srun, too
       mpipar scale TARGET --ranks 1,2,4 ...   how a driver scales: runs, tables, fits, pictures
       mpipar model RUN.h5 [options]           what it would take with up to 10⁶ ranks, with each schedule
       mpipar show FILE.h5 [options]           what came out of a run; who did what when, as a picture or a page

drivers:
{drivers}

mpipar DRIVER --help tells the options of one; so do mpipar run --help, mpipar submit --help, and the others."""


def _run(arguments: list[str]) -> None:
    """Run a script of the user's, or a driver named as path/file.py:kernel or
    package.module:kernel.
    """
    from mpipar.base.errors import BadInput
    from mpipar.command import run_script

    try:
        wanted = run_script.parse(arguments)
        if wanted.ranks is not None:
            run_script.under_mpirun(wanted)
        if wanted.is_kernel:
            _run_kernel(wanted.target, [*wanted.options, *wanted.arguments])
            return
        from mpipar.pool import script

        is_root = script.prepare(wanted.target, wanted.is_module, wanted.workers, wanted.seed)
    except BadInput as error:
        _refuse(str(error))
    if is_root:
        script.run(wanted.target, wanted.arguments, wanted.is_module)


def _run_kernel(name: str, arguments: list[str]) -> None:
    from mpipar.base.errors import BadInput
    from mpipar.command.driver import Driver
    from mpipar.inputs.function import load

    try:
        kernel = load(name)
    except BadInput as error:
        raise BadInput(f"run: {error}") from None
    if not isinstance(kernel, Driver):
        raise BadInput(f"run: {name} is not a driver (decorate it with @mpipar.driver)")
    kernel.main(arguments, f"python -m mpipar run {name}")


def _refuse(message: str) -> NoReturn:
    from mpipar.command.driver import say_bad_input

    sys.exit(say_bad_input(f"mpipar: error: {message}"))


if __name__ == "__main__":
    main()
