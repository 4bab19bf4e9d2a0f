"""What a job runs on its first node: start the ranks, look after them, go on after what happens to
them.

``python -m mpipar.batch.step [options] -- ARGUMENTS OF PYTHON``.

::

    Slurm ─ USR1, TERM ─▶ step ─ USR1 ─▶ mpirun, srun ─▶ ranks ─┐ started, output, ended
                           │ ▲                                  ▼
                           │ └──────────── verdict ◀──────── journal
                           └─▶ exit · start again here · scontrol requeue · scancel
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from mpipar.base.arguments import Parser
from mpipar.base.errors import BadInput
from mpipar.base.exit_codes import BAD_INPUT, FAILED, STOPPED_EARLY
from mpipar.base.text import several
from mpipar.batch import leaving, slurm, warning
from mpipar.batch import verdict as _verdict
from mpipar.batch.allocation import Allocation, allocation
from mpipar.batch.launchers import Launcher, launcher
from mpipar.batch.nodes import lost_nodes
from mpipar.batch.program import output_of, split, tells
from mpipar.batch.site import Site, read_site
from mpipar.batch.verdict import Ending, Verdict
from mpipar.runtime import journal
from mpipar.runtime.stopwatch import Stopwatch

_SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
_POLL_SECONDS, _SLOW_POLL_SECONDS = 0.2, 1.0
_LONG_SECONDS = 60.0  # after which the ranks are looked at less often
_HOLD_SECONDS = 30.0  # that a signal is kept for ranks that can't take it yet
_PAUSE_SECONDS, _LONGEST_PAUSE = (
    1.0,
    30,
)  # before a second start; so many times as long before later ones
_LEAVE_SECONDS, _REQUESTS = (
    120.0,
    3,
)  # that Slurm is given to end a job that has been requeued; how often it is asked
_ROOM_SECONDS = 30.0  # between two looks at whether a job is to make room
_KILL_SECONDS = 10.0  # that a launcher is given to end its ranks


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a job's step, and return its exit code."""
    try:
        own, program = split(sys.argv[1:] if arguments is None else arguments)
        options = _parser().parse_args(own)
        options.program = program
        given = allocation()
        site = read_site(options.site)
        return Step(options, given, site).run()
    except BadInput as error:
        print(f"mpipar: error: {error}", file=sys.stderr)
        return BAD_INPUT


def _parser() -> Parser:
    parser = Parser(prog="mpipar.batch.step", allow_abbrev=False)
    parser.add_argument("--serial", action="store_true", help="one process, without a launcher")
    parser.add_argument("--workers", metavar="N|auto", help="worker processes in each rank")
    parser.add_argument("--site", type=Path, metavar="FILE", help="the site's profile")
    parser.add_argument(
        "--folder", type=Path, help="where the journal goes (default: where the job was submitted)"
    )
    parser.add_argument(
        "--attempts", type=int, default=3, help="starts in a row that may get no further"
    )
    parser.add_argument("--no-requeue", action="store_true", help="end the job when its time does")
    parser.add_argument(
        "--pass-usr1",
        action="store_true",
        help="warn a program that isn't mpipar's of the end, too",
    )
    parser.add_argument(
        "--shrink",
        action="store_true",
        help="go on with the nodes that are left when some are lost",
    )
    return parser


class Step:
    """The ranks of a job, from their first start to the job's end.

    Parameters
    ----------
    options : argparse.Namespace
    given : Allocation
    site : Site
    """

    def __init__(self, options: Any, given: Allocation, site: Site) -> None:
        self._options, self._given, self._site = options, given, site
        self._program = [word.replace("{task}", given.task) for word in options.program]
        self._journal = (options.folder or Path(given.folder)) / f"{given.label}.journal"
        self._signals: list[signal.Signals] = []  # that came, and have not been passed on
        self._first_signal = 0.0
        self._told_to_stop = self._warned = self._is_leaving = False
        self._begun = time.time()
        self._kept_until: float | None = None  # of a warning, in seconds since 1970
        self._tells = tells(self._program)
        self._is_exact = True  # whether a launcher's 0 is that of all ranks
        self._done_at_starts: list[int] = []
        self._output: Path | None = None  # of the driver, once it is open
        self._lost: set[str] = set()

    def run(self) -> int:
        """Start the ranks, as often as need be, and return the job's exit code."""
        for number in _SIGNALS:
            signal.signal(number, self._note)
        self._keep_a_journal()
        if os.environ.pop(warning.VARIABLE, ""):  # before this process was there
            self._note(signal.SIGUSR1, None)
        for starts in itertools.count(1):
            what, code, reason = self._run_once()
            if what == _verdict.REQUEUE:
                requeue = ("scontrol", "requeue", self._given.own_id)
                return self._end_by(*requeue, code=code, reason=reason, done="; requeued")
            if what == _verdict.CANCEL:
                return self._end_by("scancel", self._given.own_id, code=code, reason=reason)
            self._say(
                reason
                + {_verdict.AGAIN: "; starting again", _verdict.WAIT: "; waiting for Slurm"}.get(
                    what, ""
                )
            )
            if what == _verdict.WAIT:
                return self._wait_for_room(code)
            if what == _verdict.EXIT:
                return code
            time.sleep(_PAUSE_SECONDS * min(starts, _LONGEST_PAUSE))
        raise AssertionError("a job starts for ever")

    def _run_once(self) -> Verdict:
        """Start the ranks, wait until they have ended, and return what is to be done then."""
        left = self._given.without(self._lost) if self._lost else self._given
        program, done = self._resumed(self._program), self._done()
        self._done_at_starts.append(done or 0)
        starter = self._starter(left)
        self._is_exact = starter.exact
        command = [*starter.command, sys.executable, *program]
        self._tell(
            journal.ALLOCATION,
            restart=self._given.restarts,
            nodes=left.nodes,
            ranks=left.ranks,
            workers=self._options.workers,
            done=done,
            command=command,
        )
        told = "" if done is None else f"; {done} blocks are done"
        self._say(f"{several(left.ranks, 'rank')} on {', '.join(left.nodes)}{told}")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            env=self._environment(starter),
            start_new_session=True,
        )
        code = self._wait(process)
        done = self._done()
        found = _verdict.verdict(self._ending(code, done or 0))
        self._tell(journal.NEXT, what=found.what, code=found.code, reason=found.reason, done=done)
        return found

    def _keep_a_journal(self) -> None:
        """Have a journal, on this node alone if it can't be where it should; all rules rest on what
        it says.
        """
        if not self._has_journal(journal.STEP):
            elsewhere = (
                Path(tempfile.mkdtemp(prefix="mpipar-")) / self._journal.name
            )  # nobody else writes there
            self._say(
                f"can't write to {self._journal}; {elsewhere} is used instead, which mpipar status"
                " doesn't know"
            )
            self._journal = elsewhere
            self._tell(journal.STEP)

    def _has_journal(self, event: str = journal.LOOK) -> bool:
        """Return whether the journal can be written to, and is there."""
        self._tell(event)
        events = journal.read(self._journal)
        return bool(events) and events[-1]["event"] == event

    def _starter(self, given: Allocation) -> Launcher:
        if self._options.serial:
            return Launcher([], {})
        whole = len(given.nodes) == len(self._given.nodes)
        return launcher(
            self._site.launcher, given, whole=whole, pinned=self._options.workers in (None, "1")
        )

    def _environment(self, starter: Launcher) -> dict[str, str]:
        environment = {
            **os.environ,
            journal.VARIABLE: str(self._journal.absolute()),
            **starter.environment,
        }
        environment.pop(
            "SLURM_EXPORT_ENV", None
        )  # of sbatch --export=NONE; srun would start ranks with nothing
        for name in starter.hidden:
            environment.pop(name, None)
        # The last step may be there still, as on a node that is lost; where memory is counted, it
        # holds all of it.
        environment["SLURM_OVERLAP"] = "1"
        if self._options.workers:
            environment["MPIPAR_WORKERS"] = self._options.workers
        return environment

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the ranks, and pass signals on; return the exit code."""
        watch = Stopwatch(_SLOW_POLL_SECONDS)  # the job may be suspended
        starting = self._tells
        while True:
            elapsed = watch()
            try:
                return process.wait(
                    _POLL_SECONDS if elapsed < _LONG_SECONDS else _SLOW_POLL_SECONDS
                )
            except subprocess.TimeoutExpired:
                pass
            if self._told_to_stop and journal.is_cancelled_now(self._journal):
                return self._kill(process)
            if elapsed < _LONG_SECONDS and self._output is None:
                self._resume_point()  # remembered, should the journal be removed
            if self._signals and not self._is_kept() and self._may_pass_on():
                self._pass_on(process)
            if starting:
                starting = not self._told(
                    journal.STARTED
                )  # looked for from the start: files may be removed later
                if starting and elapsed > self._site.start_seconds:
                    if self._has_started() is False:
                        return self._kill(process)
                    starting = False

    def _is_kept(self) -> bool:
        """Return whether the one thing that came is a warning which is no sign of the end yet."""
        if set(self._signals) != {signal.SIGUSR1}:
            return False
        if self._kept_until is None:
            self._kept_until = self._believed_from()
        return time.time() < self._kept_until

    def _believed_from(self) -> float:
        """Return when to believe the warning that came, in seconds since 1970."""
        now = time.time()
        if now > self._begun + warning.EARLY_SECONDS:
            return now
        events = journal.read(self._journal)
        starts = [index for index, event in enumerate(events) if event["event"] == journal.STEP]
        found = slurm.times(self._given.own_id)
        before = warning.was_early(events[: starts[-1]] if starts else [])
        start, end = (found.start, found.end) if found is not None else (None, None)
        kept = warning.kept_until(now, start, end, warned_before=before)
        if kept is None or end is None:
            return now
        self._say(
            "warned at its start, as the seconds of --signal are too many for its time limit; it"
            f" goes on until {end - kept:.0f} s before its end"
        )
        return kept

    def _may_pass_on(self) -> bool:
        """Return whether the ranks can take a signal; those of a driver begin to when their output
        is open.

        Whether it is a driver can't be told from outside, so that there is a limit to this.
        """
        has_output = output_of(self._program) is not None
        late = time.monotonic() > self._first_signal + _HOLD_SECONDS
        return not has_output or late or bool(self._told(journal.OUTPUT))

    def _pass_on(self, process: subprocess.Popen[bytes]) -> None:
        """Send the launcher what came; as USR1 if the program can commit, as not all launchers pass
        on the others.

        A warning is for those alone that are known to outlive it: Python's default is to die of
        USR1.
        """
        can_commit = self._resume_point() is not None
        self._warned = self._warned or signal.SIGUSR1 in self._signals
        for number in self._signals:
            if (
                can_commit
                or self._options.pass_usr1
                or number != signal.SIGUSR1
                or self._told(journal.STARTED)
            ):
                process.send_signal(signal.SIGUSR1 if can_commit else number)
        self._signals.clear()

    def _kill(self, process: subprocess.Popen[bytes]) -> int:
        """End a launcher and what it started here, and return its exit code."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            try:
                return process.wait(_KILL_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        return process.wait()

    def _ending(self, code: int, done: int) -> Ending:
        """Return how the ranks ended, and what is known besides."""
        last_words = self._told(journal.ENDED)
        last_word = last_words[-1].get("code") if last_words else None
        is_sure = self._is_exact or last_word is not None
        went_wrong = code != 0 or last_word not in (None, 0)
        is_preempted = (went_wrong or not is_sure) and self._is_preempted()
        if is_preempted and not is_sure:
            code = (
                code or -signal.SIGTERM
            )  # Open MPI's mpirun may end well though its ranks were ended
        resumable = self._resume_point() is not None
        lost = self._lost_nodes() if resumable and last_word in (None, FAILED) else set()
        self._lost |= lost
        # A program of the user's own, which has met its ranks by mpipar, need not say how it ends.
        is_done = code == 0 and self._is_exact and not self._tells and not resumable
        return Ending(
            code=code if code >= 0 else 128 - code,
            last_word=last_word,
            resumable=resumable,
            started=None if is_done else self._has_started(),
            told_to_stop=self._told_to_stop,
            warned=self._warned,
            cancelled=bool(self._told(journal.CANCEL, since=journal.STEP)),
            preempted=is_preempted,
            lost_nodes=len(lost),
            fruitless=self._fruitless(done),
            attempts=self._options.attempts,
            may_requeue=not self._options.no_requeue,
            may_shrink=self._options.shrink and len(self._lost) < len(self._given.nodes),
        )

    def _has_started(self) -> bool | None:
        """Return whether the ranks have found each other; None if nobody can tell."""
        if not self._told(journal.ALLOCATION) or not (
            self._told(journal.ENDED) or self._has_journal()
        ):
            return None
        return True if self._told(journal.STARTED) else False if self._tells else None

    def _resumed(self, program: list[str]) -> list[str]:
        """Return the program's arguments with --resume, if it is a driver that was stopped in this
        job.
        """
        if "--resume" in program or (
            self._resume_point() is None and not self._has_left_something()
        ):
            return program
        return [*program, "--resume"]

    def _has_left_something(self) -> bool:
        """Return whether an earlier start has left an unfinished output, but was killed before it
        could tell.
        """
        path = output_of(self._program)
        if path is None or not self._told(journal.ALLOCATION, since=None):
            return False
        from mpipar.store.progress import progress  # HDF5 takes time to load

        found = progress(path)
        return found is not None and not found.finished

    def _resume_point(self) -> Path | None:
        """Return the output of the driver that this job runs, once it is open; None if there is
        none.
        """
        told = self._told(journal.OUTPUT, since=None)
        if told and isinstance(told[-1].get("path"), str):
            self._output = Path(told[-1]["path"])
        return self._output

    def _done(self) -> int | None:
        """Return how many blocks are done, if there is an output."""
        path = self._resume_point()
        if path is None:
            return None
        from mpipar.store.progress import progress  # HDF5 takes time to load

        found = progress(path)
        return None if found is None else found.done

    def _fruitless(self, now: int) -> int:
        """Return how many starts in a row have got no further than the first of them, where so many
        blocks are done.
        """
        told = [event.get("done") or 0 for event in self._told(journal.ALLOCATION, since=None)]
        return max(
            sum(1 for _ in itertools.takewhile(lambda done: done >= now, reversed(starts)))
            for starts in (told, self._done_at_starts)
        )  # the journal has those of earlier allocations

    def _told(self, event: str, *, since: str | None = journal.ALLOCATION) -> list[dict[str, Any]]:
        """Return the events of a kind since the last one of another; None is ever, the default the
        last start.
        """
        events = journal.read(self._journal)
        starts = [index for index, one in enumerate(events) if one["event"] == since]
        events = events[starts[-1] :] if starts else events
        return [one for one in events if one["event"] == event]

    def _say(self, text: str) -> None:
        print(f"mpipar: job {self._given.label}: {text}", file=sys.stderr, flush=True)

    def _tell(self, event: str, **details: Any) -> None:
        journal.append(self._journal, event, **details)

    def _lost_nodes(self) -> set[str]:
        """Return the nodes that have been lost since the last start."""
        return lost_nodes([node for node in self._given.nodes[1:] if node not in self._lost])

    def _end_by(self, *command: str, code: int, reason: str, done: str = "") -> int:
        """Have Slurm end this job, and wait for that: whatever this process returned would decide
        its state.
        """
        self._signals.clear()
        self._is_leaving = True
        for _ in range(
            _REQUESTS
        ):  # a controller may be gone before it has done what it has promised
            problem = leaving.ask(
                command, is_told=lambda: signal.SIGTERM in self._signals, say=self._say
            )
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if problem:
                self._say(
                    f"{reason}; {' '.join(command)}: {problem}; the same submission goes on from"
                    " there"
                )
                return code or STOPPED_EARLY
            self._say(f"{reason}{done}")
            if problem is None:
                signal.raise_signal(signal.SIGTERM)
            time.sleep(_LEAVE_SECONDS)
        return code or STOPPED_EARLY

    def _wait_for_room(self, code: int) -> int:
        """Wait until Slurm ends this job, or runs it again, as another needs its nodes; return the
        exit code.
        """
        self._is_leaving = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        while self._is_preempted():
            time.sleep(_ROOM_SECONDS)
        return code

    def _is_preempted(self) -> bool:
        """Return whether Slurm has told this job to make room for another."""
        found = slurm.times(self._given.own_id)
        return (
            found is not None
            and found.preempted is not None
            and found.preempted >= (found.start or 0.0)
        )

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self._signals:
            self._first_signal = time.monotonic()
        self._signals.append(signal.Signals(number))
        if not self._is_leaving:
            self._tell(journal.SIGNAL, name=signal.Signals(number).name)
        if number != signal.SIGUSR1:
            self._told_to_stop = True


if __name__ == "__main__":
    sys.exit(main())
