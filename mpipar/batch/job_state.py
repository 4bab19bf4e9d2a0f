"""The state of a job, whichever scheduler tells it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["waiting", "running", "ended"]
Phase = Literal[
    "waiting",
    "running",
    "suspended",
    "busy",
    "elsewhere",
    "completed",
    "cancelled",
    "failed",
    "killed",
]

_KINDS: dict[Phase, Kind] = {
    "waiting": "waiting",
    "running": "running",
    "suspended": "running",
    "busy": "running",
    "elsewhere": "running",
    "completed": "ended",
    "cancelled": "ended",
    "failed": "ended",
    "killed": "ended",
}


class Meaning(NamedTuple):
    """What a scheduler's name of a state means.

    Attributes
    ----------
    phase : str
        Of one that has nodes: "running" if its processes run, "suspended" if they are stopped,
        "busy" while it is being started, changed or ended, "elsewhere" if a scheduler has it that
        isn't asked: it may have ended, too. Of one that has ended: "completed" if
        its processes ended it well, "failed" if they didn't, "cancelled" if somebody ended it,
        "killed" if the scheduler did, or a node was lost.
    words : str
        The state in plain words.
    """

    phase: Phase
    words: str

    @property
    def kind(self) -> Kind:
        """Whether a job waits, has nodes, or has ended."""
        return _KINDS[self.phase]

    @property
    def good(self) -> bool:
        """Whether a job has ended well."""
        return self.phase == "completed"


class JobState(NamedTuple):
    """What the scheduler says of a job, or of one task of an array.

    Attributes
    ----------
    id : str
        Its number; of a task such as "12_3".
    name : str
        Its name.
    state : str
        The scheduler's name of its state.
    reason : str
        Why it waits, in the scheduler's word; empty if there is none.
    nodes : str
        The nodes it has or had, such as "n[1-4]".
    elapsed : float
        Seconds it has run, since it was last started.
    limit : float or None
        Seconds it may run; None if there is no limit.
    restarts : int or None
        How often it has been requeued; None if the scheduler no longer knows.
    exit_code : int or None
        Of one that has ended; 128 + n for signal n, as shells have it.
    submitted, start, end : float or None
        When, in seconds since 1970; of one that waits or runs the last is what is expected.
    meaning : Meaning
        What the state means.
    may_be_late : bool
        Whether accounts tell it, which hear of changes later.
    """

    id: str
    name: str
    state: str
    reason: str
    nodes: str
    elapsed: float
    limit: float | None
    restarts: int | None
    exit_code: int | None
    submitted: float | None
    start: float | None
    end: float | None
    meaning: Meaning
    may_be_late: bool = False

    @property
    def phase(self) -> Phase:
        """What it does, or how it has ended."""
        return self.meaning.phase

    @property
    def kind(self) -> Kind:
        """Whether it waits, runs or has ended."""
        return self.meaning.kind

    @property
    def words(self) -> str:
        """The state in plain words."""
        return self.meaning.words

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.kind == "ended"

    @property
    def good(self) -> bool:
        """Whether it has ended well."""
        return self.meaning.good


def state_of(found: dict[str, JobState], number: str, task: str = "") -> JobState | None:
    """Return the state of a job, or of a task of an array, from what a scheduler found.

    Whether it is the job that is meant, :func:`mpipar.batch.job_status.states_of` looks at.
    """
    if not task:
        return found.get(number)
    return found.get(f"{number}_{task}", found.get(number))
