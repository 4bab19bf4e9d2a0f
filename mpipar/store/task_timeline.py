"""Who evaluated which tasks of a script when, from its log."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpipar.runtime.timeline import MOST_SPANS_OF_ALL, SHORTEST_SPAN
from mpipar.store.stored_calls import Array
from mpipar.store.task_log import Logged, TaskSpan
from mpipar.store.task_tables import SPANS, WORKERS


def workers_of(logged: Logged) -> Array:
    """Return what each worker of a run did."""
    rows = np.zeros(len(logged.workers), [*WORKERS.items()])
    for row, (rank, worker) in zip(rows, logged.workers, strict=True):
        row["rank"], row["worker"] = rank, worker
    for span in logged.spans:
        row = rows[span.worker]
        row["tasks"] += span.tasks
        row["seconds"] += span.seconds
        row["longest"] = max(row["longest"], span.seconds / span.tasks)
    return rows


def last_end(logged: Logged) -> float:
    """Return when the last task of a run came to its end, in seconds since 1970."""
    end = logged.begin
    for span in logged.spans:
        end = max(end, span.end)
    return end


def timeline_of(logged: Logged) -> Array:
    """Return when each worker of a run did what, with times from its begin on."""
    spans = sorted(logged.spans, key=lambda span: (span.worker, span.end))
    shortest = SHORTEST_SPAN
    while len(spans) > MOST_SPANS_OF_ALL:
        spans = _thinned(spans, shortest)
        shortest *= 2
    rows = np.zeros(len(spans), [*SPANS.items()])
    for row, span in zip(rows, spans, strict=True):
        end = span.end - logged.begin
        row["worker"], row["call"], row["first"], row["tasks"] = span[:4]
        row["begin"], row["end"] = end - span.seconds, end
    return rows


def _thinned(spans: Sequence[TaskSpan], shortest: float) -> list[TaskSpan]:
    """Return fewer spans: short ones that follow each other are made one."""
    fewer: list[TaskSpan] = []
    for span in spans:
        if fewer and _are_one(fewer[-1], span, shortest):
            last = fewer.pop()
            begin = last.end - last.seconds
            span = last._replace(
                tasks=last.tasks + span.tasks, end=span.end, seconds=span.end - begin
            )
        fewer.append(span)
    return fewer


def _are_one(last: TaskSpan, span: TaskSpan, shortest: float) -> bool:
    if last.worker != span.worker:
        return False
    between = span.end - span.seconds - last.end
    return max(last.seconds, span.seconds) < shortest and between < shortest / 10
