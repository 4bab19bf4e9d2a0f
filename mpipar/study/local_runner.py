"""Runs of a study on this machine, or in this allocation, by the mpirun of this environment."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mpipar.base.errors import BadInput, RunFailed
from mpipar.runtime.launcher import launch
from mpipar.runtime.mpirun import find_mpirun
from mpipar.study.design import SIZES, Measured, Run, Size
from mpipar.study.driver_report import measured
from mpipar.study.folder import SCRATCH
from mpipar.study.target import Target
from mpipar.study.timed_command import environment_for, timed

_LONGEST_COMPLAINT = 500  # characters of a message


class LocalRunner:
    """Runs on this machine, one after another.

    Parameters
    ----------
    target : Target
    folder : Path
        Of the study.
    with_output : bool
        Whether the driver must have a file for its result.
    with_mpi : bool
        Whether there are runs that need an mpirun. Where there is one, those of one rank are
        started by it, too, so that all are alike; but for serial ones.

    Raises
    ------
    BadInput
        If that can't be here.
    """

    def __init__(
        self,
        target: Target,
        folder: Path,
        *,
        with_output: bool,
        with_mpi: bool,
    ) -> None:
        self._target = target
        self._with_output = with_output
        self._scratch = folder.absolute() / SCRATCH
        self._mpirun = find_mpirun()
        if launch() is not None:
            raise BadInput("scale: it starts mpirun itself, and can't be started by a launcher")
        if with_mpi and self._mpirun is None:
            raise BadInput("--ranks: there is no mpirun (pip install 'mpipar[mpich]' brings one)")

    def measure(self, runs: Sequence[Run]) -> Iterator[tuple[Run, Measured]]:
        """Yield what each run gave. Raises RunFailed if one fails."""
        for run in runs:
            yield run, self._once(run)

    def _once(self, run: Run) -> Measured:
        size = run.size
        command = self._command(size)
        if self._with_output:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch.mkdir()
            command.append(f"--output={self._scratch / 'run.h5'}")
        environment = environment_for(
            self._mpirun,
            size.ranks,
            with_workers=size.workers > 1,
        )
        try:
            ended = timed(command, environment)
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
        if ended.code != 0:
            complaint = ended.complaint[:_LONGEST_COMPLAINT]
            raise RunFailed(f"{size.words}: exit code {ended.code}: {complaint}")
        return measured(ended.stdout, ended.seconds, [os.uname().nodename], run)

    def _command(self, size: Size) -> list[str]:
        """Return the command of a run, but for the file of its result."""
        options = [f"--workers={size.workers}", "--json", "--no-progress"]
        command = [sys.executable, *self._target.command(size), *options]
        is_serial = size.mode == SIZES and size.ranks == 1
        if self._mpirun is None or is_serial:
            return command
        return [self._mpirun, "-n", str(size.ranks), *command]
