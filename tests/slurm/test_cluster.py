"""The cluster that the other tests here run on: its nodes are there, can be lost, and leave nothing
behind.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BIN, MPIRUN
from suite.limits import Limit, until

from slurm.cluster import Cluster
from slurm.conftest import FOR_MPI
from slurm.machine import PATH, namespaces_work

TESTS = Path(__file__).parents[1]
NOBODY = 65534
MODES = ("namespaces", "one host")
IS_OPEN_MPI = (BIN / "prterun").exists()
WHO = (
    "from mpi4py import MPI; import socket; print(f'{MPI.COMM_WORLD.size}"
    " {socket.gethostname()}\\n', end='')"
)

# Starts a cluster with a job that would go on for long, says where, and waits.
OWNER = """
import os
import subprocess
import sys
from slurm.cluster import Cluster
with Cluster(nodes=2, mode=sys.argv[1]) as cluster:
    script = f"srun env -i /bin/sh -c 'sleep 300; : {cluster.folder}'"
    job = cluster.run("sbatch", "--parsable", "--nodes=2", "--output=/dev/null", "--wrap", script).stdout
    cluster.wait(job.strip(), {"RUNNING"})
    allocation = [*cluster.prefix(), "salloc", "--quiet", "sh", "-c", "sleep 300; :"]
    subprocess.Popen(allocation, env={**os.environ, **cluster.environment}, start_new_session=True)
    print(cluster.folder, cluster.link, flush=True)
    sys.stdin.read()
"""


def possible(mode):
    if mode == "namespaces" and not namespaces_work():
        pytest.skip("namespaces need root, and iproute2")
    return mode


def submit(cluster, *arguments, cwd):
    return cluster.run("sbatch", "--parsable", *arguments, cwd=cwd).stdout.strip()


def mentioning(folder):
    """Return the processes that have a folder's name in their command line or their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (
                str(folder).encode()
                in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            ):
                found.append(process.name)
    return found


def nothing_is_left(folder, link):
    for _ in until("no process is left, and no file", 20):
        if not folder.exists() and not mentioning(folder):
            break
    for _ in until("the link is gone", 10):
        if not Path("/sys/class/net", link).exists():
            break
    assert str(folder) not in Path("/proc/self/mounts").read_text()


def test_a_job_runs_on_all_nodes(cluster, place):
    job = submit(
        cluster, "--nodes=4", "--output=out", "--error=errors", "--wrap", "srun hostname", cwd=place
    )
    known = cluster.wait(job)
    assert (known["JobState"], known["ExitCode"], known["NodeList"]) == (
        "COMPLETED",
        "0:0",
        "n[1-4]",
    )
    assert known["WorkDir"] == str(place)
    names = sorted((place / "out").read_text().split())
    assert names == (cluster.nodes if cluster.mode == "namespaces" else names[:1] * 4)


def test_plain_commands_reach_the_controller(cluster, place):
    environment = {**os.environ, **cluster.environment}

    def plain(*command):
        return subprocess.run(
            command,
            env=environment,
            cwd=place,
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        ).stdout

    job = plain("sbatch", "--parsable", "--wrap", "sleep 300").strip()
    assert plain("squeue", "--noheader", "--format=%A").split() == [job]
    plain("scancel", job)
    assert cluster.wait(job)["JobState"] == "CANCELLED"
    assert "JobState=CANCELLED" in plain("scontrol", "show", "job", job)
    assert (
        plain(
            "sacct", "--completion", "--noheader", "--format=JobID,State", f"--jobs={job}"
        ).split()[0]
        == job
    )


@pytest.mark.parametrize("node", [None, "n2"])
def test_commands_run_where_they_are_told_to(node, cluster, place):
    (place / "a file").touch()
    assert cluster.run("ls", cwd=place, node=node).stdout == "a file\n"
    assert cluster.run("sh", "-c", "exit 3", check=False, node=node).returncode == 3
    assert cluster.run("sh", "-c", "echo $MINE", env={"MINE": "x y"}, node=node).stdout == "x y\n"
    if cluster.mode == "namespaces":
        assert cluster.run("hostname", node=node).stdout.strip() == (node or "ctl")
    with pytest.raises(AssertionError, match="no such thing"):
        cluster.run("sh", "-c", "echo no such thing >&2; exit 1", node=node)
    limit = Limit(5)
    with pytest.raises(subprocess.TimeoutExpired):
        cluster.run(
            "sh", "-c", "sleep 300 & sleep 300", env={"MINE": str(place)}, timeout=0.5, node=node
        )
    assert not limit.is_over, limit
    for _ in until("both have ended", 5):
        if not mentioning(place):
            break


@pytest.mark.each_mpi
@pytest.mark.usefixtures("separate_nodes")
def test_ranks_of_mpirun_are_on_different_nodes(cluster, place):
    flags = ("--map-by", "ppr:1:node", "--bind-to", "none") if IS_OPEN_MPI else ("-np", "3")
    command = (
        "salloc",
        "--nodes=3",
        "--ntasks-per-node=1",
        MPIRUN,
        *flags,
        sys.executable,
        "-c",
        WHO,
    )
    lines = cluster.run(*command, cwd=place, env=FOR_MPI).stdout.splitlines()
    assert sorted(filter(None, lines)) == ["3 n1", "3 n2", "3 n3"]


@pytest.mark.each_mpi
@pytest.mark.usefixtures("separate_nodes")
def test_ranks_of_srun_are_one_world(cluster, place):
    interface = "pmix" if IS_OPEN_MPI else "pmi2"
    command = (
        "srun",
        "--nodes=2",
        "--ntasks-per-node=2",
        f"--mpi={interface}",
        sys.executable,
        "-c",
        WHO,
    )
    lines = cluster.run(*command, cwd=place, env=FOR_MPI).stdout.splitlines()
    assert sorted(filter(None, lines)) == ["4 n1", "4 n1", "4 n2", "4 n2"]


@pytest.mark.ci
def test_a_job_on_a_node_that_is_lost_runs_again(cluster, place):
    script = 'echo $SLURM_RESTART_COUNT >> runs; [ -n "$SLURM_RESTART_COUNT" ] || sleep 300'
    job = submit(cluster, "--requeue", "--nodelist=n2", "--output=out", "--wrap", script, cwd=place)
    for _ in until("the job has started", 20):
        if (place / "runs").exists():
            break
    cluster.kill_node("n2")
    for _ in until("the controller has noticed", 60):
        if cluster.node_states()["n2"].startswith("down"):
            break
    cluster.start_node("n2")
    known = cluster.wait(job, {"COMPLETED"})
    assert known["Restarts"] == "1"
    assert (place / "runs").read_text() == "\n1\n"


@pytest.mark.ci
@pytest.mark.usefixtures("separate_nodes")
def test_a_node_without_power_closes_no_connection(cluster, place):
    """A reader on another node, connected to the lost one, waits for ever."""
    serve = (
        "import socket, time; s = socket.create_server(('', 7777)); print(flush=True); c ="
        " s.accept(); time.sleep(60)"
    )
    read = "import socket; c = socket.create_connection(('n2', 7777)); print(flush=True); c.recv(1)"
    with contextlib.ExitStack() as stack:
        server, reader = (
            stack.enter_context(running(cluster, *job)) for job in (("n2", serve), ("n1", read))
        )
        cluster.kill_node("n2")
        assert server.wait(5) != 0
        with pytest.raises(subprocess.TimeoutExpired):
            reader.wait(1)


@contextlib.contextmanager
def running(cluster, node, program):
    """Run Python on a node; it has printed a line when the context begins, and is killed when it
    ends.
    """
    command = [*cluster.prefix(node), sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout.readline()
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_all_is_cleared_between_tests(cluster, place):
    submit(cluster, "--nodes=4", "--wrap", "sleep 300", cwd=place)
    submit(cluster, "--hold", "--wrap", "sleep 300", cwd=place)
    cluster.run("scontrol", "update", "nodename=n3", "state=drain", "reason=test")
    cluster.kill_node("n1")
    cluster.clear()
    assert not cluster.run("squeue", "--noheader").stdout
    assert set(cluster.node_states().values()) == {"idle"}


@pytest.mark.ci
@pytest.mark.parametrize("mode", MODES)
def test_clusters_do_not_disturb_each_other(mode):
    with (
        Cluster(nodes=2, mode=possible(mode), extra={"DefMemPerCPU": 7}) as one,
        Cluster(nodes=2, mode=mode) as two,
    ):
        assert "DefMemPerCPU            = 7" in one.run("scontrol", "show", "config").stdout
        one.run("srun", "--nodes=2", "true")
        one.kill_node("n1")
        two.run("srun", "--nodes=2", "true")
        one.stop()
        two.run("srun", "--nodes=2", "true")
    nothing_is_left(one.folder, one.link)
    nothing_is_left(two.folder, two.link)


@pytest.mark.ci
def test_a_folder_of_ones_own_is_kept(place):
    folder = Path("/tmp") / f"mpipar-{os.getpid()}"
    try:
        with Cluster(folder, nodes=1, cpus=3) as cluster:
            assert "CPUTot=3" in cluster.run("scontrol", "show", "node", "n1").stdout
        assert (folder / "log" / "slurmctld.log").exists()
    finally:
        shutil.rmtree(folder)


@pytest.mark.ci
def test_a_cluster_that_can_not_start_says_why():
    cluster = Cluster(extra={"NoSuchSetting": 1})
    with pytest.raises(RuntimeError, match="NoSuchSetting"):
        cluster.start()
    nothing_is_left(cluster.folder, cluster.link)


@pytest.mark.parametrize("mode", [MODES[0], pytest.param(MODES[1], marks=pytest.mark.ci)])
def test_nothing_outlives_tests_that_are_killed(mode):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, possible(mode)],
        cwd=TESTS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with owner:
        folder, link = owner.stdout.readline().decode().split()
        assert mentioning(folder)
        owner.kill()
    nothing_is_left(Path(folder), link)


@pytest.mark.ci
@pytest.mark.skipif(os.geteuid() != 0, reason="the tests run as a plain user anyway")
def test_a_plain_user_can_have_one():
    check = [sys.executable, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    for check[0] in (
        sys.executable,
        "/usr/bin/python3",
    ):  # that of root may be where others can't go
        try:
            subprocess.run(
                check, user=NOBODY, group=NOBODY, extra_groups=[], check=True, cwd=TESTS, timeout=30
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        break
    else:
        pytest.skip("another user can run no Python here, or not read the tests")
    owner = subprocess.run(
        [check[0], "-B", "-c", OWNER, "one host"],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd=TESTS,
        env={"PATH": PATH},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert owner.returncode == 0, owner.stderr
    folder, link = owner.stdout.split()
    nothing_is_left(Path(folder), link)
