"""``mpipar run``: a script as it is, or a driver of the user's, perhaps under mpirun."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from mpipar.base.arguments import HelpWanted, Parser, bad_argument
from mpipar.base.errors import BadInput
from mpipar.base.exit_codes import DONE
from mpipar.batch.program import is_kernel
from mpipar.command.entry import tell_ending
from mpipar.command.flags import add_option, converter, flag_of
from mpipar.core.parameters import SEED, Parameter
from mpipar.pool.keep_options import KeepOptions
from mpipar.pool.keep_options import parameters as keep_parameters
from mpipar.runtime.launcher import launch
from mpipar.runtime.mpirun import find_mpirun, settings_for, with_its_folder
from mpipar.runtime.outlets import flush, for_kernels, open_missing, print_warnings
from mpipar.runtime.run_options import WORKERS, default_workers

_PROGRAM = "mpipar run"
_RANKS = Parameter("n", int, minimum=1)
_USAGE = """mpipar run [-n N] [options] SCRIPT.py [arguments of the script]
       mpipar run [-n N] [options] -m MODULE [arguments of the module]
       mpipar run [-n N] FILE.py:KERNEL [options of the driver]"""


class Wanted(NamedTuple):
    """What a command line of ``mpipar run`` says.

    Attributes
    ----------
    target : str
        The script, module or kernel.
    arguments : list of str
        What follows it.
    is_module : bool
        Whether it is a module.
    ranks : int or None
        How many ranks to start.
    workers : int, "auto" or None
        Worker processes in each rank.
    seed : int or None
        Of random numbers in tasks.
    keep : KeepOptions
        What is kept of the tasks of a script.
    """

    target: str
    arguments: list[str]
    is_module: bool
    ranks: int | None
    workers: int | str | None
    seed: int | None
    keep: KeepOptions

    @property
    def options(self) -> list[str]:
        """Return the options again, but for the number of ranks."""
        options = []
        if self.workers is not None:
            options += ["--workers", str(self.workers)]
        if self.seed is not None:
            options += ["--seed", str(self.seed)]
        return options + words_of(self.keep)

    @property
    def is_kernel(self) -> bool:
        """Whether the target names a kernel, as FILE.py:KERNEL."""
        return not self.is_module and is_kernel(self.target)


def main(arguments: Sequence[str]) -> int:
    """Run what a command line names; return the exit code, unless that ends by itself.

    Nothing that a script raises is caught: it ends as under plain Python.
    """
    print_warnings()
    try:
        wanted = parse(arguments)
        if wanted.ranks is not None:
            under_mpirun(wanted)
        if not wanted.is_kernel:
            from mpipar.pool import script

            prepared = script.prepare(
                wanted.target,
                wanted.arguments,
                wanted.is_module,
                wanted.workers,
                wanted.seed,
                wanted.keep,
            )
        else:
            from mpipar.command.driver import named_driver

            _check_for_kernel(wanted.keep)
            with for_kernels(apart="--json" in wanted.arguments):
                driver = named_driver(wanted.target)
    except (BadInput, HelpWanted) as ending:
        return tell_ending(_PROGRAM, ending, arguments)
    if wanted.is_kernel:
        driver.main([*wanted.options, *wanted.arguments], f"python -m mpipar run {wanted.target}")
    elif prepared is not None:
        script.run(prepared)
    return DONE


def parse(arguments: Sequence[str]) -> Wanted:
    """Return what a command line says. Raises BadInput, or HelpWanted."""
    given = _parser().parse_args(arguments)
    if not given.target:
        raise BadInput("expected SCRIPT.py, -m MODULE or FILE.py:KERNEL")
    target, *rest = given.target
    keep = KeepOptions(
        output=given.output,
        checkpoint=given.checkpoint,
        resume=given.resume,
        stop_before=given.stop_before,
        known=tuple(given.known),
        keep_pickled=given.keep_pickled,
    )
    return Wanted(target, rest, given.is_module, given.ranks, given.workers, given.seed, keep)


def _check_for_kernel(keep: KeepOptions) -> None:
    """Raise BadInput for options that a kernel hasn't."""
    for name in ("known", "keep_pickled"):
        if getattr(keep, name):
            raise bad_argument(f"--{name.replace('_', '-')}", "is for scripts alone")


def _parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM,
        usage=_USAGE,
        allow_abbrev=False,
        description=(
            "Run a script as it is: its pools of multiprocessing and concurrent.futures become the"
            " workers of all ranks. The script runs on the root alone. Or run a driver of your own."
        ),
        epilog="example: mpirun -np 4 mpipar run --workers 8 script.py",
    )
    parser.add_argument(
        "-n",
        "-np",
        dest="ranks",
        type=converter(_RANKS.parse),
        metavar="N",
        help=(
            "start mpirun with N ranks; without it, this is to be run by mpirun or srun, or on"
            " this node alone"
        ),
    )
    parser.add_argument(
        "--workers",
        type=converter(WORKERS.parse),
        default=default_workers(),
        metavar="N|auto",
        help=(
            "worker processes in each rank (default: MPIPAR_WORKERS, or else 1 under a launcher;"
            " auto: the rank's share of the cores)"
        ),
    )
    parser.add_argument(
        "--seed",
        type=converter(SEED.parse),
        metavar="N",
        help=(
            "seed random and numpy.random in tasks by (N, task): the same numbers whoever does the"
            " task"
        ),
    )
    kept = parser.add_argument_group("what is kept of a script's tasks")
    for option in keep_parameters().values():
        add_option(kept, option, option.default)
    parser.add_argument(
        "-m", dest="is_module", action="store_true", help="the target is the name of a module"
    )
    # The target ends the options: all that follows is its own.
    parser.add_argument("target", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def words_of(keep: KeepOptions) -> list[str]:
    """Return options again, as on a command line."""
    words: list[str] = []
    for name, parameter in keep_parameters().items():
        value = getattr(keep, name)
        if value == parameter.default:
            continue
        if parameter.type is bool:
            words.append(flag_of(parameter))
            continue
        values = value if parameter.many else [value]
        for each in values:
            words += [flag_of(parameter), str(each)]
    return words


def under_mpirun(wanted: Wanted) -> NoReturn:
    """Replace this process by an mpirun that starts all ranks.

    Raises
    ------
    BadInput
        If there is no mpirun, or one has started this process already.
    """
    if launch() is not None:
        raise BadInput("-n: this was started by a launcher already")
    mpirun = find_mpirun()
    if mpirun is None:
        raise BadInput("-n: there is no mpirun (pip install 'mpipar[mpich]' brings one)")
    assert wanted.ranks is not None
    with_workers = wanted.workers not in (None, 1)
    for name, value in settings_for(wanted.ranks, with_workers=with_workers).items():
        os.environ.setdefault(name, value)
    os.environ["PATH"] = with_its_folder(mpirun)
    # Sets of text are in one order on all ranks.
    os.environ.setdefault("PYTHONHASHSEED", str(secrets.randbelow(2**32)))
    flush()
    open_missing()  # MPICH's mpirun ends at once without them
    command = [sys.executable, "-m", "mpipar", "run", *wanted.options]
    if wanted.is_module:
        command.append("-m")
    command += [wanted.target, *wanted.arguments]
    os.execv(mpirun, [mpirun, "-n", str(wanted.ranks), *command])
