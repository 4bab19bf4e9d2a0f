"""What a run prints: a few lines of text, or one JSON object."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mpipar._version import __version__
from mpipar.base.text import distinct_names, items_in_blocks, several
from mpipar.core.devices.compiled import COMPILED
from mpipar.runtime.failure import Skipped
from mpipar.runtime.result import Result

MOST_SKIPPED_SHOWN = 20
"""So many skipped blocks are told one by one."""

_SKIPPED = ("block", "start", "stop", "reason")


def as_json(result: Result) -> str:
    """Return a result as one line of JSON. Floats round-trip; NaN and infinities, which JSON
    hasn't, are null.
    """
    import json  # text is what most ask for

    return json.dumps(
        {
            "driver": result.name,
            "value": plain(result.value),
            "error": plain(result.error),
            "n": result.plan.n,
            "block": result.plan.block,
            "n_blocks": result.plan.n_blocks,
            "seed": result.seed,
            "device": result.device,
            "gpus": sorted(set(result.gpus)),
            "simd": result.simd,
            "compile_seconds": result.compile_seconds,
            "ranks": result.ranks,
            "workers": result.workers,
            "nodes": result.nodes,
            "schedule": result.schedule,
            "elapsed": result.elapsed,
            "evaluated_blocks": result.evaluated_blocks,
            "resumed_blocks": result.resumed_blocks,
            "retried_blocks": result.retried_blocks,
            "skipped_blocks": len(result.skipped),
            "skipped": [dict(zip(_SKIPPED, block, strict=False)) for block in result.skipped],
            "lost_ranks": result.lost_ranks,
            "lost_workers": result.lost_workers,
            "imbalance": result.imbalance,
            "lower_bound": result.lower_bound,
            "parameters": plain(result.parameters),
            "mpi": result.library or None,
            "mpipar": __version__,
        },
        allow_nan=False,
    )


def as_text(result: Result, *, device: bool = False) -> str:
    """Return a result as a few lines for people; ``device`` is whether to name the CPU, if it was
    that.
    """
    plan = result.plan
    lines = value_lines(result.name, result.value, result.error)
    problem = items_in_blocks(plan.n, plan.n_blocks, plan.block)
    lines.append(f"{problem}, {result.schedule} schedule")
    if result.resumed_blocks:
        before = result.resumed_blocks
        here = result.evaluated_blocks
        lines.append(f"{before:_} blocks were done before, {here:_} in this run")
    took = f"{_where(result, device)}: {result.elapsed:.3f} s"
    if result.elapsed > 0:
        took += f", {plan.n / result.elapsed:.3g} items/s"
    lines.append(took)
    if len(result.records) > 1:
        balance = f"imbalance {result.imbalance:.3f} (longest time in kernels over the mean)"
        if result.lower_bound > 0:
            balance += f", {result.elapsed / result.lower_bound:.3f} × the lower bound"
        lines.append(balance)
    return "\n".join(lines)


def _where(result: Result, device: bool) -> str:
    where = f"{several(result.ranks, 'rank')} × {several(result.workers, 'worker')}"
    where += f" on {several(result.nodes, 'node')}"
    if result.gpus:
        where += f", on GPUs ({', '.join(sorted(set(result.gpus)))})"
    elif result.device == COMPILED.name:
        where += COMPILED.where
    elif device:
        where += f", on the {result.device.upper()}"
    if result.library:
        where += f" ({result.library})"
    return where


def value_lines(name: str, value: Any, error: Any) -> list[str]:
    """Return a value, with its error if that is a number."""
    if isinstance(value, Mapping):
        lines = [f"{name}:"]
        for key, item in value.items():
            lines.append(f"  {key} = {shown(item)}")
    else:
        lines = [f"{name} = {shown(value)}"]
    if isinstance(error, float):
        lines[0] += f" ± {error:.2g}"
    return lines


def skipped_lines(result: Result) -> list[str]:
    """Return a line for each of the first blocks that were skipped, and what items the others
    have.
    """
    first = result.skipped[:MOST_SKIPPED_SHOWN]
    lines = []
    for block in first:
        items = f"items {block.start} to {block.stop - 1}"
        lines.append(f"skipped block {block.block} ({items}): {block.reason}")
    if len(result.skipped) > len(first):
        more = result.skipped[len(first) :]
        lines.append(f"skipped {several(len(more), 'more block')}: items {_ranges(more)}")
    return lines


def _ranges(skipped: Sequence[Skipped]) -> str:
    """Return which items blocks have, "0 to 9, 30 to 49", as many as fit into a line."""
    joined: list[list[int]] = []
    for block in skipped:
        if joined and joined[-1][1] == block.start:
            joined[-1][1] = block.stop
        else:
            joined.append([block.start, block.stop])
    told = ", ".join(_range(start, stop) for start, stop in joined[:MOST_SKIPPED_SHOWN])
    left_out = len(joined) - MOST_SKIPPED_SHOWN
    if left_out > 0:
        told += f" and {left_out} more ranges"
    return told


def _range(start: int, stop: int) -> str:
    if stop - start > 1:
        return f"{start} to {stop - 1}"
    return f"{start}"


def plain(value: Any) -> Any:
    """Return a value as what JSON has: null, true, numbers, text, lists and objects."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = _items_of(value)
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        names = distinct_names(value)
        return {name: plain(item) for name, item in zip(names, value.values(), strict=True)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return _plain_scalar(value)


def _items_of(array: Any) -> Any:
    """Return what is in an array, or a number of NumPy, as values of Python.

    Times in units that Python has no type for are text: a bare number doesn't tell of what.
    """
    if array.dtype.kind not in "mM":
        return array.tolist()
    times = np.empty(array.size, object)
    times[:] = [_time(time) for time in np.ravel(array)]
    return times.reshape(array.shape).tolist()


def _time(time: Any) -> Any:
    if np.ma.is_masked(time):
        return None
    made = time.item()
    return str(time) if isinstance(made, int) else made


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def shown(value: Any) -> str:
    """Return a value as people read it; large arrays are cut short."""
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape}\n{np.array2string(value, threshold=20, edgeitems=4)}"
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {shown(item)}" for key, item in value.items())
    return str(value)
