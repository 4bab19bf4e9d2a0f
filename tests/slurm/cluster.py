"""A Slurm cluster for the tests: some nodes on this machine, started in about a second and thrown
away in the end.

As root, each node has its own network, host name, processes and shared memory, so that MPI sees
different machines, and one can lose its power. As a plain user, or where namespaces can't be made,
all nodes share this machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from suite.limits import Limit, until

from slurm.configuration import USER, Configuration, Mode
from slurm.machine import (
    PATH,
    START_LIMIT,
    Machine,
    controller_setup,
    link_name,
    namespaces_work,
    node_setup,
    remove_link,
    reserve,
)

ENDED = frozenset(
    {
        "COMPLETED",
        "FAILED",
        "CANCELLED",
        "TIMEOUT",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "DEADLINE",
        "BOOT_FAIL",
    }
)

NAP = 0.1  # seconds between questions to the controller

CONTROLLER_SPACES = "--net --uts --mount"
NODE_SPACES = "--net --uts --mount --ipc"


class Cluster:
    """A cluster of nodes n1, n2 and so on, with one partition, to be used as a context.

    Parameters
    ----------
    folder
        Where all its files go; the path must be short. By default a new one, which is removed in
        the end.
    nodes, cpus, memory
        How many nodes, and what each has (memory in MB). No one checks that it is there.
    mode
        ``"namespaces"`` or ``"one host"``; by default the first where it can be done.
    slurmd_timeout
        Seconds without an answer after which a node is down.
    message_timeout
        Seconds that Slurm's processes wait for each other's answers. With 5 for both, it takes
        about 10 seconds until a node that has lost its power is down, and 15 with 10.
    kill_wait
        Seconds between SIGTERM and SIGKILL.
    cred_expire
        Seconds for which a job's papers are good; a job that is requeued waits one second more.
    extra
        More lines of slurm.conf.
    partitions
        More partitions, as in slurm.conf, but for "PartitionName=".
    has_accounts
        Whether there are accounts, which take some seconds to start; see `missing_accounts`.
    cgroup
        More lines of cgroup.conf. What a node makes of them is in the control groups of this
        machine, by the node's name: one such cluster at a time.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        nodes: int = 4,
        cpus: int = 2,
        memory: int = 4000,
        mode: Mode | None = None,
        slurmd_timeout: int = 5,
        message_timeout: int = 5,
        kill_wait: int = 2,
        cred_expire: int = 5,
        extra: Mapping[str, object] | None = None,
        partitions: Sequence[str] = (),
        has_accounts: bool = False,
        cgroup: Sequence[str] = (),
    ) -> None:
        self.mode: Mode = mode or ("namespaces" if namespaces_work() else "one host")
        self.nodes = [f"n{index + 1}" for index in range(nodes)]
        self.is_temporary = folder is None
        self.folder = Path(folder or tempfile.mkdtemp(prefix="mpipar-slurm-", dir="/tmp")).resolve()
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self._configuration = Configuration(
            self.folder,
            nodes=self.nodes,
            cpus=cpus,
            memory=memory,
            mode=self.mode,
            settings={
                "SlurmdTimeout": slurmd_timeout,
                "MessageTimeout": message_timeout,
                "KillWait": kill_wait,
                **(extra or {}),
            },
            cred_expire=cred_expire,
            partitions=partitions,
            has_accounts=has_accounts,
            cgroup=cgroup,
        )
        self._machines: dict[str, Machine] = {}
        self._reserved = contextlib.ExitStack()
        self._number = -1  # until it is started

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start all nodes, and wait until they are ready."""
        try:
            self._number, lock = reserve()
            self._reserved.enter_context(lock)
            if self.mode == "namespaces":
                self._reserved.callback(remove_link, self._number)
            self._configuration.write(self._number)
            self._start_controller()
            for node in self.nodes:
                self._start_node(node)
            for node in self.nodes:
                self._machines[node].await_start()
            self.wait_idle(90 if self._configuration.has_accounts else 30)
        except BaseException as error:
            logs = "\n".join(
                f"{log}:\n{log.read_text()[-2000:]}" for log in sorted(self.folder.glob("log/*"))
            )
            self.stop()
            if not isinstance(error, Exception):  # Ctrl-C
                raise
            raise RuntimeError(f"the cluster did not start: {error}\n{logs}") from error

    def stop(self) -> None:
        """Kill all that runs on the cluster, and remove what was made for it."""
        for machine in self._machines.values():
            machine.end()
        for machine in self._machines.values():
            machine.await_end()
        self._machines.clear()
        self._reserved.close()
        if self.is_temporary:  # the controller's supervisor has done that, if it ever ran
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def link(self) -> str:
        """The name of the interface by which the ordinary network reaches the cluster, if it has
        one of its own.
        """
        return link_name(self._number)

    def prefix(self, node: str | None = None) -> tuple[str, ...]:
        """Return what to put before a command to run it where the controller is, or on a node.

        ``sbatch``, ``squeue``, ``scancel``, ``scontrol``, ``sinfo`` and ``sacct`` need no prefix,
        only `environment`: the controller is reached from the ordinary network too. ``srun`` and
        ``salloc`` need it, as nodes call them. On a node, the process is not the one that was
        started, but its child: signals go to its process group.
        """
        return self._machines[node or "ctl"].prefix()

    def run(
        self,
        *command: str | Path,
        cwd: Path | str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        check: bool = True,
        node: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command where the controller is, or on a node, and end all it has started if it
        takes too long.
        """
        return self._run([*self.prefix(node), *map(str, command)], cwd, env, timeout, check)

    def ask(self, *command: str, check: bool = True) -> str:
        """Return what a command of Slurm says that needs no prefix, which is cheaper than to enter
        a machine.
        """
        return self._run(list(command), None, None, 60, check).stdout

    def _run(
        self,
        arguments: list[str],
        cwd: Path | str | None,
        env: Mapping[str, str] | None,
        timeout: float,
        check: bool,
    ) -> subprocess.CompletedProcess[str]:
        limit = Limit(timeout)
        process = subprocess.Popen(
            arguments,
            cwd=cwd,
            env={**self._clean_environment(), **self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                stdout, stderr = _communicate(process, limit)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        ended = subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)
        assert not check or ended.returncode == 0, (
            f"{arguments}: exit {ended.returncode}\n{stdout}\n{stderr}"
        )
        return ended

    def kill_node(self, node: str) -> None:
        """Cut a node's power.

        Its cable is unplugged before its processes are killed, so no one hears that their
        connections are closed: they wait for answers that don't come. Where all nodes share a host,
        the kernel closes the connections.
        """
        machine = self._machines.pop(node)
        if self.mode == "namespaces":
            self.run("ip", "link", "set", node, "nomaster")
        machine.end()
        machine.await_end()
        if self.mode == "namespaces":
            # The kernel removes it in its own time, and the node may come back before.
            self.run("ip", "link", "delete", node, check=False)

    def start_node(self, node: str) -> None:
        """Bring back a node that was killed; `wait_idle` waits until it is ready."""
        temporary = self.folder / "tmp" / node
        shutil.rmtree(temporary)  # as after a reboot
        temporary.mkdir()
        self._start_node(node)
        self._machines[node].await_start()

    @contextlib.contextmanager
    def controller_away(self) -> Iterator[None]:
        """Have slurmctld end, and start again afterwards; jobs go on meanwhile."""
        away = self.folder / "away"
        away.touch()
        try:
            pid = self._controller()
            os.kill(pid, signal.SIGTERM)
            for _ in until("the controller is away", 30):
                if not os.path.exists(f"/proc/{pid}"):
                    break
            yield
        finally:
            away.unlink()
            for _ in until("the controller is back", 60, NAP):
                if self.node_states():
                    break

    @contextlib.contextmanager
    def controller_frozen(self) -> Iterator[None]:
        """Have slurmctld take questions, and answer none."""
        pid = self._controller()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def _controller(self) -> int:
        return int((self.folder / "slurmctld.pid").read_text())

    def node_states(self) -> dict[str, str]:
        """Return the state of each node, as ``sinfo`` has it: idle, mixed, down*."""
        lines = self.ask(
            "sinfo", "--noheader", "--Node", "--format=%N %T", check=False
        ).splitlines()
        return {node: state for node, state in map(str.split, lines)}

    def wait_idle(self, timeout: float = 30) -> None:
        """Wait until all nodes are there, and do nothing."""
        for _ in until("all nodes are idle", timeout, NAP):
            if ended := [
                name for name, machine in self._machines.items() if machine.daemon_has_ended()
            ]:
                raise RuntimeError(f"the daemon has ended: {', '.join(ended)}")
            if self.node_states() == dict.fromkeys(self.nodes, "idle"):
                return

    def job(self, job_id: int | str) -> dict[str, str]:
        """Return what the controller knows about a job: JobState, NodeList, ExitCode, Restarts and
        so on.
        """
        line = self.ask("scontrol", "show", "job", "--oneliner", str(job_id)).splitlines()[0]
        parts = re.split(r"(?:^| )([A-Z][\w/:]*)=", line.strip())
        return dict(zip(parts[1::2], parts[2::2], strict=True))

    def wait(
        self, job_id: int | str, states: set[str] | frozenset[str] = ENDED, timeout: float = 60
    ) -> dict[str, str]:
        """Wait until a job is in one of these states, and return what is known of it then."""
        for _ in until(
            f"job {job_id} is in one of these states: {', '.join(sorted(states))}", timeout, NAP
        ):
            job = self.job(job_id)
            if job["JobState"] in states:
                return job
        raise AssertionError  # not reached

    def clear(self) -> None:
        """Cancel all jobs, bring back all nodes, and wait until nothing runs."""
        for node in self.nodes:
            if node not in self._machines:
                self.start_node(node)
        for _ in until("there are no more jobs", 60, NAP):
            # Again and again: a job that is being requeued comes back.
            self.ask("scancel", f"--user={USER}", check=False)
            for node, state in self.node_states().items():
                if state.startswith("drain"):
                    self.ask("scontrol", "update", f"nodename={node}", "state=resume", check=False)
            if not self.ask("squeue", "--noheader"):
                break
        self.wait_idle(60)

    def _start_controller(self) -> None:
        munged = [
            "munged",
            "--foreground",
            "--num-threads=1",
            f"--key-file={self.folder}/munge.key",
        ]
        munged += [f"--socket={self.folder}/munge.socket", f"--pid-file={self.folder}/munged.pid"]
        munged += [
            f"--log-file={self.folder}/log/munged.log",
            f"--seed-file={self.folder}/munge.seed",
        ]
        self._add("munge", munged)
        self._machines["munge"].await_start()
        for _ in until("munged listens", START_LIMIT):
            if (self.folder / "munge.socket").exists():
                break
        flags = ("--all", *(("--remove", str(self.folder)) if self.is_temporary else ()))
        setup = controller_setup(self._number, self._configuration.hosts)
        self._add(
            "ctl",
            ["sh", f"{self.folder}/controller"],
            flags=flags,
            namespaces=CONTROLLER_SPACES,
            setup=setup,
        )
        self._machines["ctl"].await_start()

    def _start_node(self, node: str) -> None:
        setup = node_setup(
            self._number,
            int(node[1:]),
            self._configuration.hosts,
            self._machines["ctl"].process.pid,
        )
        self._add(
            node,
            ["slurmd", "-D", "-N", node],
            namespaces=NODE_SPACES,
            setup=setup,
            own_processes=True,
        )

    def _add(
        self,
        name: str,
        daemon: list[str],
        *,
        flags: tuple[str, ...] = (),
        namespaces: str = "",
        setup: str = "",
        own_processes: bool = False,
    ) -> None:
        apart = self.mode == "namespaces"
        self._machines[name] = Machine(
            daemon,
            log=self.folder / "log" / f"{name}.out",
            configuration=self.environment["SLURM_CONF"],
            environment=self._clean_environment(),
            flags=flags,
            namespaces=namespaces if apart else "",
            setup=setup,
            own_processes=own_processes and apart,
        )

    def _clean_environment(self) -> dict[str, str]:
        """Return the environment without what another Slurm may have put there."""
        others = ("SLURM_", "SBATCH_", "SALLOC_", "SRUN_", "SQUEUE_", "SINFO_", "SCANCEL_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        return {**kept, "PATH": PATH}


def _communicate(process: subprocess.Popen[str], limit: Limit) -> tuple[str, str]:
    while True:
        try:
            return process.communicate(timeout=max(limit.left, 0.1))
        except subprocess.TimeoutExpired:
            if limit.is_over:
                raise
