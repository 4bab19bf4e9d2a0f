"""The run that predictions are made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mpipar.base.errors import BadInput
from mpipar.predict.block_times import Measurement, measurement
from mpipar.store.look import look
from mpipar.store.script_summary import ScriptSummary
from mpipar.store.summary import Study, Summary, Unfinished


@dataclass(frozen=True)
class MeasuredRun:
    """A run that was measured.

    Attributes
    ----------
    summary : Summary
        What its result file tells.
    measured : Measurement
        The times of its blocks.
    """

    summary: Summary
    measured: Measurement

    @property
    def ranks(self) -> int:
        """Its ranks."""
        return self.summary.ranks

    @property
    def workers(self) -> int:
        """Its worker processes in each rank."""
        return self.summary.workers

    @property
    def schedule(self) -> str:
        """Its schedule."""
        return self.summary.schedule

    @property
    def blocks(self) -> int:
        """Blocks of its plan."""
        return len(self.measured.values)

    @property
    def is_whole(self) -> bool:
        """Whether its time is that of all blocks on all ranks."""
        trouble = self.summary.run.trouble
        return not (
            trouble.resumed_blocks
            or trouble.lost_ranks
            or trouble.lost_workers
            or trouble.retried_blocks
        )


def load(path: Path) -> MeasuredRun:
    """Return the run of a result file.

    Raises
    ------
    BadInput
        If there is none that a prediction can be made from.
    """
    found = look(path)
    if isinstance(found, ScriptSummary):
        raise BadInput(f"{str(path)!r} has the tasks of a script, expected the result of a driver")
    if isinstance(found, Unfinished):
        raise BadInput(f"{str(path)!r} holds a run that isn't finished: --resume goes on with it")
    if isinstance(found, Study):
        raise BadInput(
            f"{str(path)!r} has the times of a scaling study, expected a result file (of --output)"
        )
    return MeasuredRun(found, measurement(found))
