"""``mpipar run``: a script as it is, or a driver of the user's, perhaps under mpirun."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from mpipar.base.errors import BadInput
from mpipar.base.text import did_you_mean
from mpipar.command.execute import WORKERS, default_workers
from mpipar.core.kernel import SEED
from mpipar.core.parameters import Parameter
from mpipar.runtime.launcher import launch
from mpipar.runtime.mpirun import find_mpirun, settings_for, with_its_folder
from mpipar.runtime.outlets import flush, open_missing

USAGE = """usage: mpipar run [-n N] [--workers W|auto] [--seed S] SCRIPT.py [arguments of the script]
       mpipar run [-n N] [--workers W|auto] [--seed S] -m MODULE [arguments of the module]
       mpipar run [-n N] FILE.py:KERNEL [options of the driver]

Run a script as it is: its pools of multiprocessing and concurrent.futures become the workers of all ranks. The script
runs on the root alone. Or run a driver of your own.

options:
  -n N           start mpirun with N ranks; without it, this is to be run by mpirun or srun, or on this node alone
  --workers W    worker processes in each rank (default: MPIPAR_WORKERS, or else 1 under a launcher; auto: the
                 rank's share of the cores)
  --seed S       seed random and numpy.random in tasks by (S, task): the same numbers whoever does the task

example: mpirun -np 4 mpipar run --workers 8 script.py"""


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
    """

    target: str
    arguments: list[str]
    is_module: bool
    ranks: int | None
    workers: int | str | None
    seed: int | None

    @property
    def options(self) -> list[str]:
        """Return the options again, but for the number of ranks."""
        workers = [] if self.workers is None else ["--workers", str(self.workers)]
        return workers if self.seed is None else [*workers, "--seed", str(self.seed)]

    @property
    def is_kernel(self) -> bool:
        """Whether the target names a kernel, as FILE.py:KERNEL."""
        return not self.is_module and ":" in self.target and not os.path.exists(self.target)


_RANKS = Parameter("n", int, minimum=1)


def parse(arguments: Sequence[str]) -> Wanted:
    """Return what a command line says. Raises BadInput if it isn't a valid one."""
    rest = list(arguments)
    ranks: int | None = None
    workers = default_workers()
    seed: int | None = None
    while rest and rest[0].startswith("-"):
        option, _, value = rest.pop(0).partition("=")
        if option not in ("-n", "-np", "--workers", "--seed", "-m"):
            hint = did_you_mean(option, ("--workers", "--seed"))
            raise BadInput(
                f"run: there is no option {option}; there are -n, --workers, --seed and -m{hint}"
            )
        if not value:
            if not rest:
                raise BadInput(f"run: {option} needs a value")
            value = rest.pop(0)
        if option == "-m":
            return Wanted(value, rest, True, ranks, workers, seed)
        try:
            if option == "--workers":
                workers = value if value == "auto" else WORKERS.parse(value)
            elif option == "--seed":
                seed = SEED.parse(value)
            else:
                ranks = _RANKS.parse(value)
        except BadInput as error:
            raise BadInput(f"run: {option}: {error}") from None
    if not rest:
        raise BadInput("run: expected SCRIPT.py, -m MODULE or FILE.py:KERNEL")
    return Wanted(rest[0], rest[1:], False, ranks, workers, seed)


def under_mpirun(wanted: Wanted) -> NoReturn:
    """Replace this process by an mpirun that starts all ranks. Raises BadInput if there is none, or
    one already.
    """
    if launch() is not None:
        raise BadInput("run: -n: this was started by a launcher already")
    mpirun = find_mpirun()
    if mpirun is None:
        raise BadInput("run: -n: there is no mpirun (pip install 'mpipar[mpich]' brings one)")
    assert wanted.ranks is not None
    for name, value in settings_for(
        wanted.ranks, with_workers=wanted.workers not in (None, 1)
    ).items():
        os.environ.setdefault(name, value)
    target = ["-m", wanted.target] if wanted.is_module else [wanted.target]
    command = [sys.executable, "-m", "mpipar", "run", *wanted.options, *target, *wanted.arguments]
    os.environ["PATH"] = with_its_folder(mpirun)
    os.environ.setdefault(
        "PYTHONHASHSEED", str(secrets.randbelow(2**32))
    )  # sets of text in one order on all ranks
    flush()
    open_missing()  # MPICH's mpirun ends at once without them
    os.execv(mpirun, [mpirun, "-n", str(wanted.ranks), *command])
