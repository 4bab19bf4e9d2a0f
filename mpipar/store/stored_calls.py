"""The calls of a script that have stored outcomes: which tasks, and what came out of them."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mpipar.store.outcome_blocks import are_all_there, unpacked
from mpipar.store.outcome_codec import ABSENT, Classes, loaded_class
from mpipar.store.pickled_outcomes import unpickled

Array = np.ndarray[Any, Any]

DIGEST = 16
"""Bytes of a digest."""

NO_DIGEST = bytes(DIGEST)
"""Stands for a digest that nobody has made."""

EARLIER = -1
ELSEWHERE = -2
"""Who evaluated a task: some worker of an earlier run, or of another file's."""


class Piece(NamedTuple):
    """Outcomes of one form.

    Attributes
    ----------
    data : bytes
        As :mod:`mpipar.store.outcome_blocks` has them.
    outcomes : int
        How many.
    checksum : int
        Their CRC-32.
    """

    data: bytes
    outcomes: int
    checksum: int


@dataclass
class StoredCall:
    """A call of map, or of a function, in a script, with the outcomes that are stored.

    Attributes
    ----------
    number : int or None
        In the file of this run; None for a call in another file.
    function : bytes
        Digest of the function.
    name : str
        Name of the function.
    block_digests : list of bytes
        Of 4096 of its items at a time; none where these were handed in one by one.
    item_digests : bytes or memoryview
        Of all its items, one after the other; NO_DIGEST where there is none.
    row_indices, row_workers : numpy.ndarray
        Index of each task with an outcome, and who evaluated it (the number of a worker, or EARLIER
        or ELSEWHERE), in the order of the pieces.
    pieces : list of Piece
        The outcomes.
    begin, end : float
        When it was begun, and when its last outcome came, in seconds since 1970.
    busy : float
        Seconds that workers were with its tasks.
    pickled : dict
        {index: outcome}, pickled, of the user's own file.
    copies : list of int
        Index of each task whose outcome isn't to be given, as another file has it, too.
    """

    number: int | None
    function: bytes
    name: str
    block_digests: list[bytes] = field(default_factory=list)
    item_digests: bytes | memoryview = b""
    row_indices: Array = field(default_factory=lambda: np.empty(0, "<i8"))
    row_workers: Array = field(default_factory=lambda: np.empty(0, "<i4"))
    pieces: list[Piece] = field(default_factory=list)
    begin: float = 0.0
    end: float = 0.0
    busy: float = 0.0
    pickled: dict[int, bytes] = field(default_factory=dict)
    copies: list[int] = field(default_factory=list)

    @property
    def tasks(self) -> int:
        """How many tasks it has."""
        return len(self.item_digests) // DIGEST

    @property
    def done(self) -> int:
        """How many of them have an outcome."""
        return len(self.row_indices)

    @property
    def known(self) -> int:
        """How many outcomes are of another file's."""
        return int((self.row_workers == ELSEWHERE).sum())

    def values(self, find: Classes = loaded_class) -> list[Any]:
        """Return the outcomes of all tasks, ABSENT where there is none that can be had here.

        Parameters
        ----------
        find : callable
            ``find(module, name)``: a class that is loaded, or None.
        """
        values, _ = self.values_and_gaps(find)
        return values

    def values_and_gaps(self, find: Classes = loaded_class) -> tuple[list[Any], bool]:
        """Return the same, and whether one may be ABSENT."""
        parts = []
        has_gaps = False
        for piece in self.pieces:
            values = _values_of(piece, find)
            if values is None or not are_all_there(piece.data):
                has_gaps = True
            parts.append([ABSENT] * piece.outcomes if values is None else values)
        runs = sorted(_neighbours(self.row_indices))
        if not _are_all(runs, self.tasks):
            has_gaps = True
        found = _in_order(parts, runs, self.tasks)
        for index, data in self.pickled.items():
            if found[index] is ABSENT:
                found[index] = unpickled(data)
        return found, has_gaps


def have_task(calls: Sequence[StoredCall], number: int, index: int) -> bool:
    """Return whether some calls, which are in order, have a task."""
    return number < len(calls) and index < calls[number].tasks


def forget_workers(calls: Iterable[StoredCall]) -> None:
    """Note that the workers of calls were those of an earlier run."""
    for call in calls:
        call.row_workers = np.minimum(call.row_workers, EARLIER)


class _Run(NamedTuple):
    """Outcomes of neighbouring tasks: of which, and where they are."""

    first: int
    start: int
    stop: int


def _neighbours(indices: Array) -> Iterator[_Run]:
    """Yield the runs of neighbouring tasks."""
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    starts = [0, *breaks.tolist()]
    stops = [*breaks.tolist(), len(indices)]
    for start, stop in zip(starts, stops, strict=True):
        if start < stop:
            yield _Run(int(indices[start]), start, stop)


def _are_all(runs: list[_Run], tasks: int) -> bool:
    """Return whether runs, which are in order, have each task once."""
    reached = 0
    for first, start, stop in runs:
        if first != reached:
            return False
        reached += stop - start
    return reached == tasks


def _in_order(parts: list[list[Any]], runs: list[_Run], tasks: int) -> list[Any]:
    """Return outcomes in the order of their tasks, ABSENT where there is none."""
    if len(parts) == len(runs) == 1 and len(parts[0]) == tasks:
        return parts[0]
    found = list(itertools.chain.from_iterable(parts))
    values = [ABSENT] * tasks
    for first, start, stop in runs:
        values[first : first + stop - start] = found[start:stop]
    return values


def check_rows(call: StoredCall) -> None:
    """Raise ValueError if a call has outcomes of tasks that it hasn't."""
    count = sum(piece.outcomes for piece in call.pieces)
    if count != len(call.row_indices) or count != len(call.row_workers):
        raise ValueError(f"{call.name} has {count} outcomes of {len(call.row_indices)} tasks")
    if count and not 0 <= call.row_indices.min() <= call.row_indices.max() < call.tasks:
        raise ValueError(f"{call.name} has outcomes of tasks that it hasn't")


def _values_of(piece: Piece, find: Classes) -> list[Any] | None:
    """Return the outcomes of a piece; None, if it is damaged."""
    if zlib.crc32(piece.data) != piece.checksum:
        return None
    try:
        return unpacked(piece.data, piece.outcomes, find)
    except ValueError:
        return None
