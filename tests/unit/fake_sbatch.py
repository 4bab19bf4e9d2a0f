"""Programs of Slurm that do nothing but write down how they were called, for tests without a
cluster.
"""

import itertools
import os
import socket
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import BIN, FOR_OPEN_MPI, Finished, interpreter, start

ROOT = Path(__file__).parents[2]

# mpirun must not ask the Slurm that isn't there what to start, and how.
_NO_SLURM = {
    "HYDRA_BOOTSTRAP": "fork",
    "HYDRA_RMK": "user",
    "I_MPI_HYDRA_BOOTSTRAP": "fork",
    "I_MPI_HYDRA_RMK": "user",
    "PRTE_MCA_plm": "^slurm",
    "PRTE_MCA_ras": "^slurm",
    "PRTE_MCA_ess": "^slurm",
}
_OF_JOBS = ("SLURM_", "SBATCH_", "SRUN_", "SQUEUE_", "PMI_", "PMIX_", "OMPI_", "MPIPAR_")

_FAKE = r"""#!/bin/bash
# Written by tests/unit/fake_sbatch.py.
here=${0%/*/*}
call=$here/calls/$EPOCHREALTIME.$$.PROGRAM
env -0 > "$call.env"
printf '%s\0' "$@" > "$call.args"
if { exec 3< "$here/PROGRAM.refuses"; } 2> /dev/null; then cat <&3 >&2; exit 1; fi
"""
_DOES = {
    "sbatch": (
        """case " $* " in *" --test-only "*) echo "sbatch: Job 1 to start at noon" >&2; exit 0;; esac
number=$(( $(cat "$here/number") + 1 )); echo $number > "$here/number"; echo $number"""
    ),
    # The mark that is asked for between fields stands for each | of the file.
    "squeue": (
        """for word; do case $word in --Format=*) mark=${word##*:}; esac; done
sed "s/|/$mark/g; s/$/$mark/" "$here/queue" """
    ),
    "sacct": "exit 0",
    # Slurm ends the job that is requeued or cancelled: here, who called.
    "scontrol": 'case "$1" in requeue) kill -TERM $PPID;; esac',
    "scancel": "kill -TERM $PPID",
    "srun": "exit 0",
}


class Call(NamedTuple):
    """How a program was called."""

    arguments: list[str]
    environment: dict[str, str]


class FakeSlurm:
    """Fake programs of Slurm in a folder, first on the path of what is run here; and a folder for
    work beside them.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch | None = None) -> None:
        self.folder, self.work = folder / "slurm", folder / "work"
        for made in ("bin", "calls", "config", "state"):
            (self.folder / made).mkdir(parents=True)
        self.work.mkdir(exist_ok=True)
        for program, does in _DOES.items():
            path = self.folder / "bin" / program
            path.write_text(_FAKE.replace("PROGRAM", program) + does + "\n")
            path.chmod(0o755)
        (self.folder / "number").write_text("41\n")
        self.queue()
        self.environment = {
            **_NO_SLURM,
            **FOR_OPEN_MPI,
            "PATH": os.pathsep.join([str(self.folder / "bin"), str(BIN), os.environ["PATH"]]),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "PYTHONPATH": str(ROOT),
        }
        if monkeypatch is not None:
            without_jobs(monkeypatch)

    def queue(self, name: str = "script", **states: str) -> None:
        """Let jobs of a name be in the queue: ``_42="RUNNING"``, or ``_42_3`` for a task of an
        array.
        """
        rest = f"None|n1|1:00|1:00:00|0|0:0|{time.time():.0f}|2|3|{name}"
        rows = [f"{number[1:]}|{state}|{rest}" for number, state in states.items()]
        (self.folder / "queue").write_text("".join(f"{row}\n" for row in rows))

    def refuse(self, program: str, message: str = "") -> None:
        """Let a program fail, with a message."""
        (self.folder / f"{program}.refuses").write_text(message)

    def calls(self, program: str) -> list[Call]:
        """Return how a program was called, each time."""
        found = []
        for path in sorted((self.folder / "calls").glob(f"*.{program}.args")):
            if path.read_bytes() == b"ping\0":  # on a busy machine
                continue
            variables = path.with_suffix(".env").read_bytes().split(b"\0")[:-1]
            environment = dict(os.fsdecode(one).split("=", 1) for one in variables)
            found.append(
                Call(
                    [os.fsdecode(word) for word in path.read_bytes().split(b"\0")[:-1]], environment
                )
            )
        return found

    def run(
        self, *command: str, cwd: Path | None = None, env: dict[str, str] | None = None, **options
    ) -> Finished:
        """Run a command where these programs are first on the path."""
        return start(
            [*command], cwd=cwd or self.work, env={**self.environment, **(env or {})}, **options
        )

    def submit(self, *arguments: str, **options) -> Finished:
        """Run ``mpipar submit``."""
        return self.run(
            *interpreter(("-m", "mpipar", "submit", *map(str, arguments)), options.get("env")),
            **options,
        )

    def file(self, name: str, text: str | bytes) -> Path:
        """Write a file in the folder for work."""
        path = self.work / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path


_numbers = itertools.count(100)


def job_environment(work: Path, **more: str) -> dict[str, str]:
    """Return what Slurm sets in the environment of a job on this node."""
    return {
        "SLURM_JOB_ID": str(next(_numbers)),
        "SLURM_JOB_NAME": "job",
        "SLURM_JOB_NODELIST": socket.gethostname(),
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_NTASKS": "1",
        "SLURM_TASKS_PER_NODE": "1",
        "SLURM_SUBMIT_DIR": str(work),
        "SLURMD_NODENAME": socket.gethostname(),
        **more,
    }


def without_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tests' own environment be that of no job."""
    for name in list(os.environ):
        if name.startswith(_OF_JOBS) and not name.startswith("MPIPAR_TEST"):
            monkeypatch.delenv(name)
