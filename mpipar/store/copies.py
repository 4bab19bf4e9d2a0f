"""Outcomes that several files have, one from the other: of these each is given once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mpipar.store.stored_calls import DIGEST, ELSEWHERE, StoredCall


def each_once(files: Sequence[Path], own: Path | None) -> list[Path]:
    """Return files without those that are named twice, or are the one that a run goes on with."""
    found = {Path(os.path.realpath(path)): path for path in reversed(files)}
    return [path for real, path in reversed(found.items()) if real != own]


def forget_copies(own: Sequence[StoredCall], others: Iterable[Sequence[StoredCall]]) -> None:
    """Note which outcomes of other files aren't to be given, as what is asked before has them.

    A file that took an outcome from another one says so, but not from which. So each that was taken
    stands for one of the same task in a file after it; and each that a later file has taken, for
    one in those before it.

    Parameters
    ----------
    own : sequence of StoredCall
        Of the file that a run goes on with.
    others : iterable of sequence of StoredCall
        Of each other file, in the order in which they are asked.
    """
    files = [own, *others]
    if not any(call.known for calls in files for call in calls):
        return
    there: Counter[bytes] = Counter()
    taken: Counter[bytes] = Counter()
    for calls in files:
        here: Counter[bytes] = Counter()
        taken_here: Counter[bytes] = Counter()
        before = there.copy()
        for call in calls:
            for index, task, is_taken in _tasks(call):
                same = before if is_taken else taken
                if same[task] > 0:
                    same[task] -= 1
                    call.copies.append(index)
                    continue
                here[task] += 1
                taken_here[task] += is_taken
        there += here
        taken += taken_here


def _tasks(call: StoredCall) -> Iterator[tuple[int, bytes, bool]]:
    """Yield the number of each task that is done, what tells it from others, and whether it was
    another file that had its outcome.
    """
    for index, worker in zip(call.row_indices.tolist(), call.row_workers.tolist(), strict=True):
        digest = bytes(call.item_digests[DIGEST * index : DIGEST * (index + 1)])
        yield index, call.function + digest, worker == ELSEWHERE
