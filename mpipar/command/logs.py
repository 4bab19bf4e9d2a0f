"""``mpipar logs``: what jobs print, as they do."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from mpipar.base.arguments import Parser
from mpipar.base.errors import BadInput
from mpipar.base.exit_codes import DONE, FAILED, INTERRUPTED, STOPPED_EARLY
from mpipar.batch import record
from mpipar.batch.job_state import JobState, state_of
from mpipar.batch.named_jobs import all_named, latest_of_folder
from mpipar.batch.queue_states import states_of
from mpipar.batch.record import Submission
from mpipar.batch.scheduler import SchedulerUnavailable
from mpipar.batch.schedulers import scheduler
from mpipar.command.entry import command
from mpipar.command.flags import converter
from mpipar.core.parameters import Parameter
from mpipar.runtime import journal
from mpipar.runtime.outlets import note
from mpipar.view.job_text import why

_PROGRAM = "mpipar logs"
_LINES = Parameter("lines", int, minimum=0)
_POLL_SECONDS = 0.2
_ASK_SECONDS = 10.0  # between questions to the scheduler: it is everybody's
_CHUNK = 1 << 20


class Log:
    """A log that grows.

    Parameters
    ----------
    path : Path
        The file, which need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._place = 0

    def skip_to_last(self, lines: int) -> None:
        """Leave out all but the last lines."""
        try:
            with self.path.open("rb") as file:
                self._place = _start_of_last(lines, file)
        except OSError:
            return

    def news(self) -> bytes:
        """Return some of what was written since the last call; empty if there is nothing, or no
        file.
        """
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._place:
                    self._place = 0  # written anew
                file.seek(self._place)
                data = file.read(_CHUNK)
        except OSError:
            return b""
        self._place += len(data)
        return data


@command(_PROGRAM)
def main(arguments: Sequence[str]) -> int:
    """Print logs; return the exit code."""
    given = _parser().parse_args(arguments)
    here = scheduler().cluster()
    if given.job is None:
        known = record.known(here)
        if not known:
            raise BadInput(
                "no job was submitted by mpipar from here; name its folder, if it has one"
            )
        wanted = latest_of_folder(known[-1], here)
    else:
        wanted = all_named(given.job, here)
    try:
        return _Speaker(wanted, given.lines).run(given.follow)
    except KeyboardInterrupt:  # as everybody ends --follow: no word of that
        return INTERRUPTED


def _start_of_last(lines: int, file: BinaryIO) -> int:
    """Return where the last lines of a file begin; 0 if it has no more than these."""
    end = file.seek(0, os.SEEK_END)
    if not lines:
        return end
    place = end
    found = 0
    while place > 0:
        size = min(_CHUNK, place)
        place -= size
        file.seek(place)
        data = file.read(size)
        position = len(data)
        is_last = place + size == end
        if is_last and data.endswith(b"\n"):  # ends the last line, and begins none
            position -= 1
        while (position := data.rfind(b"\n", 0, position)) >= 0:
            found += 1
            if found == lines:
                return place + position + 1
    return 0


class _Speaker:
    """Prints the logs of a job, or of tasks of an array, each headed by its name where there are
    several.
    """

    def __init__(self, wanted: list[tuple[Submission, str]], lines: int | None) -> None:
        self._wanted = wanted
        self._logs = [Log(one.log(task)) for one, task in wanted]
        if lines is not None:
            for log in self._logs:
                log.skip_to_last(lines)
        self._poll = min(_ASK_SECONDS, _POLL_SECONDS * max(1.0, len(wanted) / 20))
        self._last: Log | None = None
        self._whole_line = True
        self._asked = float("-inf")
        self._codes: list[int | None] = []
        self._said: set[str] = set()
        self._ended = False

    def run(self, follow: bool) -> int:
        self._print_news()
        if not follow:
            if self._last is None and not any(log.path.exists() for log in self._logs):
                self._look_at_job()
                self._say_once(f"job {self._wanted[-1][0].id} has no log yet: {self._logs[0].path}")
                return FAILED
            return DONE
        while not self._ended:
            self._ended = self._has_ended()
            if self._ended:
                time.sleep(self._poll)  # what was written last may be on its way from another node
            self._print_news()
            if not self._ended:
                time.sleep(self._poll)
        return DONE

    def _print_news(self) -> None:
        out = sys.stdout.buffer
        for log in self._logs:
            while data := log.news():
                if log is not self._last and len(self._logs) > 1:
                    out.write(self._head(log).encode(errors="surrogateescape"))
                self._last, self._whole_line = log, data.endswith(b"\n")
                out.write(data)
        out.flush()

    def _head(self, log: Log) -> str:
        """Return the line that tells whose lines follow, with an empty one before it."""
        head = f"==> {log.path.name} <==\n"
        if self._last is None:
            return head
        if self._whole_line:
            return f"\n{head}"
        return f"\n\n{head}"

    def _has_ended(self) -> bool:
        """Return whether there is nothing more to come: by the journals, which are at hand, or by
        the scheduler.
        """
        codes = [self._last_code(one, task) for one, task in self._wanted]
        if None not in codes and STOPPED_EARLY not in codes:
            return True
        # What was stopped may be requeued, as jobs that are preempted are: it is for the scheduler
        # to say.
        if None not in codes and codes != self._codes:
            self._asked = float("-inf")
        self._codes = codes
        if time.monotonic() - self._asked < _ASK_SECONDS:
            return False
        return self._look_at_job()

    def _last_code(self, one: Submission, task: str) -> int | None:
        """Return the exit code that a journal ends with; None if it goes on."""
        events = journal.read(one.journal(task))
        last: dict[str, Any] = events[-1] if events else {}
        has_ended = last.get("event") == journal.NEXT and last.get("what") in ("exit", "cancel")
        code = last.get("code")
        if has_ended and isinstance(code, int):
            return code
        return None

    def _look_at_job(self) -> bool:
        """Ask the scheduler, and say why there is no log yet, if so; return whether the job has
        ended.
        """
        here = scheduler().cluster()
        if not any(record.may_be_of(one.cluster, here) for one, _ in self._wanted):
            return False
        try:
            found = states_of([one for one, _ in self._wanted], self._ids())
        except SchedulerUnavailable as error:
            self._say_once(f"{scheduler().name} can't be asked whether the job goes on ({error})")
            return False
        finally:
            self._asked = time.monotonic()
        states = [state_of(found, one.id, task) for one, task in self._wanted]
        known = [state for state in states if state is not None]
        if self._last is None:
            self._say_what_waits(known)
        return all(state.ended for state in known)

    def _say_what_waits(self, states: list[JobState]) -> None:
        """Say why there is no log yet, of the first job or task that waits."""
        for state in states:
            if state.kind == "waiting":
                reason = why(state.reason)
                self._say_once(f"job {state.id} has no log yet, as it is {state.words}: {reason}")
                return

    def _ids(self) -> list[str]:
        """Return what to ask for: a task alone, or whole arrays."""
        if len(self._wanted) == 1:
            [(one, task)] = self._wanted
            return [f"{one.id}_{task}" if task else one.id]
        return list(dict.fromkeys(one.id for one, _ in self._wanted))

    def _say_once(self, message: str) -> None:
        if not self._said:
            note(f"{_PROGRAM}: {message}")
        self._said.add(message)


def _parser() -> Parser:
    parser = Parser(prog=_PROGRAM, description="Print what a job has printed.", allow_abbrev=False)
    parser.add_argument(
        "job",
        nargs="?",
        metavar="JOB|FOLDER",
        help=(
            "the number of a job, or of a task of an array (12_3), or a job's folder (default: the"
            " latest job)"
        ),
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the job has ended")
    parser.add_argument(
        "-n",
        "--lines",
        type=converter(_LINES.parse),
        metavar="LINES",
        help="begin with so many of the last lines",
    )
    return parser
