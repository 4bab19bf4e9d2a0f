"""Command lines of drivers: their own parameters and the options that all have.

::

    kernel.parameters   ─▶ parser ─▶ what is given ─▶ kernel, bound ─▶ CommandLine
    RunOptions          ─▶                         ─▶ RunOptions    ─▶
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from mpipar._version import __version__
from mpipar.base.arguments import Parser, bad_argument
from mpipar.command.flags import add_option, add_parameter, flag_of
from mpipar.core.kernel import BoundKernel, Kernel
from mpipar.core.parameters import section_of
from mpipar.runtime.run_options import RunOptions, default_workers
from mpipar.runtime.run_options import parameters as parameters_of_runs

_BEGINS_OPTION = re.compile("-[^-]")
"""What argparse is told begins a negative number: -1e3 and -x**2 would be options to it else."""


class CommandLine(NamedTuple):
    """What a command line says.

    Attributes
    ----------
    bound : BoundKernel
        The kernel with its parameters, plan and seed.
    options : RunOptions
        How it is run.
    json : bool
        Whether to print one JSON object, rather than text.
    dry_run : bool
        Whether to check all of this, and run nothing.
    """

    bound: BoundKernel
    options: RunOptions
    json: bool = False
    dry_run: bool = False


def parse(kernel: Kernel, arguments: Sequence[str], program: str) -> CommandLine:
    """Return what a command line says.

    Raises
    ------
    BadInput
        If it isn't a valid one; the message names the option.
    HelpWanted
        If it asks for help or the version.
    """
    given = vars(_parser(kernel, program).parse_args(arguments))
    json = given.pop("json")
    dry_run = given.pop("dry_run")
    of_run = {name: given.pop(name) for name in _options_of(kernel)}
    options = RunOptions(**of_run)
    line = CommandLine(options.bind(kernel, given), options, json, dry_run)
    _check(line)
    return line


def _check(line: CommandLine) -> None:
    """Raise BadInput for options that don't go together."""
    options = line.options
    if options.output is None and options.resume:
        raise bad_argument("--resume", "needs --output")
    if options.output is None and options.stop_before is not None:
        raise bad_argument("--stop-before", "needs --output")
    if options.anyway and not options.resume:
        raise bad_argument("--anyway", "needs --resume")
    _check_targets(line)


def _check_targets(line: CommandLine) -> None:
    """Raise BadInput if what the kernel makes can't be written, or has nowhere to go."""
    is_kept = line.options.output is not None
    if line.bound.kernel.is_table:
        from mpipar.store import table_files

        for path, writer in table_files.wanted(line.options):
            writer.check(path)
            is_kept = True
    datasets = [dataset.name for dataset in line.bound.reduction.datasets()]
    if datasets and not is_kept:
        what = f"needed for what this makes, the dataset {', '.join(datasets)!r}"
        raise bad_argument("--output", what)


def _options_of(kernel: Kernel) -> list[str]:
    """Return the options of runs that a kernel's command line has."""
    own = {parameter.name for parameter in kernel.parameters}
    found = []
    for name, option in parameters_of_runs().items():
        if not option.of_tables or (kernel.is_table and name not in own):
            found.append(name)
    return found


def _parser(kernel: Kernel, program: str) -> Parser:
    parser = Parser(
        prog=program,
        description=_description(kernel),
        epilog=_example(kernel, program),
        # An example is to be pasted: one line.
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser._negative_number_matcher = _BEGINS_OPTION
    _add_texts(parser.add_argument_group("options"))
    own = parser.add_argument_group(f"parameters of {kernel.name}")
    common = parser.add_argument_group("options of every driver")
    described = parameters_of_runs()
    defaults: dict[str, Any] = {"workers": default_workers() or described["workers"].default}
    for name in _options_of(kernel):
        option = described[name]
        add_option(common, option, defaults.get(name, option.default))
    common.add_argument("--json", action="store_true", help="print one JSON object")
    common.add_argument(
        "--dry-run",
        action="store_true",
        help="check options, input and output, print the plan, and run nothing",
    )
    for parameter in kernel.parameters:
        try:
            add_parameter(own, parameter)
        except argparse.ArgumentError:
            raise TypeError(
                f"{kernel.name}: a parameter can't be named {parameter.name!r}, as there is"
                f" {flag_of(parameter)} already"
            ) from None
    return parser


def _add_texts(group: argparse._ArgumentGroup) -> None:
    """Add the options that ask for a text.

    To a group, not to the parser, which would look for the size of the terminal with each.
    """
    group.add_argument("-h", "--help", action="help", help="show this help message and exit")
    group.add_argument("--version", action="version", version=f"mpipar {__version__}")


def _description(kernel: Kernel) -> str | None:
    """Return the first paragraph of a kernel's docstring."""
    if not kernel.__doc__:
        return None
    return inspect.cleandoc(kernel.__doc__).split("\n\n")[0]


def _example(kernel: Kernel, program: str) -> str:
    """Return a command line: that of the docstring's Examples section, or else one made up."""
    lines = section_of(inspect.getdoc(kernel) or "", "Examples")
    shown = [*itertools.takewhile(str.strip, lines)]
    if shown:
        return f"example: {' '.join(' '.join(shown).split())}"
    options = "--workers auto"
    if isinstance(kernel.n, str):
        options = f"--{kernel.n.replace('_', '-')} 1e6 --workers 2"
    return f"example: mpirun -np 4 {program} {options}"
