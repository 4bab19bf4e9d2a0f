"""The ``mpipar`` command: ``mpipar pi --steps 1e9`` is ``python -m mpipar.pi --steps 1e9``."""

from __future__ import annotations

import importlib
import sys

from mpipar._version import __version__

DRIVERS = {
    "pi": "π by the midpoint rule",
    "mcpi": "π by Monte Carlo, with its standard error",
}


def main() -> None:
    """Run the driver that the command line names, or tell which there are."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print(f"mpipar {__version__}")
    elif not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
    elif arguments[0] in DRIVERS:
        name = arguments[0]
        getattr(importlib.import_module(f"mpipar.{name}"), name).main(arguments[1:])
    else:
        sys.exit(_unknown(arguments[0]))


def _usage() -> str:
    drivers = "\n".join(f"  {name:8}{text}" for name, text in DRIVERS.items())
    return f"""usage: mpipar DRIVER [options]        mpirun -np N mpipar DRIVER [options]

drivers:
{drivers}

mpipar DRIVER --help tells the options of one."""


def _unknown(name: str) -> int:
    from mpipar.command.driver import say_bad_input

    return say_bad_input(f"mpipar: error: there is no driver {name!r}; there are {', '.join(DRIVERS)}")


if __name__ == "__main__":
    main()
