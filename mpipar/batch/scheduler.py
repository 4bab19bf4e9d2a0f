"""What mpipar asks of a batch system, whichever it is.

::

    from outside   options ─▶ test, submit ─▶ states, why_pending ─▶ signal, cancel
    in a job       allocation ─▶ starter ─▶ times, nodes, lost_nodes ─▶ requeue, end

Slurm answers in :mod:`mpipar.batch.slurm`; docs/decisions/schedulers.md says what others would.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mpipar.base.errors import MpiparError
from mpipar.base.exit_codes import BAD_INPUT
from mpipar.batch.allocation import Allocation
from mpipar.batch.job_state import JobState


class SchedulerUnavailable(MpiparError, RuntimeError):
    """The scheduler's programs aren't here, or it doesn't answer."""


class AccountsUnavailable(SchedulerUnavailable):
    """What keeps jobs that ended long ago doesn't answer.

    Attributes
    ----------
    found : dict
        {id: state} of all that waits or runs, and of what has just ended.
    """

    def __init__(self, message: str, found: dict[str, JobState]) -> None:
        super().__init__(message)
        self.found = found


class SubmitRefused(MpiparError, RuntimeError):
    """The scheduler doesn't take a job; the message is its own."""

    exit_code = BAD_INPUT


@dataclass(frozen=True)
class Request:
    """What a job wants of the scheduler; None, 0 and an empty text ask for nothing.

    Attributes
    ----------
    name, folder : str
        The job's name; where its log goes, as ``NAME-NUMBER.out`` or ``NAME-NUMBER_TASK.out``.
    nodes, ranks, ranks_per_node, cores_per_rank, gpus_per_node : int or None
    whole_nodes : bool
        Whether no other job may be on its nodes.
    memory, time, partition, account : str
        As in job files.
    warn : int
        Seconds before the end of its time at which it is sent SIGUSR1.
    requeue : bool
        Whether it may be run again.
    may_lose_nodes : bool
        Whether it goes on when nodes are lost.
    tasks : list of int
        The tasks of an array; empty if it is none.
    at_once : int
        How many of these may run at a time; 0 if all may.
    after : list of str
        Numbers of the jobs that must have ended well before.
    own_options : dict
        More options, which are the scheduler's own, and win.
    """

    name: str
    folder: str
    nodes: int | None = None
    ranks: int | None = None
    ranks_per_node: int | None = None
    cores_per_rank: int | None = None
    gpus_per_node: int | None = None
    whole_nodes: bool = False
    memory: str = ""
    time: str = ""
    partition: str = ""
    account: str = ""
    warn: int = 120
    requeue: bool = True
    may_lose_nodes: bool = False
    tasks: list[int] = field(default_factory=list)
    at_once: int = 0
    after: list[str] = field(default_factory=list)
    own_options: dict[str, Any] = field(default_factory=dict)


class Times(NamedTuple):
    """When a job was started, is to end, and was told to make room for another, in seconds since
    1970, if so.
    """

    start: float | None
    end: float | None
    preempted: float | None


class Answer(NamedTuple):
    """What came of a job's wish to be run again, or to end.

    Attributes
    ----------
    command : str
        What was run, for the log.
    problem : str
        Why it won't be done; empty if it will.
    is_away : bool
        Whether there was nobody who could have refused: it may be asked again.
    is_refused : bool
        Whether it is refused for good. A problem that is neither may be either.
    """

    command: str
    problem: str = ""
    is_away: bool = False
    is_refused: bool = False


class Accepted(NamedTuple):
    """A job that was submitted.

    Attributes
    ----------
    id : str
        Its number.
    said : str
        What the scheduler, or the site, had to say of it; empty if nothing.
    """

    id: str
    said: str = ""


class Starter(Protocol):
    """The scheduler's own program that starts ranks within a job, and what it reads."""

    @property
    def program(self) -> str:
        """Its name; empty if there is none."""

    @property
    def cores_variable(self) -> str:
        """What a rank reads its number of cores from; empty if there is no such variable."""

    @property
    def of_each_rank(self) -> tuple[str, ...]:
        """The variables by which this program gives what it starts the share of one rank."""

    def options(self, given: Allocation, *, whole: bool) -> list[str]:
        """Return its options for all ranks; ``whole`` is whether these are all nodes of the job."""

    def environment(self, around: Mapping[str, str]) -> dict[str, str]:
        """Return the environment for a launcher of ranks, from the job's own."""


class Scheduler(Protocol):
    """A batch system.

    What it can't be asked in time is :class:`SchedulerUnavailable`. It is everybody's: each method
    asks at most a few times, of all jobs at once.
    """

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def options_table(self) -> str:
        """The table of job files and site profiles that has its own options."""

    @property
    def script_name(self) -> str:
        """The name of the script in the folder of a job."""

    @property
    def warning_option(self) -> str:
        """What a user sets the seconds by at which a job is warned of its end."""

    @property
    def starter(self) -> Starter:
        """What starts ranks within its jobs, unless an mpirun does."""

    # From outside of jobs.

    def cluster(self) -> str:
        """Return which cluster is in use: its name, or if that can't be asked the file that says
        it.
        """

    def environment(self) -> dict[str, str]:
        """Return the environment for programs that are no part of the job that this process is in,
        if it is.
        """

    def refusal(self, option: str) -> str:
        """Return why an option of its own can't be given by a user; empty if it can."""

    def options(self, wanted: Request) -> list[str]:
        """Return a request as its own options. Pure."""

    def script(self, prologue: str) -> str:
        """Return the batch script that executes its arguments, after some lines of shell. Pure."""

    def command(self, options: Sequence[str], script: Path, arguments: Sequence[str]) -> list[str]:
        """Return the command that submits a script. Pure."""

    def submit(self, command: Sequence[str]) -> Accepted:
        """Submit by such a command.

        Raises
        ------
        SubmitRefused
            If it isn't taken.
        SchedulerUnavailable
            If that isn't known: it may have been submitted, too.
        """

    def test(self, options: Sequence[str]) -> str:
        """Return what is said of when a job with such options would start. Raises SubmitRefused if
        it would not.
        """

    def remarks(self, wanted: Request, launcher: str) -> list[str]:
        """Return what the site's configuration means for a job, a line each; nothing where it
        can't be asked in time.

        ``launcher`` is what starts its ranks, as in site profiles.
        """

    def states(self, ids: Iterable[str]) -> dict[str, JobState]:
        """Return {id: state} of jobs, arrays and tasks ("12_3"), as far as they are remembered.

        Of an array there is each task, and under its own number those that ended before they were
        started. Raises AccountsUnavailable if what isn't there may be remembered still.
        """

    def why_pending(self, reason: str) -> str:
        """Return a :attr:`JobState.reason` in plain words, with the scheduler's own. Pure."""

    def cancel(self, ids: Iterable[str], *, waiting_only: bool = False) -> None:
        """End jobs, arrays and tasks; ones that have ended are no error.

        With ``waiting_only`` jobs that run are left alone, but for a task that is named.
        """

    def signal(self, ids: Iterable[str]) -> None:
        """Send SIGTERM to the batch scripts of jobs and tasks that run, once: not to their
        ranks.
        """

    def about(self) -> Iterator[tuple[str, str]]:
        """Yield what there is of it on this machine, and of its job around this process: names and
        values.
        """

    # From within a job.

    def allocation(self) -> Allocation:
        """Return what this job was given. Raises BadInput if this isn't a job."""

    def times(self, id: str) -> Times | None:
        """Return the times of a job; None if it isn't known, or can't be asked now."""

    def nodes(self, id: str) -> set[str]:
        """Return the nodes that a job has now; none if that isn't known, or can't be asked."""

    def lost_nodes(self, nodes: Sequence[str]) -> set[str]:
        """Return those of some nodes of this job that don't run a program within some seconds."""

    def requeue(self, id: str) -> Answer:
        """Ask, once, that this job be ended and run again."""

    def end(self, id: str) -> Answer:
        """Ask, once, that this job be ended as cancelled."""
