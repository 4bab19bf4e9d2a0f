"""All that is asked of Slurm and told to it, by its own programs.

Every call has a time limit, and all jobs are asked for at once: the controller is everybody's. ::

    states     squeue, of what the controller remembers; then sacct, of the rest, where the cluster keeps accounts
    cancel     scancel
    submit     sbatch
"""

from __future__ import annotations

import functools
import os
import re
import secrets
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from mpipar.base.errors import MpiparError
from mpipar.base.exit_codes import BAD_INPUT
from mpipar.batch.calls import PATIENCE, SHORT_PATIENCE, NoAnswer, ask, is_known_to_be_away, run
from mpipar.batch.calls import SlurmUnavailable as SlurmUnavailable
from mpipar.batch.calls import environment as environment
from mpipar.batch.job_state import JobState as JobState
from mpipar.batch.job_state import could_open, exit_code_of, seconds_of, time_of

_LONGEST = 500  # characters of a message
_SIGNAL_SECONDS = (
    4.0  # that scancel is given to signal: if Slurm isn't content, it signals again after 5 s
)
_AT_ONCE = 10  # jobs that scancel signals at once
_NOT_THERE = "Invalid job id specified"
_TOO_LATE = (
    _NOT_THERE,
    "already completing or completed",
    "Job has already finished",
    "No active jobs match",
)
_AWAY = (
    *(
        "Unable to contact slurm controller",
        "Unable to establish",
        "Connection refused",
        "Connection timed out",
    ),
    *(
        "Socket timed out",
        "Communication connection failure",
        "No route to host",
        "Zero Bytes were transmitted",
    ),
    *(
        "Transport endpoint is not connected",
        "backup controller in standby",
        "shutdown in progress",
    ),
    *("temporarily unable", "Protocol authentication error", "Munge encode failed"),
)
_SIGNALLED = ("try again later", "Transport/Job is in transition")
_SIGNALLED_CODES = (228, 229)  # of scancel, without a word


class SubmitRefused(MpiparError, RuntimeError):
    """Slurm doesn't take a job; the message is sbatch's own."""

    exit_code = BAD_INPUT


def cluster() -> str:
    """Return which Slurm is in use: its name, or where it can't be asked its configuration file,
    empty if not set.

    It is asked once.
    """
    return _cluster(
        *(os.environ.get(name, "") for name in ("SLURM_CONF", "SLURM_CLUSTERS", "PATH"))
    )


@functools.cache
def _cluster(configuration: str, clusters: str, path: str) -> str:
    try:
        said = ask("scontrol", "show", "config", timeout=PATIENCE / 2).stdout
    except SlurmUnavailable:
        said = ""
    found = re.search(r"^ClusterName\s*=\s*([^\s/]+)\s*$", said, re.MULTILINE)
    return found[1] if found else configuration


def states(ids: Iterable[str]) -> dict[str, JobState]:
    """Return what Slurm knows of jobs, with two calls at most.

    Parameters
    ----------
    ids : iterable of str
        Numbers of jobs, of whole arrays or of tasks ("12_3").

    Returns
    -------
    dict
        {id: state}: of an array each task, and under its own number those that ended before they
        were started. What nobody remembers is left out.

    Raises
    ------
    SlurmUnavailable
        If the controller doesn't answer, and accounts don't know either.
    """
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return {}
    found: dict[str, JobState] = {}
    problem: SlurmUnavailable | None = None
    try:
        found = _in_queue(wanted)
    except SlurmUnavailable as error:
        problem = error
    # The controller forgets the tasks of an array one by one.
    arrays = {id.partition("_")[0] for id in found if "_" in id}
    rest = [id for id in wanted if id not in found and ("_" in id or id not in arrays)]
    rest += [id for id in wanted if id in arrays]
    if rest:
        found = {**_accounted(rest), **found}
    if problem is not None and not found:
        raise problem
    return found


def state_of(found: dict[str, JobState], number: str, task: str = "") -> JobState | None:
    """Return the state of a job, or of a task of an array, from what :func:`states` returned.

    Whether it is the job that is meant, :func:`mpipar.batch.job_status.states_of` looks at.
    """
    return found.get(f"{number}_{task}", found.get(number)) if task else found.get(number)


class Times(NamedTuple):
    """When a job was started, is to end, and was told to make room for another, in seconds since
    1970, if so.
    """

    start: float | None
    end: float | None
    preempted: float | None


def times(id: str) -> Times | None:
    """Return the times of a job, or of a task; None if Slurm doesn't know it, or can't be asked."""
    mark = _mark()
    fields = ",".join(
        f"{field}:{mark}" for field in ("JobID", "StartTime", "EndTime", "PreemptTime", "Name")
    )
    try:
        ended = ask(
            "squeue", "--noheader", "--array", "--states=all", f"--jobs={id}", f"--Format={fields}"
        )
    except SlurmUnavailable:
        return None
    found = next(_records(ended.stdout, mark, 5), None)
    return Times(*map(time_of, found[1:4])) if found is not None else None


def is_away(problem: str) -> bool:
    """Return whether a program of Slurm has failed as the controller could not be asked, by what it
    says.
    """
    return any(text in problem for text in _AWAY)


def cancel(
    ids: Iterable[str],
    signal: str | None = None,
    batch: bool = False,
    only: Literal["PENDING"] | None = None,
) -> None:
    """Cancel jobs, or send those that run a signal, once; ones that have ended are no error.

    Parameters
    ----------
    ids : iterable of str
        Numbers of jobs, whole arrays or tasks.
    signal : str, optional
        What to send, such as "TERM"; if None, the jobs are cancelled.
    batch : bool
        Whether the batch script alone gets it, rather than all processes of the job.
    only : "PENDING", optional
        Leave jobs in other states alone; a task that is named ("12_3") is cancelled even if it has
        just started.

    Raises
    ------
    SlurmUnavailable
        If the controller doesn't answer, or refuses.
    """
    # A signal for a job that waits would make scancel try again for a minute, and signal the tasks
    # that run each time.
    ids = list(dict.fromkeys(ids))
    if signal is not None:
        for first in range(0, len(ids), _AT_ONCE):
            _signal(ids[first : first + _AT_ONCE], signal, batch)
        return
    # With a state, scancel ends all tasks of an array that wait, rather than the one that is named.
    tasks = [id for id in ids if only is None or "_" in id]
    for options, some in ([], tasks), ([f"--state={only}"], [id for id in ids if id not in tasks]):
        ended = run("scancel", *options, *some) if some else None
        if ended is not None and ended.returncode and not _all_of(ended.stderr, _TOO_LATE):
            raise _unavailable("scancel", ended)


def _signal(ids: list[str], signal: str, batch: bool) -> None:
    """Send a signal. Of an array of which other tasks wait, Slurm delivers it, and says that it
    can't be done now.
    """
    options = [*(["--batch"] if batch else []), f"--signal={signal}", "--state=RUNNING"]
    try:
        ended = run("scancel", *options, *ids, timeout=_SIGNAL_SECONDS)
    except NoAnswer:
        return
    known = ended.returncode in _SIGNALLED_CODES and not ended.stderr.strip()
    if ended.returncode and not known and not _all_of(ended.stderr, (*_TOO_LATE, *_SIGNALLED)):
        raise _unavailable("scancel", ended)


def submit(arguments: Sequence[str], timeout: float = 60.0) -> str:
    """Submit a batch job, and return its number.

    Raises
    ------
    SubmitRefused
        If Slurm doesn't take it.
    SlurmUnavailable
        If there is no sbatch, or it hasn't ended in time: the job may have been submitted then.
    """
    ended = run("sbatch", "--parsable", *arguments, timeout=timeout)
    number = ended.stdout.strip().splitlines()[-1].partition(";")[0] if ended.stdout.strip() else ""
    if ended.returncode and is_away(ended.stderr):
        raise _unavailable("sbatch", ended)
    if ended.returncode or not number.isdigit():
        raise SubmitRefused(f"sbatch: {_message(ended)}")
    return number


def test(arguments: Sequence[str]) -> str:
    """Ask whether Slurm would take a batch job, and return what it says of when that would start.

    Raises
    ------
    SubmitRefused
        If it would not.
    SlurmUnavailable
        If there is no sbatch, or it hasn't ended in time.
    """
    ended = run("sbatch", "--test-only", *arguments)
    if ended.returncode and is_away(ended.stderr):
        raise _unavailable("sbatch", ended)
    if ended.returncode:
        raise SubmitRefused(f"sbatch: {_message(ended)}")
    return _message(ended)


def tasks_of(text: str) -> list[str]:
    """Return the tasks of an array from what sbatch takes: "1-5:2,9%2" is 1, 3, 5 and 9; empty if
    it isn't that.
    """
    tasks: dict[str, None] = {}
    for part in text.partition("%")[0].split(","):
        found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?", part.strip())
        if found is None:
            return []
        first, last, step = found.groups()
        tasks |= dict.fromkeys(
            map(str, range(int(first), int(last or first) + 1, int(step or 1) or 1))
        )
    return list(tasks)


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as sbatch takes them, in order: "1-3,7" for 1, 2, 3 and 7."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in found)


_QUEUE_FIELDS = (
    *(
        "JobArrayID",
        "State",
        "Reason",
        "NodeList",
        "TimeUsed",
        "TimeLimit",
        "RestartCnt",
        "exit_code",
    ),
    *("SubmitTime", "StartTime", "EndTime", "Name"),
)
_ACCOUNT_FIELDS = (
    *("JobID", "State", "NodeList", "ElapsedRaw", "TimelimitRaw", "ExitCode"),
    *("Submit", "Start", "End", "JobName"),
)


def _in_queue(ids: list[str]) -> dict[str, JobState]:
    """Return what the controller remembers, ended jobs included."""
    mark = _mark()
    fields = ",".join(f"{field}:{mark}" for field in _QUEUE_FIELDS)
    ended = ask(
        "squeue",
        "--noheader",
        "--array",
        "--states=all",
        f"--jobs={','.join(ids)}",
        f"--Format={fields}",
    )
    if ended.returncode:
        if _all_of(
            ended.stderr, (_NOT_THERE,)
        ):  # what squeue says if it was asked for one job alone
            return {}
        raise _unavailable("squeue", ended)
    found = {}
    records = _records(ended.stdout, mark, 12)
    for (
        id,
        state,
        reason,
        nodes,
        used,
        limit,
        restarts,
        code,
        submitted,
        start,
        end,
        name,
    ) in records:
        found[id] = JobState(
            id,
            name.removesuffix(mark),
            state,
            "" if reason == "None" else reason,
            nodes,
            seconds_of(used) or 0.0,
            seconds_of(limit),
            int(restarts) if restarts.isdigit() else None,
            exit_code_of(state, code),
            *(time_of(submitted), time_of(start), time_of(end)),
            could_open(state, code),
        )
    return found


def _accounted(ids: list[str]) -> dict[str, JobState]:
    """Return what the accounts have; nothing where there are none."""
    mark = _mark()
    options = (
        "--allocations",
        "--noheader",
        "--parsable2",
        f"--delimiter={mark}",
        f"--jobs={','.join(ids)}",
    )
    try:
        patience = SHORT_PATIENCE if is_known_to_be_away() else PATIENCE
        ended = run("sacct", *options, f"--format={','.join(_ACCOUNT_FIELDS)}", timeout=patience)
    except SlurmUnavailable:
        return {}
    found = {}
    for listed, state, nodes, elapsed, minutes, code, submitted, start, end, name in _records(
        ended.stdout, mark, 10
    ):
        state = state.partition(" ")[0]  # "CANCELLED by 1000"
        number, _, bracket = listed.partition("_[")
        limit = 60.0 * int(minutes) if minutes.isdigit() else None
        nodes = "" if nodes == "None assigned" else nodes
        for id in (
            [f"{number}_{task}" for task in tasks_of(bracket.rstrip("]"))] if bracket else [listed]
        ):
            found[id] = JobState(
                id,
                name,
                state,
                "",
                nodes,
                float(elapsed) if elapsed.isdigit() else 0.0,
                limit,
                None,
                exit_code_of(state, code),
                *(time_of(submitted), time_of(start), time_of(end)),
                could_open(state, code),
            )
    return found


def _mark() -> str:
    """Return what to put between fields: nothing that anybody can put into the name of a job."""
    return f"~x{secrets.token_hex(6)}~"


def _records(text: str, mark: str, count: int) -> Iterator[list[str]]:
    """Yield the fields of each record; the last one is a name, which may have lines, and all else
    is left out.
    """
    begins = re.compile(rf"^(?=\d+(?:_\d+|_\[[^]\n]*\])?{re.escape(mark)})", re.MULTILINE)
    for record in begins.split(text):
        fields = record.rstrip("\n").split(mark, count - 1)
        if len(fields) == count:
            yield [field.strip() for field in fields[:-1]] + [fields[-1]]


def _unavailable(program: str, ended: subprocess.CompletedProcess[str]) -> SlurmUnavailable:
    return SlurmUnavailable(f"{program}: {_message(ended)}")


def _message(ended: subprocess.CompletedProcess[str]) -> str:
    """Return one line of what a program said: all its errors, without its name before each."""
    said = [
        re.sub(r"^(\w+: )?((error|fatal): )?", "", line.strip())
        for line in ended.stderr.splitlines()
    ]
    return (
        "; ".join(line for line in said if line)[:_LONGEST]
        or f"exit code {ended.returncode}, and not a word"
    )


def _all_of(text: str, known: tuple[str, ...]) -> bool:
    """Return whether there is a line, and each has one of some texts in it."""
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and all(any(part in line for part in known) for line in lines)
