"""Command lines of drivers: their own parameters and the options that all have.

Every driver has these options; a kernel's parameters come on top of them.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mpipar._version import __version__
from mpipar.base.arguments import RanksParser
from mpipar.base.errors import BadInput
from mpipar.command.execute import (
    BLOCK_TIMEOUT,
    CHECKPOINT,
    STOP_BEFORE,
    Settings,
    check_suffix,
    default_workers,
    parse_workers,
)
from mpipar.command.flags import add_parameter, converter, flag_of
from mpipar.core.devices import before_looking
from mpipar.core.devices.cpu import CPU
from mpipar.core.kernel import BLOCK, SEED, BoundKernel, Kernel
from mpipar.runtime.device import CHOICES
from mpipar.runtime.failure import STOP, OnError
from mpipar.runtime.schedule import SCHEDULES


class Options(NamedTuple):
    """What a command line says.

    Attributes
    ----------
    bound : BoundKernel
        The kernel with its parameters, plan and seed.
    settings : Settings
        How it is run.
    json : bool
        Whether to print one JSON object, rather than text.
    dry_run : bool
        Whether to check all of this, and run nothing.
    """

    bound: BoundKernel
    settings: Settings
    json: bool
    dry_run: bool = False


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
    csv = given.pop("csv") if _has_csv(kernel) else None
    settings = Settings(
        **{name: given.pop(name) for name in Settings._fields if name != "csv"}, csv=csv
    )
    block, seed, json, dry_run = (given.pop(name) for name in ("block", "seed", "json", "dry_run"))
    bound = kernel.bind(given, block=block, seed=seed, device=before_looking(settings.device))
    check_suffix(settings.output)
    if settings.output is None and (settings.resume or settings.stop_before is not None):
        raise BadInput(
            f"argument {'--resume' if settings.resume else '--stop-before'}: needs --output"
        )
    if settings.anyway and not settings.resume:
        raise BadInput("argument --anyway: needs --resume")
    datasets = [dataset.name for dataset in bound.reduction.datasets()]
    if settings.csv is not None:
        from mpipar.store.csv_file import check_csv

        check_csv(settings.csv)
    if datasets and settings.output is None and settings.csv is None:
        raise BadInput(
            f"argument --output: needed for what this makes, the dataset {', '.join(datasets)!r}"
        )
    return Options(bound, settings, json, dry_run)


def _has_csv(kernel: Kernel) -> bool:
    """Return whether ``--csv`` is the file for a kernel's table, and not a parameter of its own."""
    return kernel.is_table and all(parameter.name != "csv" for parameter in kernel.parameters)


def _parser(kernel: Kernel, program: str) -> RanksParser:
    parser = RanksParser(
        prog=program,
        description=inspect.cleandoc(kernel.__doc__).split("\n\n")[0] if kernel.__doc__ else None,
        epilog=_example(kernel, program),
        # an example is to be pasted: one line
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser._negative_number_matcher = re.compile(
        "-[^-]"
    )  # else -1e3 and -x**2 would be taken for options
    parser.add_argument("--version", action="version", version=f"mpipar {__version__}")
    own = parser.add_argument_group(f"parameters of {kernel.name}")
    common = parser.add_argument_group("options of every driver")
    common.add_argument(
        "--workers",
        type=converter(parse_workers),
        default=default_workers() or 1,
        metavar="N",
        help=(
            "worker processes in each rank, or auto for its share of the cores (default:"
            " MPIPAR_WORKERS, or else 1, the rank itself)"
        ),
    )
    common.add_argument(
        "--schedule",
        choices=SCHEDULES,
        default="dynamic",
        help=(
            "who evaluates which blocks: every size-th, one slice each, or whoever is free"
            " (default: dynamic)"
        ),
    )
    common.add_argument(
        "--device",
        choices=CHOICES,
        default=CPU.name,
        help=(
            "what evaluates blocks; auto: GPUs, if the kernel can use them and each rank has one"
            " (default: cpu)"
        ),
    )
    common.add_argument("--block", type=converter(BLOCK.parse), metavar="N", help=BLOCK.help)
    common.add_argument(
        "--seed",
        type=converter(SEED.parse),
        default=SEED.default,
        metavar="N",
        help=f"{SEED.help} (default: {SEED.default})",
    )
    common.add_argument(
        "--output", type=Path, metavar="FILE.h5", help="write the result to this HDF5 file"
    )
    if _has_csv(kernel):
        common.add_argument(
            "--csv", type=Path, metavar="FILE.csv", help="write the table to this CSV file"
        )
    common.add_argument(
        "--checkpoint",
        type=converter(CHECKPOINT.parse),
        default=CHECKPOINT.default,
        metavar="SECONDS",
        help="commit what is done to the output so often (default: 60)",
    )
    common.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run that the output is of, if it exists",
    )
    common.add_argument(
        "--anyway",
        action="store_true",
        help=(
            "with --resume: go on although parameters, functions or inputs are others than they"
            " were"
        ),
    )
    common.add_argument(
        "--stop-before",
        type=converter(STOP_BEFORE.parse),
        metavar="SECONDS",
        help="commit and stop so long before the end of the Slurm job (exit code 75)",
    )
    common.add_argument(
        "--compress", action="store_true", help="compress the datasets in it (gzip)"
    )
    common.add_argument(
        "--on-error",
        type=converter(OnError.parse),
        default=STOP,
        metavar="ACTION",
        help=(
            "if a block fails: stop, skip it, or retry:N, N times before the run stops (default:"
            " stop)"
        ),
    )
    common.add_argument(
        "--block-timeout",
        type=converter(BLOCK_TIMEOUT.parse),
        metavar="SECONDS",
        help="a block that takes longer has failed; its worker is replaced",
    )
    common.add_argument("--json", action="store_true", help="print one JSON object")
    common.add_argument(
        "--dry-run",
        action="store_true",
        help="check options, input and output, print the plan, and run nothing",
    )
    common.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="show progress on stderr (default: on a terminal)",
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


def _example(kernel: Kernel, program: str) -> str:
    """Return a command line: that of the docstring's Examples section, or else one made up."""
    section = re.search(
        r"^Examples\n-+\n((?:.*\S.*\n?)+)", inspect.getdoc(kernel) or "", re.MULTILINE
    )
    if section:
        return f"example: {' '.join(section[1].split())}"  # to be pasted: one line
    options = (
        f"--{kernel.n.replace('_', '-')} 1e6 --workers 2"
        if isinstance(kernel.n, str)
        else "--workers auto"
    )
    return f"example: mpirun -np 4 {program} {options}"
