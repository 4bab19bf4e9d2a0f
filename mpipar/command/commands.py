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
        ("SCRIPT.py [arguments]", "a script with pools of multiprocessing, as it is"),
    ),
    "submit": _command("submit", ("JOB.toml [options]", "put a job into Slurm's queue")),
    "status": _command("status", ("[JOB|FOLDER ...]", "what became of it")),
    "logs": _command("logs", ("[-f] [JOB|FOLDER]", "what it printed")),
    "cancel": _command("cancel", ("JOB|FOLDER ...", "end it, with a checkpoint")),
    "doctor": _command(
        "doctor",
        (
            "[--workers N|auto]",
            "what is here, and what is wrong with it; under mpirun or srun, too",
        ),
    ),
    "scale": _command(
        "scale",
        ("TARGET --ranks 1,2,4 ...", "how a driver scales: runs, tables, fits, pictures"),
    ),
    "model": _command(
        "model",
        ("RUN.h5 [options]", "what it would take with up to 10⁶ ranks, with each schedule"),
    ),
    "show": _command(
        "show",
        ("FILE.h5 [options]", "what came out of a run; who did what when, as a picture or a page"),
    ),
}
"""In the order in which ``mpipar --help`` tells of them."""
