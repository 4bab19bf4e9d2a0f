"""The folder of a study, and the file in it with every run.

``runs.jsonl`` has the study's identity in its first line, and a run in each other one, appended as
the run is done. A study that was interrupted goes on from there, with more sizes or repeats if
these are asked for. Lines between tell the hashes of the texts that the study writes beside it, so
that it doesn't replace what somebody has edited.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.store.attributes import STUDY_FORMAT
from mpipar.store.files import write_text
from mpipar.study.design import Measured, Run, Size

RUNS = "runs.jsonl"
JOBS = "jobs"
"""The folder of a study's jobs, in its own."""
SCRATCH = "scratch"
"""The folder of results that nobody wants."""
TEXTS = ("scaling.csv", "scaling.md", "crossover.csv", "crossover.md")
"""What a study writes that people may edit."""

_NOT_A_RUN = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    OverflowError,
    OSError,
)
"""What reading a line raises that was cut short, or isn't as written here."""

_SHORTEST = 1e-9  # seconds: no clock tells less


class StudyFolder:
    """The runs of a study, on disk; a context manager, and while it is open no other study has the
    folder.

    Parameters
    ----------
    folder : Path
        Made, if need be.
    identity : mapping
        What is measured: a study of anything else is another one.

    Attributes
    ----------
    runs : dict
        {run: what it gave} of all that have been done.

    Raises
    ------
    BadInput
        If the folder is something else's, or can't be written to.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder = folder
        self.runs: dict[Run, Measured] = {}
        self._written: set[str] = set()
        self._file = self._opened()
        try:
            self._lock()
            self._read(json.loads(json.dumps(identity)))
            self._check_untouched()
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> StudyFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def add(self, run: Run, measured: Measured) -> None:
        """Append a run."""
        self.runs[run] = measured
        size = {}
        for name, value in run.size._asdict().items():
            if value not in (None, ""):
                size[name] = value
        self._append({**size, "repeat": run.repeat, **measured._asdict()})

    def write_text(self, name: str, text: str) -> None:
        """Write a text beside the runs. Raises OSError."""
        digest = _digest(text.encode())
        if digest not in self._written:
            self._written.add(digest)
            # Before it is written: this process may be killed as it writes.
            self._append({"written": name, "sha256": digest})
        write_text(self.folder / name, text)

    def _check_untouched(self) -> None:
        """Raise BadInput if somebody has edited what this study would replace."""
        for name in TEXTS:
            path = self.folder / name
            try:
                is_own = _digest(path.read_bytes()) in self._written
            except FileNotFoundError:
                continue
            except OSError as error:
                raise BadInput(f"--output: {error.strerror}: {str(path)!r}") from None
            if not is_own:
                raise BadInput(
                    f"--output: {str(path)!r} was changed by somebody, and would be replaced:"
                    " rename it"
                )

    def _opened(self) -> int:
        """Make the folder, if need be, and open the file of its runs."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            names = sorted(os.listdir(self.folder))
            if names and RUNS not in names:
                raise BadInput(
                    f"--output: {str(self.folder)!r} has other files in it ({names[0]!r}),"
                    " and no study"
                )
            return os.open(
                self.folder / RUNS,
                os.O_RDWR | os.O_CREAT | os.O_APPEND,
                0o666,
            )
        except FileExistsError:
            raise BadInput(
                f"--output: expected a folder, and {str(self.folder)!r} is none"
            ) from None
        except OSError as error:
            raise BadInput(f"--output: {error.strerror}: {error.filename!r}") from None

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"--output: another study is writing to {str(self.folder)!r}") from None
        except OSError:
            pass  # not all file systems can

    def _read(self, identity: dict[str, Any]) -> None:
        text = (self.folder / RUNS).read_text(encoding="utf-8", errors="replace")
        lines = text.splitlines()
        if not lines:
            self._append({"study": identity, "format": STUDY_FORMAT})
            return
        was_killed_as_it_wrote = not text.endswith("\n")
        if was_killed_as_it_wrote:
            os.write(self._file, b"\n")
        self._check_identity(lines[0], identity)
        for line in lines[1:]:
            with contextlib.suppress(*_NOT_A_RUN):
                self._put(json.loads(line))

    def _check_identity(self, line: str, identity: dict[str, Any]) -> None:
        """Raise BadInput if the first line of the file is not of this study."""
        try:
            first = json.loads(line)
            before = first["study"]
            version = first.get("format", 1)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BadInput(f"--output: {str(self.folder / RUNS)!r} is not of a study") from None
        if version != STUDY_FORMAT:
            raise BadInput(
                f"--output: {str(self.folder)!r} has a study of format {version},"
                f" expected {STUDY_FORMAT}"
            )
        if before != identity:
            raise BadInput(
                f"--output: {str(self.folder)!r} has another study: {_difference(before, identity)}"
            )

    def _put(self, line: dict[str, Any]) -> None:
        """Take in a line; raise one of _NOT_A_RUN if something else than this class wrote it."""
        if "written" in line:
            self._written.add(str(line["sha256"]))
            return
        size = Size(**{name: line[name] for name in Size._fields if name in line})
        self.runs[Run(size, int(line["repeat"]))] = _measured(line)

    def _append(self, line: dict[str, Any]) -> None:
        os.write(self._file, (json.dumps(line) + "\n").encode())
        os.fsync(self._file)


def _measured(line: Mapping[str, Any]) -> Measured:
    """Return what a run gave; raise one of _NOT_A_RUN if a value can't be used."""
    for number in (line["elapsed"], line["wall"]):
        if type(number) is not float or not _SHORTEST <= number < math.inf:
            raise ValueError("not a time")
    report = dict(line["report"])
    for name in ("nodes", "n"):
        int(report.get(name) or 0)
    datetime.datetime.fromtimestamp(line["ended"], datetime.UTC)
    return Measured(
        line["elapsed"],
        line["wall"],
        report,
        list(line["hosts"]),
        line["ended"],
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _difference(before: Any, now: dict[str, Any]) -> str:
    """Return what differs first between two identities."""
    if not isinstance(before, dict):
        return "it is of another version"
    name = next(name for name in (*now, *before) if before.get(name) != now.get(name))
    was = json.dumps(before.get(name))
    is_now = json.dumps(now.get(name))
    return f"{name} was {was[:200]}, and is {is_now[:200]} now"
