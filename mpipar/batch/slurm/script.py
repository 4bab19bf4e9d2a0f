"""The text of batch scripts for Slurm: of submitted jobs, and those in ``slurm/``."""

from __future__ import annotations

from typing import NamedTuple

from mpipar.batch.script import script


class Layout(NamedTuple):
    """A way to run that has a script of its own in ``slurm/``.

    Attributes
    ----------
    title : str
        What it is, for the script's comment.
    example : str
        How it is submitted.
    options : tuple of str
        Of sbatch, which the command line may override.
    step : str
        Options of the step.
    log : str
        Name of the log.
    """

    title: str
    example: str
    options: tuple[str, ...]
    step: str
    log: str = "%x-%j.out"


LAYOUTS = {
    "serial": Layout(
        "One process on one core.",
        "sbatch slurm/serial.sbatch -m mpipar.pi --steps 1e9 --output pi.h5",
        ("--ntasks=1", "--cpus-per-task=1"),
        "--serial",
    ),
    "mpi": Layout(
        "One rank a core.",
        "sbatch --ntasks=8 slurm/mpi.sbatch -m mpipar.pi --steps 1e11 --output pi.h5",
        ("--ntasks=2", "--cpus-per-task=1"),
        "",
    ),
    "hybrid": Layout(
        "One rank a node, with a worker process for each of its cores. For one rank a socket, say"
        " --ntasks-per-node=2.",
        "sbatch --nodes=2 slurm/hybrid.sbatch -m mpipar.pi --steps 1e11 --output pi.h5",
        ("--nodes=1", "--ntasks-per-node=1", "--exclusive"),
        "--workers auto",
    ),
    "gpu": Layout(
        "One rank for each GPU of a node.",
        "sbatch --nodes=2 --ntasks-per-node=4 --gpus-per-node=4 slurm/gpu.sbatch -m mpipar.pi"
        " --steps 1e13 \\\n#            --device gpu --output pi.h5",
        ("--nodes=1", "--ntasks-per-node=1", "--gpus-per-node=1"),
        "",
    ),
    "array": Layout(
        "Many jobs of one kind: {task} in the arguments is the number of each.",
        "sbatch --array=1-10 slurm/array.sbatch -m mpipar.sweep --function model.py:f --table"
        " grid.csv \\\n#            --slice {task}/10 --output sweep-{task}.h5",
        ("--array=1-10", "--ntasks=1", "--cpus-per-task=1"),
        "",
        "%x-%A_%a.out",
    ),
}


_ALWAYS = ("--open-mode=append", "--signal=B:USR1@120", "--requeue")
_SHELL = """\
# srun doesn't take this over from sbatch by itself.
if [ -n "${SLURM_CPUS_PER_TASK:-}" ]; then export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK; fi
"""
_HOW = (
    "# Options of sbatch come before this script, what follows python after it."
    " When the time is nearly up, a\n"
    "# driver with --output commits what is done, and the job is requeued to go on from there.\n"
)
_PLACE = (
    "# Here is the place for what your site needs, such as: module load python; source"
    " venv/bin/activate"
)


def own_script(name: str) -> str:
    """Return the script of a layout, to be submitted by hand: ``slurm/NAME.sbatch``."""
    layout = LAYOUTS[name]
    options = (
        f"--job-name={name}",
        *layout.options,
        "--time=01:00:00",
        f"--output={layout.log}",
        *_ALWAYS,
    )
    directives = "".join(f"#SBATCH {option}\n" for option in options)
    comment = f"# {layout.title}\n#\n#     {layout.example}\n#\n{_HOW}"
    step = ["exec python -m mpipar.batch.step", *layout.step.split(), '-- "$@"']
    return script(f"{comment}{directives}", _PLACE, _SHELL, " ".join(step))


def job_script(prologue: str) -> str:
    """Return the script of a job file's job: what it runs comes as arguments, as a whole."""
    comment = (
        "# What mpipar submits. Its arguments are the command that it runs; submissions.jsonl has"
        " them.\n"
    )
    return script(comment, prologue.strip("\n"), _SHELL, 'exec "$@"')
