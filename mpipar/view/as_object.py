"""What ``mpipar show --json`` prints: all of a file as what JSON has."""

from __future__ import annotations

from typing import Any

from mpipar.store.script_summary import ScriptSummary
from mpipar.store.summary import Study, Summary, Table, Unfinished
from mpipar.view.other_files import resume_command
from mpipar.view.result_text import plain


def as_object(found: Summary | Unfinished | Study) -> dict[str, Any]:
    """Return all of it as what JSON has; the names are those of a run's own ``--json``."""
    if isinstance(found, ScriptSummary):
        return _script(found)
    if isinstance(found, Study):
        return {
            "file": str(found.path),
            "kind": "study",
            "runs": found.runs,
            "about": plain(found.about),
            "table": plain(found.table),
        }
    if isinstance(found, Unfinished):
        return {
            "file": str(found.path),
            "kind": "unfinished",
            **found.progress._asdict(),
            "identity": plain(found.identity),
            "writer": found.writer,
            "resume": resume_command(found),
        }
    return _result(found)


def _script(found: ScriptSummary) -> dict[str, Any]:
    return {
        "file": str(found.path),
        "kind": "script",
        "finished": found.finished,
        "done": found.done,
        "tasks": int(found.calls["tasks"].sum()),
        "about": plain(found.about),
        "committed": found.committed,
        "writer": found.writer,
        "ranks": found.ranks,
        "workers": found.workers,
        "nodes": found.nodes,
        "elapsed": found.elapsed,
        "imbalance": found.imbalance,
        "longest_task": found.longest_block,
        "calls": _objects(found.calls),
        "per_rank": _objects(_renamed(found.per_rank)),
        "per_worker": _objects(_renamed(found.processes)),
        "spans": 0 if found.timeline is None else len(found.timeline),
        "bytes": found.size,
    }


def _renamed(table: Table) -> Table:
    """Return a table of a script with the names that its columns have there."""
    names = {"blocks": "tasks", "pid": "worker"}
    renamed = table.copy()
    renamed.dtype.names = tuple(names.get(name, name) for name in table.dtype.names or ())
    return renamed


def _result(found: Summary) -> dict[str, Any]:
    made = found.provenance
    mean_finish = last_finish = spans = None
    if len(found.finishes):
        mean_finish = float(found.finishes.mean())
        last_finish = float(found.finishes.max())
    if found.timeline is not None:
        spans = len(found.timeline)
    return {
        "file": str(found.path),
        "kind": "result",
        "driver": found.name,
        "value": plain(found.value),
        "error": plain(found.error),
        "n": found.plan.n,
        "block": found.plan.block,
        "n_blocks": found.plan.n_blocks,
        "seed": found.seed,
        "ranks": found.ranks,
        "workers": found.workers,
        "nodes": found.nodes,
        "schedule": found.schedule,
        "elapsed": found.elapsed,
        "resumed_blocks": found.resumed_blocks,
        "retried_blocks": found.retried_blocks,
        "skipped_blocks": found.run.trouble.skipped_blocks,
        "lost_ranks": found.lost_ranks,
        "lost_workers": found.lost_workers,
        "created": made.created,
        "device": found.device,
        "gpus": list(found.gpus),
        "simd": found.simd,
        "compile_seconds": found.compile_seconds,
        "evaluated_blocks": found.evaluated_blocks,
        "imbalance": found.imbalance,
        "lower_bound": found.lower_bound,
        "longest_block": found.longest_block,
        "mean_finish": mean_finish,
        "last_finish": last_finish,
        "parameters": plain(found.parameters),
        "versions": {
            "mpipar": made.mpipar,
            "mpi": found.library,
            "python": made.python,
            "numpy": made.numpy,
            "h5py": made.h5py,
        },
        "hosts": found.hosts,
        "per_rank": _objects(found.per_rank),
        "per_worker": _objects(found.processes),
        "skipped": _objects(found.skipped),
        "datasets": [rows._asdict() for rows in found.rows],
        "spans": spans,
        "bytes": found.size,
    }


def _objects(table: Table) -> list[dict[str, Any]]:
    names = table.dtype.names or ()
    return [plain(dict(zip(names, row, strict=True))) for row in table.tolist()]
