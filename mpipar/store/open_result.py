"""A result file in Python: ``mpipar.open_result``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NoReturn

import h5py

from mpipar.base.errors import BadInput
from mpipar.base.text import items_in_blocks, several
from mpipar.core import result_card
from mpipar.core.plan import Plan
from mpipar.core.run_record import OfRun, RunRecord
from mpipar.runtime.failure import Skipped
from mpipar.runtime.progress_state import Record
from mpipar.store import untrusted_hdf5
from mpipar.store.data_frames import data_frame
from mpipar.store.look import look
from mpipar.store.progress import ATTEMPTS, Progress, signature
from mpipar.store.script_result import ScriptResult
from mpipar.store.script_summary import ScriptSummary
from mpipar.store.sealed_rows import sealed_rows
from mpipar.store.stored_rows import OpenRows
from mpipar.store.summary import Study, Summary, Table, Unfinished

_SKIPPED = {
    "block": "i8",
    "start": "i8",
    "stop": "i8",
    "reason": "O",
    "traceback": "O",
}


_NAMES_OF_A_RESULT = {"created", "datasets", "file", "run"}
"""Attributes that the class itself doesn't have."""


def open_result(
    path: str | os.PathLike[str],
) -> StoredResult | UnfinishedResult | ScriptResult:
    """Open the file that a run has written to its output; it is only read.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    StoredResult, UnfinishedResult or ScriptResult
        What came out, or, of a run that was stopped or goes on, how far it is; ``finished`` tells
        which. For a script, what its tasks have come to so far. All are context managers.

    Raises
    ------
    BadInput
        If there is no such file, it isn't of mpipar, or is damaged: with the words of
        ``mpipar show``. Also later, if what is looked at then is damaged.

    Examples
    --------
    >>> with open_result("run.h5") as result:  # doctest: +SKIP
    ...     print(result.value, result.parameters["steps"])
    ...     rows = result.datasets["rows"][:100]
    """
    path = Path(path)
    for _ in range(ATTEMPTS):
        before = signature(path)
        found = look(path)
        if isinstance(found, Study):
            raise BadInput(
                f"{str(path)!r} has the times of a scaling study, expected a result file"
                " (of --output)"
            )
        if isinstance(found, Unfinished):
            return UnfinishedResult(found)
        if isinstance(found, ScriptSummary):
            return ScriptResult(found)
        try:
            result = StoredResult(found)
        except OSError:
            continue  # it was removed in between
        if signature(path) == before:
            return result
        result.close()  # it was replaced in between
    raise BadInput(f"{str(path)!r} can't be read at the moment: others remove or replace it")


class StoredResult(OfRun):
    """What came out of a run, read from its file; a context manager that closes it.

    The value, arrays and tables are read when they are looked at.

    Attributes
    ----------
    path : Path
        The file.
    file : h5py.File
        The same, open for reading, for all that isn't here.
    run : RunRecord
        What was run, and how that went; the properties tell of it, by the names that
        :class:`mpipar.Result` has.
    finished : bool
        True: the run has ended.
    datasets : mapping
        {name: rows} of what the kernel has made: ``rows[10:20]`` reads some, ``rows[:]`` all, as
        an array.
    created : str or None
        When the file was made.
    """

    finished: Literal[True] = True

    def __init__(self, summary: Summary) -> None:
        self.path = summary.path
        # A file of Python's own: HDF5 would have it locked, and so the run begun anew refused.
        self._bytes = self.path.open("rb")
        try:
            sealed = sealed_rows(self.path, self._bytes)
        except BadInput:
            self._bytes.close()
            raise
        self.file = file = h5py.File(self._bytes, "r")
        self.run: RunRecord = summary.run
        self.created = summary.provenance.created
        self.datasets: Mapping[str, OpenRows] = {
            rows.name: OpenRows(file, summary.path, rows.name, sealed) for rows in summary.rows
        }
        self._summary = summary

    @property
    def value(self) -> Any:
        """The value, without its error: a number, an array, text, or a dict of such."""
        return self._read("value")

    @property
    def error(self) -> Any:
        """The standard error of the value, or None."""
        return self._read("error") if "error" in self._checked_file() else None

    def _read(self, name: str) -> Any:
        file = self._checked_file()
        try:
            return untrusted_hdf5.whole_value(file, name)
        except untrusted_hdf5.BROKEN as error:
            raise BadInput(f"{str(self.path)!r} is damaged ({error})") from None

    def _checked_file(self) -> h5py.File:
        if not self.file:
            raise ValueError(f"the result of {str(self.path)!r} was closed")
        return self.file

    @property
    def hosts(self) -> list[str]:
        """The node of each rank."""
        hosts: list[str] = self._summary.per_rank["host"].tolist()
        return hosts

    @property
    def records(self) -> list[Record]:
        """What each process evaluated: rank, host, pid, blocks, seconds and longest."""
        return [Record(*row) for row in self._summary.processes.tolist()]

    @property
    def timeline(self) -> Table | None:
        """When blocks were evaluated, or None: a row for each span, with worker (the number of a
        record), block, blocks, begin and end in seconds.
        """
        return self._summary.timeline

    @property
    def skipped(self) -> list[Skipped]:
        """Blocks that failed, in order, if the run went on without them."""
        if not len(self._summary.skipped):
            return []
        file = self._checked_file()
        try:
            table = untrusted_hdf5.table(file, "skipped", _SKIPPED)
        except untrusted_hdf5.BROKEN as error:
            raise BadInput(f"{str(self.path)!r} is damaged ({error})") from None
        return [Skipped(*row) for row in table.tolist()]

    def to_dataframe(self, name: str | None = None) -> Any:
        """Return a dataset as a data frame of pandas.

        Parameters
        ----------
        name : str, optional
            One of ``datasets``; by default the only one. Or a table of the file: ranks, workers
            (one row a process), timeline or skipped.

        Raises
        ------
        BadInput
            If there is no such dataset, or it has more dimensions than a data frame.
        ImportError
            If pandas isn't installed.
        """
        tables: dict[str, Any] = {
            **self.datasets,
            "ranks": self._summary.per_rank,
            "workers": self._summary.processes,
            "skipped": self._summary.skipped,
        }
        if self.timeline is not None:
            tables["timeline"] = self.timeline
        if name is None and len(self.datasets) == 1:
            [name] = self.datasets
        if name not in tables:
            raise BadInput(f"to_dataframe: expected one of {', '.join(tables)}, got {name!r}")
        return data_frame(name, tables[name][:])

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        self._bytes.close()

    def __enter__(self) -> StoredResult:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return result_card.as_line(f"Result of {self._label()}", self._card())

    def _repr_html_(self) -> str:
        """Return what notebooks show: a table of two columns."""
        return result_card.as_html({"kernel": self._label(), **self._card()})

    def _label(self) -> str:
        return f"{self._summary.driver} in {str(self.path)!r}"

    def _card(self) -> dict[str, str]:
        summary = self._summary
        shapes = {rows.name: rows for rows in summary.rows}
        return result_card.rows_of_card(self.run, summary.value, summary.error, shapes)


class UnfinishedResult:
    """A run that hasn't ended: how far it is; a context manager.

    What a result has and this hasn't, such as ``value``, raises BadInput.

    Attributes
    ----------
    path : Path
        The file.
    finished : bool
        False: the run has not ended.
    name : str
        Name of the kernel.
    parameters : dict
        Values of all parameters of the kernel.
    plan : Plan
        n, block size and blocks.
    seed : int
        Seed of the random streams.
    progress : Progress
        How far the run was when the file was opened: ``done`` of ``n_blocks`` and more.
    """

    finished: Literal[False] = False

    def __init__(self, found: Unfinished) -> None:
        identity = found.identity
        self.path = found.path
        self.progress: Progress = found.progress
        self.parameters = dict(_parameters(identity))
        try:
            self.name = str(identity["driver"])
            self.plan = Plan(identity["n"], identity["block"])
            self.seed: int = identity["seed"]
        except (KeyError, TypeError, ValueError):
            raise BadInput(
                f"{str(self.path)!r} holds an unfinished run, whose checkpoint is damaged"
            ) from None

    def __getattr__(self, name: str) -> NoReturn:
        of_a_result = name in _NAMES_OF_A_RESULT or hasattr(StoredResult, name)
        if name.startswith("_") or not of_a_result:
            raise AttributeError(f"an unfinished result has no attribute {name!r}")
        raise BadInput(
            f"{str(self.path)!r} holds a run that isn't finished: --resume goes on with it"
        )

    def close(self) -> None:
        """Do nothing: no file is open."""

    def __enter__(self) -> UnfinishedResult:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return result_card.as_line(f"Unfinished run of {self._label()}", self._card())

    def _repr_html_(self) -> str:
        """Return what notebooks show: a table of two columns."""
        return result_card.as_html({"unfinished run": self._label(), **self._card()})

    def _label(self) -> str:
        return f"{self.name} in {str(self.path)!r}"

    def _card(self) -> dict[str, str]:
        progress = self.progress
        rows = {"done": f"{progress.done:_} of {several(progress.n_blocks, 'block')}"}
        if progress.skipped:
            rows["skipped"] = several(progress.skipped, "block")
        rows["of"] = items_in_blocks(self.plan.n, self.plan.n_blocks, self.plan.block)
        return rows


def _parameters(identity: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield names and values of parameters."""
    for name, value in identity.items():
        if name.startswith("parameter "):
            yield name.removeprefix("parameter "), value
