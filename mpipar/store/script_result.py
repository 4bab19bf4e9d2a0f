"""The outcomes of a script's tasks in Python: what ``mpipar.open_result`` returns for its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mpipar.base.errors import BadInput
from mpipar.base.text import several
from mpipar.core import result_card
from mpipar.store import task_tables, untrusted_hdf5
from mpipar.store.data_frames import data_frame
from mpipar.store.outcome_codec import ABSENT
from mpipar.store.script_summary import ScriptSummary
from mpipar.store.stored_calls import DIGEST, EARLIER, StoredCall
from mpipar.store.summary import Table
from mpipar.store.task_look import add_logs
from mpipar.store.task_timeline import workers_of

_ROWS = {
    "call": "i8",
    "function": "O",
    "task": "i8",
    "digest": "O",
    "outcome": "O",
    "rank": "i8",
    "worker": "i8",
}


class ScriptResult:
    """What a script's tasks have come to, read from the file of ``mpipar run --output``.

    No class of the script's is imported: outcomes that are objects of one can be had where it is
    defined as it was. A context manager, which has nothing to close.

    Attributes
    ----------
    path : Path
        The file.
    finished : bool
        Whether the script has come to its end.
    about : dict
        The script, its arguments, versions, and how it was run.
    calls : numpy.ndarray
        A row for each call of map, or of a function: call, function, tasks, done, known (by
        another file), seconds (that workers were with its tasks) and digest (of the function).
    timeline : numpy.ndarray or None
        When tasks were evaluated in the last run, or None: a row for each span, with worker,
        block (the first task), blocks (tasks), begin and end in seconds.
    """

    def __init__(self, summary: ScriptSummary) -> None:
        self._summary = summary
        self.path: Path = summary.path
        self.finished = summary.finished
        self.about: dict[str, Any] = summary.about
        self.calls: Table = summary.calls
        self.timeline: Table | None = summary.timeline

    def outcomes(self, call: int) -> list[Any]:
        """Return what the tasks of a call have come to, in their order.

        Parameters
        ----------
        call : int
            Its number, as in ``calls``.

        Raises
        ------
        BadInput
            If there is no such call, or some of its outcomes aren't there, or can't be made here.
        """
        found, _ = self._stored()
        if not 0 <= call < len(found):
            raise BadInput(f"{str(self.path)!r} has no call {call}: it has {len(found)}")
        values = found[call].values()
        missing = sum(value is ABSENT for value in values)
        if missing:
            raise BadInput(
                f"{several(missing, 'outcome')} of {several(len(values), 'task')} of call {call}"
                " aren't there, or their class isn't defined here: table() has the others"
            )
        return values

    def table(self) -> Table:
        """Return a row for each task that has an outcome: call, function, task, digest (of its
        arguments, as hexadecimal digits), outcome, and the rank and worker that evaluated it: -1
        for an earlier run's, -2 for what another file had.
        """
        rows = []
        calls, workers = self._stored()
        for call in calls:
            digests = call.item_digests
            who = _who(call, workers)
            for task, outcome in enumerate(call.values()):
                if outcome is not ABSENT:
                    digest = digests[task * DIGEST : (task + 1) * DIGEST].hex()
                    rows.append((call.number, call.name, task, digest, outcome, *who[task]))
        table = np.empty(len(rows), [*_ROWS.items()])
        for column, name in enumerate(_ROWS):
            table[name] = _objects([row[column] for row in rows])
        return table

    def to_dataframe(self) -> Any:
        """Return :meth:`table` as a data frame of pandas.

        Raises
        ------
        ImportError
            If pandas isn't installed.
        """
        return data_frame("outcomes", self.table())

    def _stored(self) -> tuple[list[StoredCall], Table]:
        """Return all calls, and the workers of the last run."""
        try:
            tasks = task_tables.read(self.path)
            logged = add_logs(self.path, tasks)
            if logged is not None:
                tasks.workers = workers_of(logged)
        except untrusted_hdf5.BROKEN as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"{str(self.path)!r} is damaged ({error})") from None
        return tasks.calls, tasks.workers

    def close(self) -> None:
        """Do nothing: no file is open."""

    def __enter__(self) -> ScriptResult:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        what = "Outcomes" if self.finished else "Outcomes so far"
        return result_card.as_line(f"{what} of {self._label()}", self._card())

    def _repr_html_(self) -> str:
        """Return what notebooks show: a table of two columns."""
        return result_card.as_html({"script": self._label(), **self._card()})

    def _label(self) -> str:
        return f"{self._summary.driver} in {str(self.path)!r}"

    def _card(self) -> dict[str, str]:
        tasks = int(self.calls["tasks"].sum())
        return {
            "done": f"{self._summary.done:_} of {several(tasks, 'task')}",
            "of": several(len(self.calls), "call"),
        }


def _who(call: StoredCall, workers: Table) -> list[tuple[int, int]]:
    """Return rank and number of who evaluated each task."""
    who = [(EARLIER, EARLIER)] * call.tasks
    of_worker = workers[["rank", "worker"]].tolist()
    for task, worker in zip(call.row_indices.tolist(), call.row_workers.tolist(), strict=True):
        who[task] = (worker, worker)
        if 0 <= worker < len(of_worker):
            who[task] = of_worker[worker]
    return who


def _objects(values: list[Any]) -> Table:
    """Return values as a column, whatever they are: NumPy would make rows of equal lists."""
    column = np.empty(len(values), object)
    for row, value in enumerate(values):
        column[row] = value
    return column
