"""Which rows of an unfinished run are damaged, before it is resumed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mpipar.core.blocks import united
from mpipar.core.plan import Plan
from mpipar.core.reduction import Dataset, Reduction
from mpipar.runtime.progress_state import Done
from mpipar.store.row_records import Bytes, Record, cut, records, spoil
from mpipar.store.rows import Rows


class Found(NamedTuple):
    """What there is of the rows of a run.

    Attributes
    ----------
    damaged : list of int
        Blocks that are said to be done, and whose rows aren't all there as they were written.
    counts : dict
        {block: number of rows}, for blocks of a kernel that makes nothing but one dataset.
    """

    damaged: list[int]
    counts: dict[int, int]


def look_through(rows: Rows, plan: Plan, done: Sequence[range]) -> Found:
    """Read all rows of the blocks that are done, and compare their checksums; what is damaged is
    made not to count.

    Raises OSError.
    """
    blocks = _indices(done)
    good = _records_that_hold(rows)
    told = _sums(rows)
    missing: set[int] = set()
    counts = {}
    for number, dataset in enumerate(rows.datasets):
        place = rows.places.get(dataset.name)
        if place is not None:
            counts = {index: plan[index].size for index in blocks}
            if rows.has_checksums:
                changed = _changed(rows, dataset, number, place, plan, blocks, told)
                missing.update(changed)
            continue
        counts = {}
        for index in blocks:
            record = good.get((index, number))
            if record is None:
                missing.add(index)
            else:
                counts[index] = record.shape[0]
    return Found(sorted(missing), counts)


def without(done: Done, found: Found, reduction: Reduction) -> Done:
    """Return what is done but for damaged blocks; nothing, where their share of a total can't be
    told apart.
    """
    if not isinstance(reduction, Dataset):
        return Done(reduction.start())
    damaged = set(found.damaged)
    kept = [index for index in _indices(done.ranges) if index not in damaged]
    total = sum(found.counts[index] for index in kept)
    ranges = [range(index, index + 1) for index in kept]
    return Done(total, united(ranges), done.skipped)


def _indices(ranges: Sequence[range]) -> list[int]:
    """Return the numbers of blocks, each once."""
    return list(itertools.chain.from_iterable(united(ranges)))


def _records_that_hold(rows: Rows) -> dict[tuple[int, int], Record]:
    """Return the records with rows as they were written; others don't count from now on."""
    good = {}
    for path in sorted(rows.folder.glob("*.part")):
        cut(path)
        with path.open("rb") as file:
            for record in records(path):
                file.seek(record.offset)
                data = np.frombuffer(file.read(record.size), np.uint8)
                if _is_whole(record, data, rows.run):
                    good[record.block, record.number] = record
                else:
                    spoil(record)
    return good


def _sums(rows: Rows) -> dict[tuple[int, int], list[Record]]:
    """Return what is told of rows in their place. Of a block that was evaluated again there are
    several records.
    """
    told: dict[tuple[int, int], list[Record]] = {}
    for path in sorted(rows.folder.glob("*.sums")):
        for record in records(path):
            of_dataset = told.setdefault((record.block, record.number), [])
            of_dataset.append(record)
    return told


def _is_whole(record: Record, data: Bytes, run: str) -> bool:
    if not record.is_of(data, run):
        return False
    try:
        items = int(np.prod(record.shape, dtype=object))
        return record.dtype.itemsize * items == record.size
    except (ValueError, TypeError):
        return False


def _changed(
    rows: Rows,
    dataset: Dataset,
    number: int,
    place: int,
    plan: Plan,
    blocks: Iterable[int],
    told: dict[tuple[int, int], list[Record]],
) -> Iterable[int]:
    """Yield the blocks whose rows in rows.h5 aren't those that were written there."""
    kind: Any = dataset.dtype
    items = int(np.prod(dataset.row, dtype=object))
    row_bytes = kind.itemsize * items
    with rows.base.open("rb") as file:
        for index in blocks:
            block = plan[index]
            size = row_bytes * block.size
            file.seek(place + block.start * row_bytes)
            data = np.frombuffer(file.read(size), np.uint8)
            records_of_it = told.get((index, number), [])
            known = [one for one in records_of_it if one.size == size]
            is_known = any(one.is_of(data, rows.run) for one in known)
            if size and not is_known:
                yield index
