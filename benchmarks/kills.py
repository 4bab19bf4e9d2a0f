"""What becomes of a pool when one of its workers is killed, as by the kernel where memory is
short.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from common import Effort, Finished, Table, finished, say, shown
from entrants import LOCAL, OTHERS, OVER_RANKS, Entrant

WORKERS = 2
LIMIT = 15.0  # seconds from the pool's first results, for what takes one or two undisturbed
TEXT = f"""Twelve tasks of 0.1 s on {WORKERS} workers; the fourth kills its process with SIGKILL, once. “Hangs”
means that there was neither a result nor an exception within {LIMIT:.0f} s of the pool's first results. mpipar over
ranks loses a worker process here, not a rank: what becomes of a killed rank is in [faults.md](faults.md). MPI's own
ranks are the workers of mpi4py.futures and MPIPool."""


def verdict(ended: Finished) -> str:
    """Return what a pool has made of a killed worker."""
    said = ""
    for line in ended.stdout.splitlines():
        if line.startswith('{"killed"'):
            said = json.loads(line)["killed"]
    if said:
        return said + (", and then hangs" if ended.code is None else "")
    return "hangs" if ended.code is None else f"the job ends, exit code {ended.code}"


def one(entrant: Entrant, quick: bool) -> list[str | float]:
    """Return the line of an entrant: its name, what happened, and the seconds until then."""
    title = entrant.title(WORKERS)
    if entrant.reason_to_leave_out:
        return [title, entrant.reason_to_leave_out, "", ""]
    with tempfile.TemporaryDirectory() as folder:
        flag = Path(folder) / "killed-once"
        command = entrant.command(WORKERS, "killed", quick=quick)
        ended = finished(command, LIMIT, begins='{"first"', MPIPAR_BENCH_FLAG=str(flag))
        what = verdict(ended) if flag.exists() else f"no task was begun: {ended.reason()}"
    say(f"  {title}: {what}")
    return [title, what, round(ended.seconds, 1), shown(entrant.command(WORKERS, "killed"))]


def measure(effort: Effort) -> Table:
    """Kill a worker of each."""
    head = ["pool", "when a worker is killed", "whole command, s"]
    wanted = [
        LOCAL,
        OVER_RANKS,
        *(one for one in OTHERS if one.more_ranks == one.managers and "backoff" not in one.label),
    ]
    if effort.quick:  # some hang
        wanted = wanted[:2] + [one for one in OTHERS if one.adapter == "futures"]
    lines = [one(entrant, effort.quick) for entrant in wanted]
    table = Table("kills", "A killed worker", TEXT, head=head, cells=[line[:3] for line in lines])
    table.commands = [str(line[3]) for line in lines if line[3]]
    return table
