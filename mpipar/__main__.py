"""The ``mpipar`` command: ``mpipar pi --steps 1e9`` is ``python -m mpipar.pi --steps 1e9``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from mpipar._version import __version__
from mpipar.base.drivers import DRIVERS
from mpipar.base.text import suit_any_encoding
from mpipar.command.commands import COMMANDS
from mpipar.runtime.journal import ENDED, tell
from mpipar.runtime.launcher import launch

_COLUMN = 47  # where the help of commands begins


def main() -> None:
    """Run the driver or the command that the command line names, or tell which there are."""
    suit_any_encoding()
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        sys.exit(_say(_usage()))
    elif name == "--version" and not arguments:
        sys.exit(_say(f"mpipar {__version__}"))
    elif name in DRIVERS:
        kernel = getattr(importlib.import_module(f"mpipar.{name}"), name)
        kernel.main(arguments, f"python -m mpipar.{name}")
    elif name == "run":
        from mpipar.command.run_script import main as run

        code = run(arguments)  # what a script raises is not for us
        if code:
            sys.exit(code)
    else:
        sys.exit(_run_command(name, arguments))


def _run_command(name: str, arguments: Sequence[str]) -> int:
    """Run a command, and return its exit code."""
    from mpipar.command.entry import command, say_bad_input

    @command(f"mpipar {name}")  # Ctrl-C may come while modules are loaded, which takes longest
    def load_and_run(arguments: Sequence[str]) -> int:
        code: int = importlib.import_module(COMMANDS[name].module).main(arguments)
        return code

    if name in COMMANDS:
        return load_and_run(arguments)
    from mpipar.base.text import did_you_mean

    hint = did_you_mean(name, (*COMMANDS, *DRIVERS))
    drivers = ", ".join(DRIVERS)
    return say_bad_input(
        f"mpipar: error: there is no driver or command {name!r}; drivers are {drivers}{hint}"
    )


def _say(text: str) -> int:
    """Print a text, once for all ranks, and return the exit code."""
    from mpipar.command.entry import command, print_text

    @command("mpipar")
    def say(arguments: Sequence[str]) -> int:
        print_text(text)
        return 0

    launched = launch()
    code = 0
    if launched is None or launched.rank == 0:
        code = say([])
        tell(ENDED, code=code)
    return code


def _usage() -> str:
    first = f"{'usage: mpipar DRIVER [options]':{_COLUMN}}mpirun -np N mpipar DRIVER [options]"
    commands = [
        f"       mpipar {f'{name} {form}':{_COLUMN - 14}}{what}"
        for name, command in COMMANDS.items()
        for form, what in command.forms
    ]
    drivers = [f"  {name:10}{what}" for name, what in DRIVERS.items()]
    last = "mpipar DRIVER --help and mpipar COMMAND --help list the options."
    return "\n".join([first, *commands, "", "drivers:", *drivers, "", last])


if __name__ == "__main__":
    main()
