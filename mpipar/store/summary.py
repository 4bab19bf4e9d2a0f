"""What a file of mpipar's tells: of a run that has ended, of one that hasn't, or of a study."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from mpipar.base.text import printable
from mpipar.core.run_record import OfRun, RunRecord
from mpipar.store.attributes import Provenance
from mpipar.store.progress import Progress

Table = np.ndarray[Any, Any]

PROCESSES = {
    "rank": "i8",
    "host": "O",
    "pid": "i8",
    "blocks": "i8",
    "seconds": "f8",
    "longest": "f8",
}
RANKS = {"rank": "i8", "host": "O", "blocks": "i8", "seconds": "f8"}
SPANS = {"worker": "i8", "block": "i8", "blocks": "i8", "begin": "f8", "end": "f8"}
"""Columns of the tables of processes, of ranks and of the timeline."""


class Rows(NamedTuple):
    """A dataset that the kernel has made.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : str
    bytes : int
        What it takes in the file.
    units, description : str
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    units: str
    description: str


class Words(NamedTuple):
    """What a run's parts are called in pictures.

    Attributes
    ----------
    item : str
        What is evaluated.
    working : str
        What processes are that evaluate some.
    origin : str
        When times begin.
    """

    item: str
    working: str
    origin: str


@dataclass(frozen=True)
class Summary(OfRun):
    """What came out of a run, and how: what of its file can be read at once.

    Attributes
    ----------
    path : Path
    size : int
        Bytes of the file.
    run : RunRecord
        What was run, and how that went; the properties tell of it.
    provenance : Provenance
        When and with which software the file was made.
    value, error : object
        Numbers, arrays, text, or dicts of such; the error may be None.
    numbers : int
        How many numbers the value has.
    processes : numpy.ndarray
        A row for each process that evaluated blocks: rank, host, pid, blocks, seconds and longest.
    per_rank : numpy.ndarray
        A row for each rank: rank, host, blocks, seconds.
    timeline : numpy.ndarray or None
        A row for each span: worker (a row of processes), block, blocks, begin, end. None if there
        are none.
    skipped : numpy.ndarray
        A row for each block that failed: block, start, stop, reason.
    rows : list of Rows
        What the kernel has made.
    """

    words: ClassVar[Words] = Words(
        "block",
        "in kernels",
        "the barrier before the first block",
    )

    path: Path
    size: int
    run: RunRecord
    provenance: Provenance
    value: Any
    error: Any
    numbers: int
    processes: Table = field(repr=False)
    per_rank: Table = field(repr=False)
    timeline: Table | None = field(repr=False)
    skipped: Table = field(repr=False)
    rows: list[Rows]

    @property
    def driver(self) -> str:
        """Name of the driver, in one line."""
        return printable(" ".join(self.name.split()))

    @cached_property
    def hosts(self) -> dict[str, int]:
        """Number of ranks on each node, in the order of ranks."""
        return dict(Counter(self.per_rank["host"].tolist()))

    @property
    def busy(self) -> float:
        """Seconds that all processes together were in kernels."""
        return self.run.timing.busy

    @property
    def longest_block(self) -> float:
        """Seconds of the longest block."""
        return self.run.timing.longest_block

    @property
    def why_no_timeline(self) -> str:
        """Why there is no timeline; nothing if there is one."""
        if self.timeline is not None:
            return ""
        if not self.plan.n_blocks:
            return "there was nothing to evaluate"
        if not self.evaluated_blocks:
            return "all blocks had been done before, and none was evaluated in its last run"
        return "it is of an older version of mpipar; run it again with --output"

    @cached_property
    def finishes(self) -> Table:
        """When each process had done its last block, in seconds; those that did none are left
        out.
        """
        if self.timeline is None:
            return np.empty(0)
        ends = np.full(len(self.processes), -np.inf)
        np.maximum.at(ends, self.timeline["worker"], self.timeline["end"])
        return np.asarray(ends[np.isfinite(ends)])

    @property
    def block_seconds(self) -> Table:
        """Seconds a block of each span: of spans of several blocks, their mean."""
        if self.timeline is None:
            return np.empty(0)
        return np.asarray((self.timeline["end"] - self.timeline["begin"]) / self.timeline["blocks"])


@dataclass(frozen=True)
class Unfinished:
    """A run that isn't finished: the checkpoint that it has left, or writes at the moment.

    Attributes
    ----------
    path : Path
    identity : dict
        What decides the result: driver, parameters, n, block, seed.
    progress : Progress
    writer : str
        The process that had the file last: "process 12 on node1", or nothing.
    """

    path: Path
    identity: dict[str, Any]
    progress: Progress
    writer: str


@dataclass(frozen=True)
class Study:
    """The data of a scaling study.

    Attributes
    ----------
    path : Path
    about : dict
        What was run, on what machine.
    runs : int
        How many runs there are.
    table : list of dict
        {column: number or text} for each size; empty for a study of problem sizes alone.
    """

    path: Path
    about: dict[str, Any]
    runs: int
    table: list[dict[str, Any]]
