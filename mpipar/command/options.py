"""Command lines of drivers: their own parameters and the options that all have. Imports mpipar.core and mpipar.runtime.

Every driver has these options; a kernel's parameters come on top of them.
"""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from mpipar._version import __version__
from mpipar.core.errors import BadInput
from mpipar.core.kernel import BLOCK, SEED, BoundKernel, Kernel
from mpipar.core.parameters import Parameter
from mpipar.runtime.schedule import SCHEDULES

WORKERS = Parameter("workers", int, 1, minimum=1)


class Options(NamedTuple):
    """What a command line says.

    Attributes
    ----------
    bound : BoundKernel
        The kernel with its parameters, plan and seed.
    workers : int or "auto"
        Worker processes in each rank.
    schedule : str
        stride, slice or dynamic.
    output : Path or None
        The result file.
    json : bool
        Whether to print one JSON object, rather than text.
    progress : bool or None
        Whether to show progress; None is "on a terminal".
    """

    bound: BoundKernel
    workers: int | str
    schedule: str
    output: Path | None
    json: bool
    progress: bool | None


class HelpWanted(Exception):
    """The user asked for a text (help, version) rather than a run; its argument is the text."""


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises, rather than print and exit: under a launcher the root alone may speak."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(message)

    def print_help(self, file: Any = None) -> NoReturn:
        raise HelpWanted(self.format_help())

    def _print_message(self, message: str, file: Any = None) -> NoReturn:
        raise HelpWanted(message)


def parse(kernel: Kernel, arguments: Sequence[str], program: str) -> Options:
    """Return what a command line says.

    Raises
    ------
    BadInput
        If it isn't a valid one; the message names the option.
    HelpWanted
        If it asks for help or the version.
    """
    parser = _parser(kernel, program)
    given = vars(parser.parse_args(arguments))
    of_every_driver = {name: given.pop(name) for name in Options._fields if name != "bound"}
    block, seed = given.pop("block"), given.pop("seed")
    return Options(kernel.bind(given, block=block, seed=seed), **of_every_driver)


def check_output(path: Path) -> None:
    """Raise BadInput if a result can't be written to ``path``. To be called on the root alone."""
    folder = path.parent
    if not folder.is_dir():
        raise BadInput(f"argument --output: there is no folder {str(folder)!r}")
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        pass
    except OSError as error:
        raise BadInput(f"argument --output: {error.strerror}: {str(path)!r}") from None
    else:
        if stat.S_ISDIR(kind):
            raise BadInput(f"argument --output: {str(path)!r} is a folder, expected a file")
        from mpipar.store.result import check_is_ours  # HDF5 takes time to load

        check_is_ours(path)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"argument --output: the folder {str(folder)!r} can't be written to")


def _parser(kernel: Kernel, program: str) -> _Parser:
    parser = _Parser(
        prog=program,
        description=kernel.__doc__.split("\n\n")[0] if kernel.__doc__ else None,
        epilog=f"example: mpirun -np 4 {program} {_example(kernel)}",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mpipar {__version__}")
    own = parser.add_argument_group(f"parameters of {kernel.name}")
    common = parser.add_argument_group("options of every driver")
    common.add_argument(
        "--workers", type=_parse_workers, default=1, metavar="N",
        help="worker processes in each rank, or auto for its share of the cores (default: 1, the rank itself)",
    )  # fmt: skip
    common.add_argument(
        "--schedule", choices=SCHEDULES, default="dynamic",
        help="who evaluates which blocks: every size-th, one slice each, or whoever is free (default: dynamic)",
    )  # fmt: skip
    common.add_argument("--block", type=_typed(BLOCK), metavar="N", help=BLOCK.help)
    common.add_argument(
        "--seed", type=_typed(SEED), default=SEED.default, metavar="N", help=f"{SEED.help} (default: {SEED.default})"
    )
    common.add_argument("--output", type=Path, metavar="FILE.h5", help="write the result to this HDF5 file")
    common.add_argument("--json", action="store_true", help="print one JSON object")
    common.add_argument(
        "--progress", action=argparse.BooleanOptionalAction, help="show progress on stderr (default: on a terminal)"
    )
    for parameter in kernel.parameters:
        flag = f"--{parameter.name.replace('_', '-')}"
        try:
            _add(own, flag, parameter)
        except argparse.ArgumentError:
            raise TypeError(
                f"{kernel.name}: a parameter can't be named {parameter.name!r}, as there is {flag} already"
            ) from None
    return parser


def _add(group: argparse._ArgumentGroup, flag: str, parameter: Parameter) -> None:
    settings: dict[str, Any] = {
        "dest": parameter.name,
        "default": argparse.SUPPRESS,  # the kernel has the defaults
        "help": _help(parameter),
    }
    if parameter.type is bool and not parameter.many:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, **settings)
        return
    settings |= {"type": _typed(parameter), "required": parameter.required}
    settings["metavar"] = {int: "N", float: "X", str: "TEXT", Path: "PATH"}.get(parameter.type, "VALUE")
    if parameter.choices:
        settings["metavar"] = "{" + ",".join(map(str, parameter.choices)) + "}"
    if parameter.many:
        settings["nargs"] = "*"
    group.add_argument(flag, **settings)


def _help(parameter: Parameter) -> str:
    words = parameter.help.replace("%", "%%")
    if parameter.required:
        return f"{words} (required)".strip()
    default = f"{parameter.default:_}" if type(parameter.default) is int else str(parameter.default)
    return f"{words} (default: {default.replace('%', '%%')})".strip()


def _typed(parameter: Parameter) -> Any:
    """Return a converter for argparse, whose errors keep our message."""

    def convert(text: str) -> Any:
        try:
            return parameter.parse(text)
        except BadInput as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _parse_workers(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        workers: int = WORKERS.parse(text)
    except BadInput:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, or auto, got {text!r}") from None
    return workers


def _example(kernel: Kernel) -> str:
    if isinstance(kernel.n, str):
        return f"--{kernel.n.replace('_', '-')} 1e6 --schedule dynamic"
    return "--workers auto"
