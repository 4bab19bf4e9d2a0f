"""What a job runs on its first node: start the ranks, look after them, go on after what happens to
them.

``python -m mpipar.batch.step [options] -- ARGUMENTS OF PYTHON``.

::

    scheduler ─ USR1, TERM ─▶ step ─ USR1 ─▶ launcher ─▶ ranks ─┐ started, output, ended
                               │ ▲                              ▼
                               │ └────────── verdict ◀────── journal
                               └─▶ exit · start again here · be run again · be cancelled
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mpipar.base.arguments import HelpWanted, Parser
from mpipar.base.errors import BadInput
from mpipar.base.exit_codes import BAD_INPUT, DONE, FAILED, STOPPED_EARLY
from mpipar.base.text import several
from mpipar.batch import verdict as _verdict
from mpipar.batch import warning
from mpipar.batch.allocation import Allocation
from mpipar.batch.events import last
from mpipar.batch.heard import Heard
from mpipar.batch.job_journal import JobJournal
from mpipar.batch.launchers import Launcher, launcher
from mpipar.batch.leaving import insist
from mpipar.batch.node_watch import NodeWatch
from mpipar.batch.program import split, tells
from mpipar.batch.program_output import ProgramOutput
from mpipar.batch.ranks import Manners, Ranks
from mpipar.batch.scheduler import Answer
from mpipar.batch.schedulers import scheduler
from mpipar.batch.site import Site, read_site
from mpipar.batch.verdict import Ending, Verdict
from mpipar.runtime import journal
from mpipar.runtime.outlets import note

_PAUSE_SECONDS = 1.0  # before a second start; so many times as long before later ones
_LONGEST_PAUSE = 30
_LEAVE_SECONDS = 120.0  # that the scheduler is given to end a job that has been requeued
_REQUESTS = 3  # how often it is asked
_ROOM_SECONDS = 30.0  # between two looks at whether a job is to make room


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a job's step, and return its exit code."""
    try:
        own, program = split(sys.argv[1:] if arguments is None else arguments)
        options = _parser().parse_args(own)
        options.program = program
        given = scheduler().allocation()
        site = read_site(options.site)
        return Step(options, given, site).run()
    except HelpWanted as text:
        note(str(text))
        return DONE
    except BadInput as error:
        note(f"mpipar: error: {error}")
        return BAD_INPUT


def _parser() -> Parser:
    parser = Parser(prog="mpipar.batch.step", allow_abbrev=False)
    parser.add_argument("--serial", action="store_true", help="one process, without a launcher")
    parser.add_argument("--workers", metavar="N|auto", help="worker processes in each rank")
    parser.add_argument("--site", type=Path, metavar="FILE", help="the site's profile")
    parser.add_argument("--name", help="of log and journal (default: the job's)")
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
        # The user may have given the job another name since.
        given = replace(given, name=options.name or given.name)
        self._options = options
        self._given = given
        self._site = site
        program = [word.replace("{task}", given.task) for word in options.program]
        folder = options.folder or Path(given.folder)
        self._events = JobJournal(folder / f"{given.label}.journal", self._say)
        self._heard = Heard(given.own_id, self._events, self._say)
        self._output = ProgramOutput(program, self._events)
        self._manners = Manners(tells(program), site.start_seconds, options.pass_usr1)
        self._warned = False
        self._lost: set[str] = set()

    def run(self) -> int:
        """Start the ranks, as often as need be, and return the job's exit code."""
        self._heard.listen()
        self._events.begin()
        if os.environ.pop(warning.VARIABLE, ""):  # before this process was there
            self._heard.note(signal.SIGUSR1)
        for starts in itertools.count(1):
            found = self._run_once()
            if found.what != _verdict.AGAIN:
                return self._end(found)
            self._say(f"{found.reason}; starting again")
            time.sleep(_PAUSE_SECONDS * min(starts, _LONGEST_PAUSE))
        raise AssertionError("a job starts for ever")

    def _end(self, found: Verdict) -> int:
        """Do what a verdict says that ends this job, and return the exit code."""
        id = self._given.own_id
        if found.what == _verdict.REQUEUE:
            return self._end_by(lambda: scheduler().requeue(id), found, done="; requeued")
        if found.what == _verdict.CANCEL:
            return self._end_by(lambda: scheduler().end(id), found)
        if found.what == _verdict.WAIT:
            self._say(f"{found.reason}; waiting for {scheduler().name}")
            return self._wait_for_room(found.code)
        self._say(found.reason)
        return found.code

    def _run_once(self) -> Verdict:
        """Start the ranks, wait until they have ended, and return what is to be done then."""
        left = self._given
        if self._lost:
            left = left.without(self._lost)
        program = self._output.command()
        done = self._output.begin()
        starter = self._starter(left)
        command = [*starter.command, sys.executable, *program]
        self._events.tell(
            journal.ALLOCATION,
            restart=self._given.restarts,
            nodes=left.nodes,
            ranks=left.ranks,
            workers=self._options.workers,
            done=done,
            command=command,
        )
        told = f"{several(left.ranks, 'rank')} on {', '.join(left.nodes)}"
        if done is not None:
            told += f"; {done} {self._output.unit} are done"
        self._say(told)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            env=self._environment(starter),
            start_new_session=True,
        )
        watched = left.nodes if self._options.shrink else ()
        watch = NodeWatch(self._given.own_id, watched)
        ranks = Ranks(process, self._events, self._heard, self._output, self._manners, watch)
        code = ranks.wait()
        self._warned = self._warned or ranks.warned
        done = self._output.done()
        found = _verdict.verdict(self._ending(code, done or 0, is_exact=starter.exact))
        self._events.tell(
            journal.NEXT, what=found.what, code=found.code, reason=found.reason, done=done
        )
        return found

    def _starter(self, given: Allocation) -> Launcher:
        if self._options.serial:
            return Launcher([], {})
        whole = len(given.nodes) == len(self._given.nodes)
        is_pinned = self._options.workers in (None, "1")
        return launcher(self._site.launcher, given, whole=whole, pinned=is_pinned)

    def _environment(self, starter: Launcher) -> dict[str, str]:
        environment = scheduler().starter.environment(os.environ)
        environment[journal.VARIABLE] = str(self._events.path.absolute())
        environment.update(starter.environment)
        for name in starter.hidden:
            environment.pop(name, None)
        if self._options.workers:
            environment["MPIPAR_WORKERS"] = self._options.workers
        return environment

    def _ending(self, code: int, done: int, *, is_exact: bool) -> Ending:
        """Return how the ranks ended, and what is known besides.

        Parameters
        ----------
        code : int
            The launcher's exit code, negative for a signal.
        done : int
            How many blocks or tasks are done.
        is_exact : bool
            Whether a launcher's 0 is that of all ranks.
        """
        last_word = self._last_word()
        is_resumable = self._output.path() is not None
        is_sure = is_exact or last_word is not None
        is_doubtful = code == 0 and not is_sure
        has_ended_well = code == 0 and is_sure and last_word in (None, DONE)
        is_preempted = not has_ended_well and self._is_preempted()
        lost: set[str] = set()
        may_go_on = (is_resumable or self._is_before_work()) and last_word in (None, FAILED)
        if may_go_on or (is_doubtful and not is_preempted):
            lost = self._lost_nodes()
        if is_doubtful:
            code, is_exact = _settled(is_preempted=is_preempted, has_lost=bool(lost))
        return Ending(
            code=code if code >= 0 else 128 - code,
            last_word=last_word,
            resumable=is_resumable,
            started=self._started(code, is_exact=is_exact, is_resumable=is_resumable),
            awaits_output=self._awaits_output(),
            told_to_stop=self._heard.told_to_stop,
            warned=self._warned,
            cancelled=bool(self._events.told(journal.CANCEL, since=journal.STEP)),
            preempted=is_preempted,
            lost_nodes=len(lost),
            fruitless=self._output.fruitless(done),
            attempts=self._options.attempts,
            may_requeue=not self._options.no_requeue,
            may_shrink=self._options.shrink and len(self._lost) < len(self._given.nodes),
        )

    def _last_word(self) -> int | None:
        """Return the exit code that the program told last; None if it told none."""
        return last(self._events.told(journal.ENDED), journal.ENDED).get("code")

    def _started(self, code: int, *, is_exact: bool, is_resumable: bool) -> bool | None:
        """Return whether the ranks have found each other; None if nobody can tell.

        A program of the user's own, which has met its ranks by mpipar, need not say how it ends.
        """
        is_done = code == 0 and is_exact
        if is_done and not self._manners.tells and not is_resumable:
            return None
        return self._events.has_started(tells=self._manners.tells)

    def _awaits_output(self) -> bool:
        """Return whether the program is one that tells of its output, and has not opened it yet."""
        is_to_open = self._manners.tells and self._output.is_wanted
        return is_to_open and self._output.path() is None

    def _is_before_work(self) -> bool:
        """Return whether the ranks are known to have done nothing yet."""
        has_not_met = self._events.has_started(tells=self._manners.tells) is False
        return has_not_met or self._awaits_output()

    def _lost_nodes(self) -> set[str]:
        """Return the nodes that have been lost since the last start, and note them."""
        others = [node for node in self._given.nodes[1:] if node not in self._lost]
        lost = scheduler().lost_nodes(others)
        self._lost |= lost
        return lost

    def _end_by(self, ask: Callable[[], Answer], found: Verdict, done: str = "") -> int:
        """Have the scheduler end this job, and wait for that: whatever this process returned would
        decide its state.
        """
        self._heard.pending.clear()
        self._heard.is_leaving = True
        code = found.code or STOPPED_EARLY
        # A controller may be gone before it has done what it has promised.
        for _ in range(_REQUESTS):
            answer = insist(
                ask, is_told=lambda: signal.SIGTERM in self._heard.pending, say=self._say
            )
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if answer is not None and answer.problem:
                self._say(
                    f"{found.reason}; {answer.command}: {answer.problem}; the same submission goes"
                    " on from there"
                )
                return code
            self._say(f"{found.reason}{done}")
            if answer is None:
                signal.raise_signal(signal.SIGTERM)
            time.sleep(_LEAVE_SECONDS)
        return code

    def _wait_for_room(self, code: int) -> int:
        """Wait until the scheduler ends this job, or runs it again, as another needs its nodes;
        return the exit code.
        """
        self._heard.is_leaving = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        while self._is_preempted():
            time.sleep(_ROOM_SECONDS)
        return code

    def _is_preempted(self) -> bool:
        """Return whether this job was told to make room for another, since its start."""
        found = scheduler().times(self._given.own_id)
        if found is None or found.preempted is None:
            return False
        return found.preempted >= (found.start or 0.0)

    def _say(self, text: str) -> None:
        note(f"mpipar: job {self._given.label}: {text}")


def _settled(*, is_preempted: bool, has_lost: bool) -> tuple[int, bool]:
    """Return the exit code of a launcher that has ended with 0, and whether it is that of all
    ranks: Open MPI's may end well though its ranks were ended, or their node was lost.
    """
    if is_preempted:
        return -signal.SIGTERM, False
    return DONE, not has_lost


if __name__ == "__main__":
    sys.exit(main())
