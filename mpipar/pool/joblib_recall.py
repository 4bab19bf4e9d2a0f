"""Tasks of joblib that need not be evaluated again.

How many tasks a batch has, joblib decides by how long they take: so each task is looked up, and a
batch goes without those that are known.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from mpipar.pool.jobs import Raised, Sink
from mpipar.pool.recall import Recall
from mpipar.pool.recalled_tasks import Recollection, Task


def in_part(batch: Any, sink: Sink, recall: Recall) -> tuple[Any, Sink]:
    """Return what is left of a batch, None if nothing is, and who wants the outcome of that."""
    tasks = [recall.task(*item) for item in batch.items]
    known = [recall.found(task) for task in tasks]
    rest = copy.copy(batch)
    rest.items = [item for item, found in zip(batch.items, known, strict=True) if found is None]
    rest._size = len(rest.items)
    whole = _Whole(sink, tasks, known, recall)
    if not rest.items:
        whole.put([])
        return None, whole
    return rest, whole


class _Whole:
    """Takes in what comes out of the rest of a batch, and hands on what has come out of all."""

    def __init__(
        self,
        sink: Sink,
        tasks: list[Task],
        known: list[Recollection | None],
        recall: Recall,
    ) -> None:
        self._sink = sink
        self._tasks = tasks
        self._known = known
        self._recall = recall
        self.start: Callable[[], bool] = sink.start
        self.cancel: Callable[[], None] = sink.cancel

    def put(self, outcome: Any) -> None:
        if type(outcome) is Raised:
            self._sink.put(outcome)
            return
        self._keep(outcome)
        values = iter(outcome)
        merged = []
        for found in self._known:
            merged.append(next(values) if found is None else found.outcome)
        self._sink.put(merged)

    def _keep(self, values: list[Any]) -> None:
        unknown = []
        for task, found in zip(self._tasks, self._known, strict=True):
            if found is None:
                unknown.append(task)
        self._recall.keep(unknown, values)
