"""The commands of ``mpipar``: what each is called, where it lives, and what it does."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """A command.

    Attributes
    ----------
    module : str
        Where its ``main(arguments)`` is, which returns the exit code.
    forms : tuple of (str, str)
        What follows its name, and what it does then.
    """

    module: str
    forms: tuple[tuple[str, str], ...]


def _command(module: str, *forms: tuple[str, str]) -> Command:
    return Command(f"mpipar.command.{module}", forms)


COMMANDS = {
    "run": _command(
        "run_script",
        ("FILE.py:KERNEL [options]", "a driver of your own"),
        ("SCRIPT.py [arguments]", "a script that uses multiprocessing pools, unchanged"),
    ),
    "submit": _command("submit", ("JOB.toml [options]", "submit a job to Slurm")),
    "status": _command("status", ("[JOB|FOLDER ...]", "show its state and progress")),
    "logs": _command("logs", ("[-f] [JOB|FOLDER]", "show what it printed")),
    "cancel": _command("cancel", ("JOB|FOLDER ...", "stop it at a checkpoint")),
    "doctor": _command(
        "doctor",
        (
            "[--workers N|auto]",
            "check MPI, GPUs and Slurm on this machine; also under mpirun",
        ),
    ),
    "scale": _command(
        "scale",
        ("TARGET --ranks 1,2,4 ...", "measure how a driver scales: tables, fits, pictures"),
    ),
    "model": _command(
        "model",
        ("RUN.h5 [options]", "predict its time on up to 10⁶ ranks, for each schedule"),
    ),
    "show": _command(
        "show",
        ("FILE.h5 [options]", "show its result; draw its timeline as a picture or a page"),
    ),
}
"""In the order in which ``mpipar --help`` lists them."""
