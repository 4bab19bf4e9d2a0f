"""What a job needs, as options of sbatch."""

from __future__ import annotations

from typing import Any

from mpipar.batch.scheduler import Request
from mpipar.batch.task_numbers import ranges

OWN_KEYS = {
    "job-name": "name",
    "array": "array.tasks",
    "output": "output.folder",
    "nodes": "resources.nodes",
    "ntasks": "resources.ranks",
    "ntasks-per-node": "resources.ranks_per_node",
    "time": "resources.time",
    "cpus-per-task": "resources.cores_per_rank",
    "mem": "resources.memory",
    "partition": "resources.partition",
    "account": "resources.account",
    "gpus-per-node": "resources.gpus_per_node",
    "signal": "restart.warn",
    "requeue": "restart.requeue",
    "no-requeue": "restart.requeue",
    "no-kill": "restart.lost_nodes",
}
"""Options that job files have keys of their own for."""

_RESERVED = (
    *("wrap", "parsable", "test-only", "wait", "help", "usage", "version"),
    *("open-mode", "error", "chdir", "dependency", "hold", "quiet", "verbose"),
    *("ignore-pbs", "export-file", "input", "uid", "gid", "clusters", "workdir"),
)
# Of other options these are the beginnings, which sbatch takes for the whole.
_WHOLE = ("export", "gpus")


def refusal(option: str) -> str:
    """Return why an option is not for job files and site profiles, be it an abbreviation of one;
    empty if it is.
    """
    if option in _WHOLE:
        return ""
    names = [name for name in (*OWN_KEYS, *_RESERVED) if name.startswith(option)]
    if not names:
        return ""
    name = option if option in names else names[0]
    if name in OWN_KEYS:
        return f"use {OWN_KEYS[name]}"
    return "can't be set here; mpipar needs it itself"


def options(wanted: Request) -> list[str]:
    """Return the options of sbatch for a job."""
    values: dict[str, Any] = {
        "job-name": wanted.name,
        "output": _log(wanted),
        "open-mode": "append",
        "signal": f"B:USR1@{wanted.warn}",
        "requeue": wanted.requeue,
        "no-requeue": not wanted.requeue,
        "no-kill": wanted.may_lose_nodes,
        "array": _array(wanted),
        "nodes": wanted.nodes,
        "ntasks": wanted.ranks,
        "ntasks-per-node": wanted.ranks_per_node,
        "cpus-per-task": wanted.cores_per_rank,
        "exclusive": wanted.whole_nodes,
        "gpus-per-node": wanted.gpus_per_node,
        "mem": wanted.memory,
        "time": wanted.time,
        "partition": wanted.partition,
        "account": wanted.account,
        **wanted.own_options,
    }
    words = [_word(name, value) for name, value in values.items() if _is_given(value)]
    if wanted.after:
        words.append(f"--dependency=afterok:{':'.join(wanted.after)}")
        words.append("--kill-on-invalid-dep=yes")
    return words


def _log(wanted: Request) -> str:
    folder = wanted.folder.replace("%", "%%")
    number = "%A_%a" if wanted.tasks else "%j"
    # Not %x: the user may give the job another name while it waits.
    return f"{folder}/{wanted.name}-{number}.out"


def _array(wanted: Request) -> str:
    if not wanted.tasks:
        return ""
    limit = f"%{wanted.at_once}" if wanted.at_once else ""
    return ranges(wanted.tasks) + limit


def _word(name: str, value: Any) -> str:
    return f"--{name}" if value is True else f"--{name}={value}"


def _is_given(value: Any) -> bool:
    return value not in (None, "") and value is not False
