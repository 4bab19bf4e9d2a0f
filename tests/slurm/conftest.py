"""A Slurm cluster for all tests here, which each of them finds idle and empty."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import BIN, FOR_OPEN_MPI
from suite.rings import in_ci

from slurm.cluster import Cluster
from slurm.jobs import User
from slurm.machine import PATH, missing_accounts, missing_programs

HERE = Path(__file__).parent

# Where jobs find the mpirun and the Python of this environment.
FOR_MPI = {"PATH": f"{BIN}{os.pathsep}{PATH}", **FOR_OPEN_MPI}

ON_SITE = pytest.mark.parametrize("cluster", ["site"], indirect=True)
ON_BOTH = pytest.mark.parametrize("cluster", ["plain", *in_ci("site")], indirect=True)
SITE = {
    "TaskPlugin": "task/affinity",
    "SelectTypeParameters": "CR_CPU_Memory",
    "MaxArraySize": 20,
    "PreemptType": "preempt/partition_prio",
    "PreemptMode": "REQUEUE",
}
PARTITIONS = (
    "spare Nodes=ALL MaxTime=INFINITE PriorityTier=1 GraceTime=15 PreemptMode=REQUEUE",
    "short Nodes=ALL MaxTime=10 DefaultTime=5 PriorityTier=5 PreemptMode=OFF",
    "urgent Nodes=ALL MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF",
)


class Groups(NamedTuple):
    """How nodes hold processes by control groups.

    Attributes
    ----------
    settings : dict
        Lines of slurm.conf.
    lines : tuple of str
        Lines of cgroup.conf.
    """

    settings: dict[str, str]
    lines: tuple[str, ...]


BY_CGROUP = Groups(
    {"TaskPlugin": "task/affinity,task/cgroup", "ProctrackType": "proctrack/cgroup"},
    ("ConstrainRAMSpace=yes", "ConstrainCores=yes"),
)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process run all tests here, beside those that run others, so that one cluster is
    started.
    """
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("slurm"))


@pytest.fixture(scope="session", autouse=True)
def _slurm_is_installed() -> None:
    """Skip all tests here where there is no Slurm, but not where there must be one:
    ``MPIPAR_TEST_SLURM=1``.
    """
    if missing := missing_programs():
        reason = f"{', '.join(missing)} not found: install slurm-wlm and munge (Debian's names)"
        if os.environ.get("MPIPAR_TEST_SLURM") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def plain(_slurm_is_installed: None) -> Iterator[Cluster]:
    """Four nodes with two processors each, for all tests."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def site(_slurm_is_installed: None, pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """Four nodes as most sites have them: processes are held to their cores, and memory is shared
    out, too.

    Jobs of one partition make room for those of another. There are accounts, where MariaDB and
    slurmdbd are installed; they take 7 s to start, so that the first ring does without.
    """
    has_accounts = pytestconfig.getoption("--ring") != "test" and not missing_accounts()
    with Cluster(extra=SITE, partitions=PARTITIONS, has_accounts=has_accounts) as cluster:
        yield cluster


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The plain cluster, or what a test is marked with: see ON_SITE and ON_BOTH."""
    cluster: Cluster = request.getfixturevalue(getattr(request, "param", "plain"))
    return cluster


@pytest.fixture(autouse=True)
def _left_as_found(request: pytest.FixtureRequest) -> Iterator[None]:
    """Cancel the jobs that a test has left, and bring back the nodes that it has killed."""
    cluster = request.getfixturevalue("cluster") if "cluster" in request.fixturenames else None
    yield
    if cluster is not None:
        cluster.clear()


@pytest.fixture
def separate_nodes(cluster: Cluster) -> None:
    """Skip tests that need nodes with names and networks of their own, where there are none."""
    if cluster.mode != "namespaces":
        assert os.environ.get("MPIPAR_TEST_SLURM") != "1", "namespaces need root, and iproute2"
        pytest.skip("all nodes share this host: namespaces need root, and iproute2")


@pytest.fixture
def accounts(_slurm_is_installed: None) -> None:
    """Skip tests that need accounts, where there can be none; they are marked ci."""
    if missing := missing_accounts():
        reason = (
            f"{', '.join(missing)} not found: install slurmdbd and mariadb-server (Debian's names)"
        )
        assert os.environ.get("MPIPAR_TEST_SLURM") != "1", reason
        pytest.skip(reason)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a new folder that all nodes see: they have all files in common."""
    return tmp_path


@pytest.fixture
def user(cluster: Cluster, place: Path) -> User:
    """Return somebody who works in the new folder."""
    return User(cluster, place)


@pytest.fixture
def somebody(cluster: Cluster, place: Path) -> Callable[[str], User]:
    """Return how to get users with a folder each, so that jobs which mostly wait can wait at the
    same time.
    """

    def new(name: str) -> User:
        (place / name).mkdir()
        return User(cluster, place / name)

    return new
