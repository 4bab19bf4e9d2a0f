"""What a job's step runs, as its command line says."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from mpipar.base.drivers import DRIVERS
from mpipar.base.errors import BadInput

_RUN = ["-m", "mpipar", "run"]

RUN_OPTIONS_WITH_VALUES = {
    "-n",
    "-np",
    "--workers",
    "--seed",
    "--output",
    "--known",
    "--checkpoint",
    "--stop-before",
}
"""Options of ``mpipar run`` whose value may be the next word."""


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
    """Return what a program's command line says to be its output; a script's own options say
    nothing of that.
    """
    own = program[: _end_of_own(program)]
    for word, following in zip(own, [*own[1:], ""], strict=True):
        if word == "--output":
            return Path(following)
        if word.startswith("--output="):
            return Path(word.removeprefix("--output="))
    return None


def resuming(program: list[str]) -> list[str]:
    """Return a program that goes on from its output, if there is one."""
    end = _end_of_own(program)
    own = program[:end]
    if "--resume" in own:
        return program
    return [*own, "--resume", *program[end:]]


def _end_of_own(program: list[str]) -> int:
    """Return where a program's arguments end that are mpipar's: where ``mpipar run`` names a
    script, whose own arguments follow; else at the end.
    """
    if program[:3] != _RUN:
        return len(program)
    position = len(_RUN)
    while position < len(program):
        word = program[position]
        if word == "-m":
            return position
        if not word.startswith("-"):
            break
        takes_next = word in RUN_OPTIONS_WITH_VALUES
        position += 2 if takes_next else 1
    target = "".join(program[position : position + 1])
    if is_kernel(target):
        return len(program)
    return min(position, len(program))


def is_kernel(target: str) -> bool:
    """Whether what ``mpipar run`` is given names a kernel, as FILE.py:KERNEL."""
    return ":" in target and not os.path.exists(target)


def tells(program: list[str]) -> bool:
    """Return whether a program tells in the journal that it has started, and how it ends: a driver,
    or mpipar run.
    """
    option, module, command = [*program[:3], "", "", ""][:3]
    return option == "-m" and (
        module.removeprefix("mpipar.") in DRIVERS
        or (module == "mpipar" and command in (*DRIVERS, "run"))
    )
