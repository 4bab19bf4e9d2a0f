"""Hundreds of faults of each kind.   python tests/faults/campaign.py [--only KIND] [--times N]
[--seed S]
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import functools
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import scenarios

Scenario = Callable[[random.Random, Path], str]

KINDS: dict[str, tuple[int, Scenario]] = {
    "whole-job": (200, scenarios.whole_job),
    "one-worker": (100, scenarios.one_worker),
    "pool-workers": (30, scenarios.pool_workers),
    "pool-rank": (30, scenarios.pool_rank),
    "worker-start": (60, scenarios.worker_start),
    "start-lost": (40, scenarios.start_lost),
    "sigterm": (50, functools.partial(scenarios.told_to_stop, number=signal.SIGTERM)),
    "sigint": (50, functools.partial(scenarios.told_to_stop, number=signal.SIGINT)),
    "sigusr1": (50, functools.partial(scenarios.told_to_stop, number=signal.SIGUSR1)),
}
if scenarios.IS_OPEN_MPI:
    for number in (signal.SIGTERM, signal.SIGINT):
        KINDS[number.name.lower()] = (
            50,
            functools.partial(scenarios.ended_by_its_launcher, number=number),
        )
    KINDS["one-rank-ulfm"] = (100, scenarios.one_rank_survived)
else:
    KINDS["one-rank"] = (50, scenarios.one_rank_fatal)


def main() -> int:
    """Run each kind so many times; print what came of it, and how often it went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", choices=[*KINDS, "full-disk", "truncated", "flipped"], action="append"
    )
    parser.add_argument("--times", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = dict(KINDS)
        sizes = [*range(4, 64, 6), *range(64, 400, 34)]  # KiB
        if scenarios.may_mount():
            kinds["full-disk"] = (
                len(sizes),
                lambda rng, folder: scenarios.full_disk(rng, folder, sizes[rng.number]),
            )
        for how in ("truncated", "flipped"):
            kinds[how] = (100, functools.partial(_damaged, how=how))
        for kind, (times, scenario) in kinds.items():
            if not options.only or kind in options.only:
                failures += repeat(kind, options.times or times, scenario, folder, options.seed)
    return 1 if failures else 0


def _damaged(rng: random.Random, folder: Path, how: str) -> str:
    return scenarios.damaged(rng, folder, _stopped(folder), how)


@functools.cache
def _stopped(folder: Path) -> Path:
    return scenarios.stopped_run(folder)


class Numbered(random.Random):
    """A generator that knows the number of the trial."""

    number = 0


def repeat(kind: str, times: int, scenario: Scenario, folder: Path, seed: int) -> int:
    """Let a scenario happen so many times; return how often it went wrong."""
    began, wrong, seen = time.monotonic(), 0, collections.Counter[str]()
    for number in range(times):
        rng = Numbered(f"{seed} {kind} {number}")
        rng.number = number
        try:
            told = scenario(rng, folder)
            scenarios.nothing_is_left()
        except Exception as error:
            wrong += 1
            told = f"WRONG: {type(error).__name__}: {error}"
            with contextlib.suppress(AssertionError):
                scenarios.nothing_is_left()  # ends what is
        seen[told.rpartition(": ")[2] if kind in ("truncated", "flipped") else "done"] += 1
        print(f"  {kind} {number + 1}/{times}: {told}", flush=True)
    details = ", ".join(f"{count} {what}" for what, count in sorted(seen.items()))
    print(
        f"{kind}: {times} times, {wrong} wrong, {time.monotonic() - began:.0f} s ({details})",
        flush=True,
    )
    return wrong


if __name__ == "__main__":
    sys.exit(main())
