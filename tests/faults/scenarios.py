"""What can go wrong, each a function that makes it happen once and checks what comes of it.

They take a random generator, which decides when and where, and a folder, and raise AssertionError
if mpipar does wrong.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import BIN, FOR_OPEN_MPI, WARM, own_lines
from suite.limits import Limit, until
from suite.stacks import end_hung, seconds_of

PROGRAMS = Path(__file__).with_name("fault_programs.py")
POOL = Path(__file__).with_name("fault_pool.py")
FACES = ("map", "imap", "imap_unordered", "apply_async", "executor")
PROMPT = 10.0  # seconds on a quiet machine after which a job that can't go on must have ended
TIME_LIMIT = 30.0  # seconds on a quiet machine after which a process that should end hangs
IS_OPEN_MPI = (BIN / "prterun").exists()

# Intel MPI's mpirun is a shell script, which a signal ends alone: it is not passed on, and the job
# goes on undisturbed. What the script runs does as it should: exit code 75 after SIGTERM, SIGUSR1
# and SIGINT, 255 when a rank is killed.
MPIRUN = next(path for path in (BIN / "mpiexec.hydra", BIN / "mpirun") if path.exists())

# What mpiexec of MPICH and of Intel MPI say on stdout after SIGINT.
CTRL_C = "[mpiexec@"

_MARK = "MPIPAR_FAULTS_OF"  # in the environment of all processes that are started here


@functools.cache
def _own_folder() -> Path:
    """Return a folder that goes when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="mpipar-faults-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Ended(subprocess.CompletedProcess[str]):
    """A command that has ended."""

    @property
    def json(self) -> dict[str, Any]:
        """What it printed, if all was well."""
        assert self.returncode == 0, f"exit {self.returncode}\n{self.stderr}"
        result: dict[str, Any] = json.loads(self.stdout)
        return result

    @property
    def errors(self) -> list[str]:
        """The lines on stderr, without those of the launcher."""
        return own_lines(self.stderr)

    def is_refused(self) -> str:
        """Check that this was bad input, told on one line; return the line."""
        assert (self.returncode, self.stdout) == (
            2,
            "",
        ), f"exit {self.returncode}\n{self.stdout}\n{self.stderr}"
        assert len(self.errors) == 1, self.stderr
        return self.errors[0]


class Job:
    """A command that is running, with all processes it has started."""

    started = False  # whether there has been any since what is left was looked for

    def __init__(
        self, *command: str, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> None:
        environment = {
            **os.environ,
            **FOR_OPEN_MPI,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }
        environment |= {_MARK: str(os.getpid()), **(env or {})}
        if IS_OPEN_MPI:
            # An mpirun that is killed leaves /tmp/ompi.PID, and a later one that happens to have
            # its process number ends with "The PMIx server's listener thread failed to start", exit
            # code 213.
            environment["PRTE_MCA_prte_tmpdir_base"] = tempfile.mkdtemp(dir=_own_folder())
        Job.started = True
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.command = " ".join(command)

    def everyone(self) -> list[int]:
        """Return the process numbers of the command and of all its descendants."""
        parents: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    parents.setdefault(parent, []).append(int(entry.name))
        found = [self.process.pid]
        for pid in found:
            found += parents.get(pid, [])
        return found

    def having(self, *words: str) -> list[int]:
        """Return those descendants whose command line has all these words."""
        found = []
        for pid in self.everyone()[1:]:
            with contextlib.suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
                if all(word in line or any(word in part for part in line) for word in words):
                    found.append(pid)
        return found

    def ranks(self) -> list[int]:
        """Return the ranks: Python processes that run the program, and that aren't workers."""
        return self.having("fault_programs.py", "python") + self.having("fault_pool.py", "python")

    def workers(self) -> list[int]:
        """Return the worker processes: children of fork servers."""
        servers = set(self.having("from multiprocessing.forkserver"))
        workers = []
        for pid in servers:
            with contextlib.suppress(OSError):
                parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
                if parent in servers:
                    workers.append(pid)
        return workers

    def kill(self) -> None:
        """Kill the command and all its descendants at once."""
        for pid in self.everyone():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def end(self, timeout: float = TIME_LIMIT) -> Ended:
        """Wait for the end. Raises AssertionError if it hangs; then all its processes are
        killed.
        """
        limit = Limit(timeout, lambda: seconds_of(self.process.pid))
        while True:
            try:
                out, error = self.process.communicate(timeout=max(limit.left, 0.1))
                return Ended(self.command, self.process.returncode, out, error)
            except subprocess.TimeoutExpired:
                if limit.is_over:
                    break
        out, error, where = end_hung(self.process)
        raise AssertionError(f"hung: {limit}: {self.command}\n{out}\n{error}\n{where}")


def nothing_is_left() -> None:
    """Raise AssertionError if processes that were started here still run; end them."""
    mark = f"{_MARK}={os.getpid()}".encode()

    def left() -> dict[int, str]:
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    pid, line = int(entry.name), (entry / "cmdline").read_bytes()
                    is_own = mark in (entry / "environ").read_bytes().split(b"\0") or WARM.has(
                        pid, line
                    )  # a fork has its server's environment
                    if is_own and _runs(pid):
                        found[pid] = line.replace(b"\0", b" ").decode()
        return found

    limit = Limit(10)
    while found := left():
        if limit.is_over:
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"processes are left: {found}")
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def leave_nothing() -> Iterator[None]:
    """Check after each test of a module that imports this that it has left no processes.

    Shared memory of ranks that were killed is removed, which nobody else does: it would fill up
    where there is little.
    """
    Job.started = False
    yield
    if Job.started:
        nothing_is_left()
        unlink_what_nobody_has()


_seen_unheld: set[tuple[str, int]] = (
    set()
)  # names and inodes of segments that nobody had at the last check


def unlink_what_nobody_has() -> None:
    """Unlink MPICH's shared memory that no process had at the last check, nor has now; jobs that
    start have theirs.
    """
    segments = {str(path): path for path in Path("/dev/shm").glob("mpich_shm_*")}
    unheld = set()
    for name in segments.keys() - _in_use():
        with contextlib.suppress(FileNotFoundError):
            if (stat := segments[name].stat()).st_uid == os.geteuid():
                unheld.add((name, stat.st_ino))
    for name, _ in unheld & _seen_unheld:
        segments[name].unlink(missing_ok=True)
    _seen_unheld.clear()
    _seen_unheld.update(unheld)


def _in_use() -> set[str]:
    """Return the files in /dev/shm that a process has open or mapped."""
    found: set[str] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        # In this order, as a segment is opened, then mapped, then closed.
        with contextlib.suppress(OSError):
            for file in (entry / "fd").iterdir():
                with contextlib.suppress(OSError):
                    found.add(os.readlink(file))
        with contextlib.suppress(OSError):
            lines = (entry / "maps").read_text().splitlines()
            found |= {line.split(maxsplit=5)[5] for line in lines if "/dev/shm/" in line}
    return found


def start(
    ranks: int,
    name: str,
    *options: str,
    flags: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    cold: bool = True,
) -> Job:
    """Start one of the programs on some ranks; 0 is without a launcher. What is to be killed or
    signalled is cold.
    """
    launcher = [str(MPIRUN), *flags, "-np", str(ranks)] if ranks else []
    arguments = [str(PROGRAMS), name, *options, "--json"]
    return Job(
        *launcher, *([sys.executable, *arguments] if cold else WARM.command(arguments)), env=env
    )


def ended(ranks: int, name: str, *options: str, env: dict[str, str] | None = None) -> Ended:
    """Run one of the programs to its end."""
    return start(ranks, name, *options, env=env, cold="MPIPAR_TEST_COLD" in os.environ).end()


def finished(ranks: int, name: str, *options: str) -> dict[str, Any]:
    """Run one of the programs and return its JSON."""
    return ended(ranks, name, *options).json


def logged(log: Path) -> list[int]:
    """Return the blocks that were evaluated, as often as they were."""
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def wait_for_blocks(job: Job, log: Path, count: int, *, among: range = range(0)) -> None:
    """Wait until so many blocks have been evaluated, these among them, or the job has ended."""
    for _ in until(f"{count} blocks are evaluated", TIME_LIMIT, nap=0.005):
        done = logged(log)
        if job.process.poll() is not None or (len(done) >= count and set(among) <= set(done)):
            return


def wait_for_commit(job: Job, output: Path, rng: random.Random) -> None:
    """Wait until just now something has been written to a log of a rank, or soon will be."""
    folder = output.with_name(output.name + ".parts")

    def sizes() -> list[int]:
        with contextlib.suppress(OSError):
            return [path.stat().st_size for path in folder.glob("*.log")]
        return []

    for _ in range(rng.randrange(1, 8)):
        before = sizes()
        deadline = time.monotonic() + 5
        while job.process.poll() is None and sizes() == before and time.monotonic() < deadline:
            time.sleep(0.0002)


def check_result(output: Path, result: dict[str, Any], name: str) -> None:
    """Check value and rows against an undisturbed run, and that the run has cleaned up."""
    assert result["value"] == undisturbed(name), result["value"]
    assert not output.with_name(output.name + ".parts").exists()
    with h5py.File(output, "r") as file:
        assert file.attrs["finished"]
        if name == "rows":
            with h5py.File(undisturbed_file(name), "r") as other:
                for dataset in ("rows", "some"):
                    assert np.array_equal(file[dataset][:], other[dataset][:])


@functools.cache
def undisturbed_file(name: str) -> Path:
    """Return the file of a run that nothing happens to."""
    output = _own_folder() / f"{name}.h5"
    finished(0, name, "--sleep", "0", "--output", str(output))
    return output


@functools.cache
def undisturbed(name: str) -> Any:
    """Return the value of a run that nothing happens to."""
    with h5py.File(undisturbed_file(name), "r") as file:
        value = file["value"]
        return (
            {key: value[key][()] for key in value} if isinstance(value, h5py.Group) else value[()]
        )


def fresh(folder: Path, name: str = "run.h5") -> tuple[Path, Path]:
    """Return an output and a log of evaluated blocks that don't exist."""
    output, log = folder / name, folder / f"{name}.blocks"
    log.unlink(missing_ok=True)
    output.unlink(missing_ok=True)
    shutil.rmtree(output.with_name(output.name + ".parts"), ignore_errors=True)
    return output, log


def whole_job(rng: random.Random, folder: Path) -> str:
    """Kill mpirun and all ranks at a random instant, half of the time at a commit; go on with other
    ranks.
    """
    output, log = fresh(folder)
    name = rng.choice(["steady", "steady", "rows"])
    ranks, workers, aimed = rng.choice([1, 2, 3]), rng.choice([1, 1, 2]), rng.random() < 0.5
    options = ("--output", str(output), "--log", str(log))
    job = start(ranks, name, *options, "--checkpoint", "0.05", "--workers", str(workers))
    wait_for_blocks(job, log, 1 if aimed else rng.randrange(1, 250))
    if aimed:
        wait_for_commit(job, output, rng)
    job.kill()
    with contextlib.suppress(AssertionError):
        job.end()
    before = len(logged(log))
    result = finished(
        rng.choice([0, 1, 2, 3]), name, *options, "--resume", "--workers", str(rng.choice([1, 2]))
    )
    resumed, evaluated = result["resumed_blocks"], result["evaluated_blocks"]
    assert resumed + evaluated == 300, result
    assert len(logged(log)) == before + evaluated  # what was committed was not evaluated again
    assert resumed <= before
    check_result(output, result, name)
    return f"{name} on {ranks}: {before} evaluated, {before - resumed} of them not committed"


def start_pool(ranks: int, workers: int, face: str, log: Path, flags: tuple[str, ...] = ()) -> Job:
    """Start the script with pools."""
    command = (
        sys.executable,
        "-m",
        "mpipar",
        "run",
        "--workers",
        str(workers),
        str(POOL),
        face,
        str(log),
    )
    return Job(str(MPIRUN), *flags, "-np", str(ranks), *command)


def pool_workers(rng: random.Random, folder: Path) -> str:
    """Kill one or two workers of a pool: their tasks are done by others."""
    _, log = fresh(folder)
    face, times = rng.choice(FACES), rng.choice([1, 1, 2])
    job = start_pool(2, 2, face, log)
    at_work = range(0)  # tasks that may have been in the hands of one that was killed
    for _ in range(times):
        # A task is given up if a second worker dies of it.
        wait_for_blocks(job, log, len(logged(log)) + rng.randrange(1, 120), among=at_work)
        victims = job.workers()
        at_work = range(
            min(300, max(logged(log), default=0) + 80)
        )  # their shares are of 19, at most
        if victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(victims), signal.SIGKILL)
    end = job.end()
    assert end.json is True, end.stdout
    assert set(logged(log)) == set(range(300))
    return (
        f"{face}: {end.stderr.count('it is replaced')} workers replaced, {len(logged(log)) - 300}"
        " tasks done again"
    )


def rank_of(pid: int) -> int:
    """Return which rank a process is."""
    environment = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    pairs = dict(pair.split("=", 1) for pair in environment if "=" in pair)
    return int(pairs.get("OMPI_COMM_WORLD_RANK") or pairs["PMI_RANK"])


def pool_rank(rng: random.Random, folder: Path) -> str:
    """Kill one rank of a pool: the others do its tasks, or the job ends at once."""
    _, log = fresh(folder)
    face, workers = rng.choice(FACES), rng.choice([1, 2])
    flags = ("--with-ft", "ulfm", "--oversubscribe", "--bind-to", "none") if IS_OPEN_MPI else ()
    job = start_pool(4, workers, face, log, flags)
    wait_for_blocks(job, log, rng.randrange(1, 200))
    victim = rng.choice(job.ranks() or [0])
    if not victim:
        assert job.end().json is True
        return f"{face}: ended before"
    with contextlib.suppress(OSError):
        is_root = rank_of(victim) == 0
        os.kill(victim, signal.SIGKILL)
    limit = Limit(PROMPT)
    end = job.end()
    if IS_OPEN_MPI and not is_root:
        assert end.json is True, end.stdout
        assert set(logged(log)) == set(range(300))
        return f"{face}: went on, {len(logged(log)) - 300} tasks done again"
    if end.returncode == 0 and '"' not in end.stdout:  # it was over before it was killed
        assert end.json is True, end.stdout
    seconds = limit.elapsed
    assert not limit.is_over, f"it ended late: {limit}"
    return f"{face}: exit {end.returncode} after {seconds:.1f} s"


def one_worker(rng: random.Random, folder: Path) -> str:
    """Kill a worker of a pool: the job goes on, and evaluates again what that worker had."""
    output, log = fresh(folder)
    name = rng.choice(["steady", "rows"])
    job = start(
        2, name, "--output", str(output), "--log", str(log), "--workers", "2", "--checkpoint", "0.1"
    )
    wait_for_blocks(job, log, rng.randrange(1, 200))
    victims = job.workers()
    if victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(victims), signal.SIGKILL)
    end = job.end()
    assert end.returncode == 0, end.stderr
    result = json.loads(end.stdout)
    assert result["lost_workers"] <= 1
    assert len(set(logged(log))) == 300
    check_result(output, result, name)
    return (
        f"{name}: lost workers {result['lost_workers']}, {len(logged(log)) - 300} blocks evaluated"
        " again"
    )


def one_rank_survived(rng: random.Random, folder: Path) -> str:
    """Kill one rank, perhaps the root, under Open MPI with ulfm: the others share out its
    blocks.
    """
    output, log = fresh(folder)
    name, workers = rng.choice(["steady", "rows"]), rng.choice([1, 2])
    with_output = name == "rows" or rng.random() < 0.7
    options = ["--log", str(log), "--workers", str(workers), "--schedule", "stride"]
    options += ["--output", str(output), "--checkpoint", "0.2"] if with_output else []
    job = start(
        4, name, *options, flags=("--with-ft", "ulfm", "--oversubscribe", "--bind-to", "none")
    )
    wait_for_blocks(job, log, rng.randrange(4, 200))
    ranks = job.ranks()
    victim = rng.choice(ranks) if ranks else None
    if victim is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    end = job.end()
    assert end.returncode == 0, end.stderr
    result = json.loads(end.stdout)
    assert result["lost_ranks"] <= 1
    assert len(set(logged(log))) == 300
    if with_output:
        check_result(output, result, name)
    else:
        assert result["value"] == undisturbed(name)
    return (
        f"{name}: lost {result['lost_ranks']} of 4 ranks, {len(logged(log)) - 300} blocks evaluated"
        " again"
    )


def worker_start(rng: random.Random, folder: Path) -> str:
    """Kill a worker or a fork server, at any moment after the first worker began: the job goes
    on.
    """
    _, log = fresh(folder)
    job = start(rng.choice([0, 2]), "steady", "--log", str(log), "--workers", "3")
    while not job.workers() and job.process.poll() is None:
        time.sleep(0.002)
    time.sleep(rng.choice([0.0, 0.05, 0.2, 1.0]) * rng.random())
    what = rng.choice(["worker", "fork server"])
    workers = set(job.workers())
    victims = sorted(
        workers
        if what == "worker"
        else set(job.having("from multiprocessing.forkserver")) - workers
    )
    if victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(victims), signal.SIGKILL)
    end = job.end()
    assert "Traceback" not in end.stderr, end.stderr
    assert end.json["value"] == undisturbed("steady")
    return f"{what}: {len(end.errors)} replaced"


def start_lost(rng: random.Random, folder: Path) -> str:
    """Kill one rank while all start: the job ends with a message or with a result, within bounded
    time.
    """
    _, log = fresh(folder)
    flags = (
        ("--with-ft", "ulfm", "--oversubscribe", "--bind-to", "none")
        if IS_OPEN_MPI and rng.random() < 0.5
        else ()
    )
    job = start(4, "steady", "--log", str(log), flags=flags)
    limit, moment = Limit(TIME_LIMIT), rng.uniform(0.0, 3.0)
    while limit.elapsed < moment and job.process.poll() is None:
        time.sleep(0.01)
    for victim in rng.sample(job.ranks(), 1) if job.ranks() else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    end = job.end()
    nothing_is_left()
    assert "Traceback" not in end.stderr, end.stderr
    if end.returncode == 0:
        assert end.json["value"] == undisturbed("steady")
    else:
        assert len([line for line in end.errors if line.startswith("mpipar: MPI ")]) <= 1, (
            end.stderr
        )
    return (
        f"{'ulfm' if flags else 'plain'}, at {moment:.2f} s: exit {end.returncode} after"
        f" {limit.elapsed:.0f} s"
    )


def one_rank_fatal(rng: random.Random, folder: Path) -> str:
    """Kill one rank where the MPI ends the job: non-zero within 10 s, then go on."""
    output, log = fresh(folder)
    name = rng.choice(["steady", "rows"])
    options = ("--output", str(output), "--log", str(log))
    job = start(3, name, *options, "--checkpoint", "0.1", "--workers", str(rng.choice([1, 2])))
    wait_for_blocks(job, log, rng.randrange(1, 150))
    ranks = job.ranks()
    if ranks:
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(ranks), signal.SIGKILL)
    end = job.end(10.0)
    if end.returncode == 0:
        return "killed too late"
    nothing_is_left()
    before = len(logged(log))
    result = finished(2, name, *options, "--resume")
    assert len(logged(log)) == before + result["evaluated_blocks"]
    check_result(output, result, name)
    return (
        f"{name}: exit {end.returncode}, {result['resumed_blocks']} of {before} blocks were"
        " committed"
    )


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def told_to_stop(rng: random.Random, folder: Path, number: signal.Signals) -> str:
    """Send a signal to mpirun: exit 75, everything committed, no block evaluated twice in all."""
    output, log = fresh(folder)
    name = rng.choice(["steady", "rows"])
    options = ("--output", str(output), "--log", str(log))
    job = start(rng.choice([1, 2, 3]), name, *options, "--workers", str(rng.choice([1, 2])))
    wait_for_blocks(job, log, rng.randrange(1, 150))
    with contextlib.suppress(ProcessLookupError):
        job.process.send_signal(number)
    end = job.end()
    if end.returncode != 0:  # else the run was faster
        assert end.returncode == 75, f"exit {end.returncode}\n{end.stderr}"
        assert "stopped early" in end.stderr
        assert all(line.startswith(CTRL_C) for line in end.stdout.splitlines())
    before = len(logged(log))
    result = finished(rng.choice([0, 2, 3]), name, *options, "--resume")
    assert result["resumed_blocks"] == before
    assert sorted(logged(log)) == list(range(300))
    check_result(output, result, name)
    return f"{name}: exit {end.returncode} after {before} blocks"


def ended_by_its_launcher(rng: random.Random, folder: Path, number: signal.Signals) -> str:
    """Send SIGTERM or SIGINT to Open MPI's mpirun, which tells the ranks, and ends with 1 whatever
    they do.
    """
    # mpirun waits for ranks no longer than a second or so, and may end before they do. It forwards
    # SIGUSR1 like others.
    output, log = fresh(folder)
    name = rng.choice(["steady", "rows"])
    options = ("--output", str(output), "--log", str(log))
    job = start(rng.choice([1, 2, 3]), name, *options, "--workers", str(rng.choice([1, 2])))
    wait_for_blocks(job, log, rng.randrange(1, 150))
    with contextlib.suppress(ProcessLookupError):
        job.process.send_signal(number)
    told = time.monotonic()
    end = job.end(10.0)
    assert end.returncode == 1 or (end.returncode == 0 and "value" in end.stdout), (
        f"exit {end.returncode}"
    )
    assert "Traceback" not in end.stderr, end.stderr
    nothing_is_left()
    had_time = (
        time.monotonic() - told < 0.9
    )  # else mpirun may have killed a rank that waited for its disk
    before = len(logged(log))
    result = finished(rng.choice([0, 2, 3]), name, *options, "--resume")
    assert result["resumed_blocks"] == before or (
        not had_time and result["resumed_blocks"] < before
    )
    assert set(logged(log)) == set(range(300))
    assert len(logged(log)) == before + 300 - result["resumed_blocks"]
    check_result(output, result, name)
    return f"{name}: exit {end.returncode} after {before} blocks"


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Give a file system of this size. Needs the right to mount."""
    place = folder / "disk"
    place.mkdir(exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)], check=True
    )
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def may_mount() -> bool:
    """Return whether this process may mount file systems."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        folder = Path("/tmp") / f"mpipar-mount-{os.getpid()}"
        folder.mkdir()
        try:
            with small_disk(folder, 64):
                return True
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return False


def full_disk(rng: random.Random, folder: Path, kilobytes: int) -> str:
    """Run on a disk that may be too small: the value is printed, or the rows that fit are kept;
    then go on.
    """
    name = rng.choice(["steady", "rows"])
    expected = undisturbed(name)
    with small_disk(folder, kilobytes) as disk:
        output, log = disk / "run.h5", folder / "full.blocks"
        log.unlink(missing_ok=True)
        options = (
            "--output",
            str(output),
            "--log",
            str(log),
            "--checkpoint",
            "0.1",
            "--sleep",
            "0.001",
        )
        end = start(0, name, *options).end()
        assert end.returncode in (0, 1, 2), f"exit {end.returncode}\n{end.stderr}"
        assert "Traceback" not in end.stderr, end.stderr
        assert end.returncode != 2 or len(end.stderr.splitlines()) == 1, end.stderr
        if name == "steady" and end.returncode != 2:  # 2: not even the first state had room
            assert json.loads(end.stdout)["value"] == expected
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        result = finished(0, name, *options, "--resume")
        assert result["value"] == expected
        with h5py.File(output, "r") as file:
            assert file.attrs["finished"]
    return (
        f"{name}, {kilobytes} KiB: exit {end.returncode}, {result['resumed_blocks']} blocks resumed"
    )


def stopped_run(folder: Path, name: str = "steady") -> Path:
    """Return the output of a run that was told to stop before it was half done."""
    output, log = fresh(folder, f"stopped-{name}.h5")
    job = start(2, name, "--output", str(output), "--log", str(log))
    wait_for_blocks(job, log, 50)
    job.process.send_signal(signal.SIGUSR1)
    assert job.end().returncode == 75
    return output


def damaged(rng: random.Random, folder: Path, stopped: Path, how: str) -> str:
    """Damage the file of a run that was stopped: it is refused and left as it is, or the value is
    right.
    """
    output, _ = fresh(folder, "damaged.h5")
    log = stopped.with_name(
        f"{stopped.name}.blocks"
    )  # as it was: it is one of the run's parameters
    data = bytearray(stopped.read_bytes())
    if how == "truncated":
        del data[rng.randrange(len(data)) :]
    else:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    output.write_bytes(data)
    end = start(0, "steady", "--output", str(output), "--log", str(log), "--resume").end()
    if end.returncode == 2:
        assert len(end.stderr.strip().splitlines()) == 1, end.stderr
        assert output.read_bytes() == data, "the damaged file was changed"
        return f"{how}: refused"
    assert end.returncode == 0, f"exit {end.returncode}\n{end.stderr}"
    assert json.loads(end.stdout)["value"] == undisturbed("steady")
    return f"{how}: right"
