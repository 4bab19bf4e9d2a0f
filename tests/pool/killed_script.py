"""A script whose tasks are kept, killed at any moment and begun again until it comes to its end."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from conftest import BIN, FOR_OPEN_MPI, MPIRUN
from suite.limits import Limit
from suite.stacks import end_hung, seconds_of

from mpipar.store import task_tables
from mpipar.store.task_log import read_log

SCRIPT = Path(__file__).parent / "resumable" / "script.py"


@dataclass
class Campaign:
    """Starts a script again and again.

    Attributes
    ----------
    folder : Path
    ranks : int or None
        None is without a launcher.
    count : int
        Tasks of each map.
    seconds : float
        About what a third of a task takes.
    options : list of str
        Of ``mpipar run``, besides.
    """

    folder: Path
    ranks: int | None
    count: int
    seconds: float
    options: list[str] = field(default_factory=list)
    script: Path = SCRIPT

    @property
    def output(self) -> Path:
        return self.folder / "run.h5"

    @property
    def names(self) -> list[str]:
        """What tasks have been evaluated, in this order."""
        path = self.folder / "begun"
        return path.read_text().splitlines() if path.exists() else []

    def start(self, *options: str) -> subprocess.Popen[str]:
        launcher = [] if self.ranks is None else [str(MPIRUN), "-np", str(self.ranks)]
        arguments = [str(self.count), str(self.seconds), "begun"]
        command = [*launcher, sys.executable, "-m", "mpipar", "run", *self.options, *options]
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            [*command, str(self.script), *arguments],
            cwd=self.folder,
            env={**os.environ, **FOR_OPEN_MPI, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finished(self, process: subprocess.Popen[str], seconds: float = 120) -> tuple[str, str]:
        """Return what a process prints until it ends; fail with its stacks if it hangs."""
        limit = Limit(seconds, lambda: seconds_of(process.pid))
        while True:
            try:
                return process.communicate(timeout=max(limit.left, 0.1))
            except subprocess.TimeoutExpired:
                if limit.is_over:
                    _, stderr, where = end_hung(process)
                    raise AssertionError(f"hung: {limit}\n{stderr}\n{where}") from None

    def kill_and_resume(self, kills: int, seed: int) -> tuple[str, int]:
        """Kill the script so often, each time when some more tasks have been evaluated, and let it
        come to its end. Return what it printed then, and how many tasks were begun twice.
        """
        chance = random.Random(seed)
        committed: set[str] = set()
        for number in range(kills):
            before = len(self.names)
            process = self.start("--output", "run.h5", *["--resume"] * (number > 0))
            wanted = before + chance.randrange(1, 2 * self.tasks // (kills + 1))
            self._wait(process, wanted, chance.random() * 0.05)
            kill(process)
            again = Counter(self.names[before:])
            assert not committed & set(again), "a task that had been committed was begun again"
            committed |= self.committed()
        before = len(self.names)
        process = self.start("--output", "run.h5", "--resume")
        out, err = self.finished(process)
        assert process.returncode == 0, err
        assert not committed & set(self.names[before:])
        return out, sum(count - 1 for count in Counter(self.names).values())

    @property
    def tasks(self) -> int:
        return 5 * self.count

    def _wait(self, process: subprocess.Popen[str], names: int, more: float) -> None:
        """Wait until so many tasks have been evaluated, or the script has ended, and a bit more."""
        limit = Limit(120)
        while len(self.names) < names and process.poll() is None and not limit.is_over:
            time.sleep(0.002)
        time.sleep(more)

    def committed(self) -> set[str]:
        """Return the tasks whose outcomes are in the file or its log."""
        if not self.output.exists():
            return set()
        tasks = task_tables.read(self.output)
        calls = tasks.calls
        for number in itertools.count(int(tasks.about["log"])):
            path = Path(f"{self.output}.parts") / f"tasks-{number}.log"
            if not path.exists():
                break
            logged = read_log(path, calls)
            if logged is not None:
                calls = [logged.calls[each] for each in sorted(logged.calls)]
        found = set()
        for call in calls:
            found |= {name_of(each) for each in call.values()}
        return found - {""}


def kill(process: subprocess.Popen[str]) -> None:
    """Kill all processes of a session at once, and wait for their end."""
    members = _members(process.pid)
    for pid in members:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()
    process.communicate()
    limit = Limit(30)
    while _members(process.pid) and not limit.is_over:
        time.sleep(0.01)


def _members(session: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def name_of(outcome: object) -> str:
    """Return the name of the task that an outcome is of."""
    if isinstance(outcome, tuple):
        outcome = outcome[0]
    if isinstance(outcome, dict):
        outcome = outcome["name"]
    return outcome if isinstance(outcome, str) else ""
