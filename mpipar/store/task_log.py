"""What a script's tasks have come to since its file was last written: records in a log.

A record is a letter and what is told::

    R  run: which, when begun     W  worker: its rank, and its number there
    C  call: its number, function, digests of blocks and items
    T  tasks of a call: indices, digests where the call hasn't them, who evaluated them and when,
       outcomes
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from json import JSONDecodeError
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mpipar.base.json_text import json_text, json_value
from mpipar.store.outcome_blocks import form, joined
from mpipar.store.record_file import RecordFile, records
from mpipar.store.stored_calls import (
    DIGEST,
    ELSEWHERE,
    NO_DIGEST,
    Array,
    Piece,
    StoredCall,
    check_rows,
)

FORMAT = 1
_MARK = b"mpipar-t"
_TASKS = struct.Struct("<IIiddBB")  # call, count, worker, end, seconds, is a range, has digests
_CALL = struct.Struct("<II")  # bytes of its head, digests of blocks
_INDEX = struct.Struct("<q")
_NONSENSE = (
    KeyError,
    TypeError,
    IndexError,
    struct.error,
    OverflowError,
    RecursionError,
    JSONDecodeError,
    UnicodeError,
)
"""What nonsense in a record raises."""

_MOST_TASKS = 2**24  # of a record
_MOST_LOST = 2**12  # calls
_MOST_MISSING = 2**24  # bytes of digests that nobody has told of, before those of a record


class Span(NamedTuple):
    """Who evaluated some tasks, and when.

    Attributes
    ----------
    rank : int
    worker : int
        Its number in the rank.
    end : float
        In seconds since 1970.
    seconds : float
        How long it took.
    """

    rank: int
    worker: int
    end: float
    seconds: float


class TaskLog:
    """The log of one run of a script.

    Parameters
    ----------
    path : Path
        A new file.
    run : str
        Name of the run that it goes on with.
    begin : float
        When that was begun, in seconds since 1970.
    """

    def __init__(self, path: Path, run: str, begin: float) -> None:
        self.path = path
        self._file = RecordFile(path, _MARK)
        self._workers: dict[tuple[int, int], int] = {}
        self._head: bytes | None = _json({"format": FORMAT, "run": run, "begin": begin})

    def begin_call(self, call: StoredCall) -> None:
        """Note a call. Raises OSError."""
        about = {"name": call.name, "begin": call.begin}
        head = _json({"call": call.number, "function": call.function.hex(), **about})
        size = _CALL.pack(len(head), len(call.block_digests))
        self._append(b"C", size, head, *call.block_digests, call.item_digests)

    def append(
        self,
        call: int,
        indices: Sequence[int],
        digests: Iterable[bytes] | None,
        outcomes: bytes,
        span: Span | None,
    ) -> None:
        """Note tasks; the span is None for outcomes of another file's. Raises OSError."""
        worker = ELSEWHERE
        end = 0.0
        seconds = 0.0
        if span is not None:
            worker = self._worker(span)
            end = span.end
            seconds = span.seconds
        is_range = isinstance(indices, range) and indices.step == 1
        where = _INDEX.pack(indices[0]) if is_range else np.array(indices, "<i8").tobytes()
        which = b"" if digests is None else b"".join(digests)
        has_digests = digests is not None
        head = _TASKS.pack(
            call,
            len(indices),
            worker,
            end,
            seconds,
            is_range,
            has_digests,
        )
        self._append(b"T", head, where, which, outcomes)

    def _worker(self, span: Span) -> int:
        who = span.rank, span.worker
        number = self._workers.get(who)
        if number is None:
            number = len(self._workers)
            self._append(b"W", _json(who))
            self._workers[who] = number
        return number

    def _append(self, *data: bytes | memoryview) -> None:
        if self._head is not None:
            self._file.append(b"R", self._head)
            self._head = None
        self._file.append(*data)

    def sync(self) -> None:
        """Wait until all is on the disk. Raises OSError."""
        self._file.sync()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _json(value: Any) -> bytes:
    return json_text(value).encode()


class TaskSpan(NamedTuple):
    """Some tasks of a call, who evaluated them, and when."""

    worker: int
    call: int
    first: int
    tasks: int
    end: float
    seconds: float


@dataclass
class Logged:
    """What a log has.

    Attributes
    ----------
    run : str
        Name of the run.
    begin : float
        When it was begun, in seconds since 1970.
    workers : list of (int, int)
        Rank, and number there, of each.
    calls : dict
        {number: call}: those that were begun before the log, too.
    spans : list of TaskSpan
    """

    run: str
    begin: float
    calls: dict[int, StoredCall]
    workers: list[tuple[int, int]] = field(default_factory=list)
    spans: list[TaskSpan] = field(default_factory=list)

    def in_order(self) -> list[StoredCall]:
        """Return all calls, each at its number: an empty one, where one was lost."""
        calls = []
        for number in range(max(self.calls, default=-1) + 1):
            calls.append(self.calls.get(number) or StoredCall(number, NO_DIGEST, "?"))
        return calls


class _Tasks(NamedTuple):
    """What a record of tasks has."""

    indices: Array
    worker: int
    data: bytes


@dataclass
class _Growing:
    """What records of tasks add to a call."""

    tasks: list[_Tasks]
    digests: bytearray


def read_log(path: Path, calls: Iterable[StoredCall]) -> Logged | None:
    """Add what is in a log to the calls that were begun before it, and to new ones.

    Returns
    -------
    Logged or None
        None if the log hasn't begun.

    Raises
    ------
    OSError
    ValueError
        For what nobody has logged.
    """
    try:
        return _read(records(path, _MARK), {call.number or 0: call for call in calls})
    except _NONSENSE as error:
        raise ValueError(f"{str(path)!r} is damaged ({error!r})") from None


def counts(path: Path) -> tuple[int, int]:
    """Return how many tasks a log adds, and how many of these or others are done, whose outcomes
    aren't read. Raises OSError, struct.error.
    """
    tasks = 0
    done = 0
    for data in records(path, _MARK):
        told = memoryview(data)[1:]
        if data[:1] == b"C":
            size, blocks = _CALL.unpack_from(told)
            tasks += (len(told) - _CALL.size - size) // DIGEST - blocks
        elif data[:1] == b"T":
            _, count, *_, has_digests = _TASKS.unpack_from(told)
            done += count
            tasks += count * has_digests
    return tasks, done


def _read(found: Iterator[bytes], calls: dict[int, StoredCall]) -> Logged | None:
    first = next(found, None)
    if first is None:
        return None
    about = json_value(first[1:])
    if first[:1] != b"R" or about["format"] != FORMAT:
        raise ValueError(f"the log is of format {about['format']}, expected {FORMAT}")
    logged = Logged(str(about["run"]), float(about["begin"]), calls)
    growing: dict[int, _Growing] = {}
    for data in found:
        letter = data[:1]
        told = memoryview(data)[1:]
        if letter == b"T":
            _take_tasks(logged, growing, told)
        elif letter == b"C":
            call = _call_of(told)
            number = call.number or 0
            if not 0 <= number <= len(calls) + _MOST_LOST:
                raise ValueError(f"the log has a call {number}")
            calls[number] = call
        elif letter == b"W":
            rank, worker = json_value(bytes(told))
            logged.workers.append((int(rank), int(worker)))
        else:
            raise ValueError(f"the log has a record {letter!r}")
    for number, grown in growing.items():
        _fill(calls[number], grown)
    return logged


def _call_of(told: memoryview) -> StoredCall:
    size, blocks = _CALL.unpack_from(told)
    start = _CALL.size
    items = start + size + blocks * DIGEST
    about = json_value(bytes(told[start : start + size]))
    return StoredCall(
        number=int(about["call"]),
        function=bytes.fromhex(about["function"]),
        name=str(about["name"]),
        begin=float(about["begin"]),
        block_digests=digests_in(bytes(told[start + size : items])),
        item_digests=bytes(told[items:]),
    )


def digests_in(data: bytes | memoryview) -> list[bytes]:
    """Return digests that lie one after the other."""
    data = bytes(data)
    return [data[at : at + DIGEST] for at in range(0, len(data), DIGEST)]


def _take_tasks(
    logged: Logged,
    growing: dict[int, _Growing],
    told: memoryview,
) -> None:
    number, count, worker, end, seconds, is_range, has_digests = _TASKS.unpack_from(told)
    if not 0 < count <= _MOST_TASKS or worker >= len(logged.workers):
        raise ValueError("a record of tasks can't be one")
    call = logged.calls.get(number)
    if call is None:  # it was lost with the end of the log before
        return
    if number not in growing:
        growing[number] = _Growing([], bytearray(call.item_digests))
    grown = growing[number]
    at = _TASKS.size
    if is_range:
        (first,) = _INDEX.unpack_from(told, at)
        indices = np.arange(first, first + count)
        at += _INDEX.size
    else:
        indices = np.frombuffer(told, "<i8", count, at)
        at += indices.nbytes
    if has_digests:
        _put_digests(grown.digests, indices, bytes(told[at : at + count * DIGEST]))
        at += count * DIGEST
    grown.tasks.append(_Tasks(indices, worker, bytes(told[at:])))
    call.end = max(call.end, end)
    if worker >= 0:
        logged.spans.append(TaskSpan(worker, number, int(indices[0]), count, end, seconds))
        call.busy += seconds


def _put_digests(there: bytearray, indices: Array, digests: bytes) -> None:
    """Put digests of tasks that were handed in one by one where they belong."""
    last = int(indices.max())
    missing = (last + 1) * DIGEST - len(there)
    if indices.min() < 0 or missing > _MOST_MISSING:
        raise ValueError("a record of tasks can't be one")
    there += bytes(max(0, missing))
    for at, index in enumerate(indices.tolist()):
        there[index * DIGEST : (index + 1) * DIGEST] = digests[at * DIGEST : (at + 1) * DIGEST]


def _first(part: _Tasks) -> int:
    return int(part.indices[0])


def _fill(call: StoredCall, grown: _Growing) -> None:
    """Give a call the outcomes of tasks: those of one form beside each other, and in order."""
    call.item_digests = bytes(grown.digests)
    by_form: dict[bytes, list[_Tasks]] = {}
    for part in sorted(grown.tasks, key=_first):
        by_form.setdefault(form(part.data), []).append(part)
    indices = [call.row_indices]
    workers = [call.row_workers]
    for same in by_form.values():
        counts = []
        for part in same:
            counts.append(len(part.indices))
            indices.append(part.indices)
            workers.append(np.full(len(part.indices), part.worker, "<i4"))
        data = joined([part.data for part in same], counts)
        call.pieces.append(Piece(data, sum(counts), zlib.crc32(data)))
    call.row_indices = np.concatenate(indices)
    call.row_workers = np.concatenate(workers)
    check_rows(call)
