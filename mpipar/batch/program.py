"""What a job's step runs, as its command line says."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from mpipar.base.drivers import DRIVERS
from mpipar.base.errors import BadInput


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return own options, and what follows ``python`` on the command line of each rank."""
    words = iter(arguments)
    own = list(itertools.takewhile(lambda word: word != "--", words))
    program = list(words)
    if not program:
        raise BadInput(
            "expected what follows python on the command line, such as -m mpipar.pi --steps 1e9"
        )
    return own, program


def output_of(program: list[str]) -> Path | None:
    """Return what a program's command line says to be its output."""
    for word, following in zip(program, [*program[1:], ""], strict=True):
        if word == "--output":
            return Path(following)
        if word.startswith("--output="):
            return Path(word.removeprefix("--output="))
    return None


def tells(program: list[str]) -> bool:
    """Return whether a program tells in the journal that it has started, and how it ends: a driver,
    or mpipar run.
    """
    option, module, command = [*program[:3], "", "", ""][:3]
    return option == "-m" and (
        module.removeprefix("mpipar.") in DRIVERS
        or (module == "mpipar" and command in (*DRIVERS, "run"))
    )
