"""A scheduler in memory, of another kind than Slurm: what all of mpipar must be able to use."""

from __future__ import annotations

import itertools
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mpipar.base.errors import BadInput
from mpipar.batch.allocation import Allocation
from mpipar.batch.job_state import JobState, Meaning
from mpipar.batch.scheduler import (
    Accepted,
    Answer,
    Request,
    SchedulerUnavailable,
    SubmitRefused,
    Times,
)

STATES = {
    "Q": Meaning("waiting", "waiting"),
    "R": Meaning("running", "running"),
    "S": Meaning("suspended", "suspended"),
    "F": Meaning("completed", "completed"),
    "D": Meaning("cancelled", "deleted"),
}


class NoStarter:
    """Ranks are started by an mpirun, or not at all."""

    program = ""
    cores_variable = ""
    of_each_rank = ()

    def options(self, given: Allocation, *, whole: bool) -> list[str]:
        return []

    def environment(self, around: Mapping[str, str]) -> dict[str, str]:
        return dict(around)


class FakeScheduler:
    """Jobs wait until a test changes their states: ``jobs["12"] = jobs["12"]._replace(…)``.

    Attributes
    ----------
    jobs : dict
        {id: state} of what was submitted.
    scripts : list of list of str
        The commands that were submitted.
    told : list of tuple
        What jobs were told to do: ("signal", id), ("cancel", id), ("requeue", id), ("end", id).
    left : list of str
        The nodes that jobs have; none if nobody knows.
    is_away, refuses : bool
        Whether it doesn't answer; whether it takes no jobs.
    """

    name = "Fake"
    options_table = "fsub"
    script_name = "job.fsub"
    warning_option = "-w"
    starter = NoStarter()

    def __init__(self) -> None:
        self.jobs: dict[str, JobState] = {}
        self.scripts: list[list[str]] = []
        self.told: list[tuple[str, str]] = []
        self.left: list[str] = []
        self.is_away = self.refuses = False
        self._numbers = itertools.count(70)

    def cluster(self) -> str:
        return "fake"

    def environment(self) -> dict[str, str]:
        return {}

    def refusal(self, option: str) -> str:
        return "" if option.startswith("x-") else "can't be set here"

    def options(self, wanted: Request) -> list[str]:
        given = {"N": wanted.name, "A": wanted.account, "l": wanted.time}
        return [word for name, value in given.items() if value for word in (f"-{name}", value)]

    def script(self, prologue: str) -> str:
        return f'#!/bin/sh\n{prologue}\nexec "$@"\n'

    def command(self, options: Sequence[str], script: Path, arguments: Sequence[str]) -> list[str]:
        return ["fsub", *options, str(script), shlex.join(arguments)]

    def submit(self, command: Sequence[str]) -> Accepted:
        self.test(command)
        id = str(next(self._numbers))
        name = command[command.index("-N") + 1]
        self.scripts.append(list(command))
        self.jobs[id] = JobState(
            id, name, "Q", "full", "", 0.0, 60.0, 0, None, time.time(), None, None, STATES["Q"]
        )
        return Accepted(id)

    def test(self, options: Sequence[str]) -> str:
        if self.is_away:
            raise SchedulerUnavailable("fsub: nobody is there")
        if self.refuses:
            raise SubmitRefused("fsub: not today")
        return "it would start"

    def remarks(self, wanted: Request, launcher: str) -> list[str]:
        return [f"{wanted.name} is taken as it is"] if wanted.account else []

    def states(self, ids: Iterable[str]) -> dict[str, JobState]:
        if self.is_away:
            raise SchedulerUnavailable("fstat: nobody is there")
        wanted = set(ids)
        return {id: self.jobs[id] for id in self.jobs if wanted & {id, id.partition("_")[0]}}

    def why_pending(self, reason: str) -> str:
        return f"it waits ({reason})"

    def cancel(self, ids: Iterable[str], *, waiting_only: bool = False) -> None:
        for id, state in self.states(ids).items():
            if state.kind == "waiting" or not waiting_only:
                self.become(id, "D")
                self.told.append(("cancel", id))

    def signal(self, ids: Iterable[str]) -> None:
        self.told += [("signal", id) for id in ids]

    def about(self) -> Iterator[tuple[str, str]]:
        yield "Fake", "in memory"

    def allocation(self) -> Allocation:
        raise BadInput("this is for jobs of Fake")

    def times(self, id: str) -> Times | None:
        return Times(None, None, None) if id in self.jobs else None

    def nodes(self, id: str) -> set[str]:
        return set(self.left)

    def lost_nodes(self, nodes: Sequence[str]) -> set[str]:
        return set()

    def requeue(self, id: str) -> Answer:
        self.told.append(("requeue", id))
        return Answer(f"frerun {id}", "nobody is there" * self.is_away, self.is_away)

    def end(self, id: str) -> Answer:
        self.told.append(("end", id))
        return Answer(f"fdel {id}", "nobody is there" * self.is_away, self.is_away)

    def become(self, id: str, state: str) -> None:
        """Let a job be in another state."""
        meaning = STATES[state]
        self.jobs[id] = self.jobs[id]._replace(state=state, meaning=meaning, reason="")
