"""The machines of a cluster: a daemon each, in namespaces of its own or not, which dies with the
tests.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from suite.limits import Limit

SUPERVISOR = Path(__file__).with_name("supervisor.py")
# where daemons are; a plain user's often lacks it
PATH = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
START_LIMIT = 10.0  # seconds on a quiet machine
END_LIMIT = 20.0

# Keeps the folder in which a command is started: who enters another mount namespace is at its root.
ENTER = """exec nsenter {options} -- sh -c 'cd -- "$0" && exec "$@"' "$(pwd -P)" "$@" """


def missing_programs() -> list[str]:
    """Return what a cluster needs and is not installed."""
    return [
        name
        for name in ("munged", "slurmctld", "slurmd", "sbatch")
        if not shutil.which(name, path=PATH)
    ]


def missing_accounts() -> list[str]:
    """Return what a cluster needs in addition for accounts."""
    return [name for name in ("slurmdbd", "mariadbd") if not shutil.which(name, path=PATH)]


def namespaces_work() -> bool:
    """Tell whether machines with a network of their own can be made here."""
    if os.geteuid() or not all(
        shutil.which(name, path=PATH) for name in ("ip", "unshare", "nsenter")
    ):
        return False
    probe = "unshare --net --uts --ipc --mount --pid --fork ip link add br0 type bridge"
    return subprocess.run(probe.split(), capture_output=True, env={"PATH": PATH}).returncode == 0


def reserve() -> tuple[int, socket.socket]:
    """Return a number below 200 that no other cluster on this machine has while the socket is
    open.
    """
    for number in random.sample(range(200), 200):
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0mpipar-slurm-{number}")  # no file: it goes with the process
        except OSError:
            lock.close()
        else:
            return number, lock
    raise RuntimeError("there are 200 clusters already")


class Machine:
    """A daemon under a supervisor, which ends when told to, or when this process dies.

    Parameters
    ----------
    daemon
        The command that stays in the foreground.
    configuration
        The path of slurm.conf.
    log
        The file for what it prints.
    environment
        Its environment, without SLURM_CONF.
    flags
        What the supervisor is told besides.
    namespaces
        The options of ``unshare`` for namespaces of its own; none without.
    setup
        Lines for the shell that are run in these namespaces first.
    own_processes
        Whether it has process numbers of its own too, so that they all end together.
    """

    def __init__(
        self,
        daemon: list[str],
        *,
        configuration: str,
        log: Path,
        environment: Mapping[str, str],
        flags: tuple[str, ...] = (),
        namespaces: str = "",
        setup: str = "",
        own_processes: bool = False,
    ) -> None:
        self.log = log
        self.namespaces = namespaces
        self.own_processes = own_processes
        # -S -I: a fast start.
        command = [sys.executable, "-S", "-I", str(SUPERVISOR), *flags, configuration, *daemon]
        if own_processes:
            command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--", *command]
        if namespaces:
            command = [
                "unshare",
                *namespaces.split(),
                "--",
                "sh",
                "-euc",
                setup + '\nexec "$@"',
                "sh",
                *command,
            ]
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,  # so that what has come can be seen by select
                stderr=file,
                env=environment,
                cwd="/",
                start_new_session=True,
            )

    def await_start(self) -> None:
        """Wait until the daemon has been started, in its namespaces; fail if it can't be."""
        assert self.process.stdout
        limit = Limit(START_LIMIT)
        while not (has_news := self._has_news(limit.left)) and not limit.is_over:
            pass
        if not has_news or not self.process.stdout.readline():
            raise RuntimeError(f"did not start: {self.log.read_text()}")

    def daemon_has_ended(self) -> bool:
        """Tell whether the daemon has ended by itself, once it has been started."""
        return self._has_news(0)

    def _has_news(self, time_limit: float) -> bool:
        assert self.process.stdout
        return bool(select.select([self.process.stdout], [], [], time_limit)[0])

    def prefix(self) -> tuple[str, ...]:
        """Return what to put before a command to run it on this machine."""
        if not self.namespaces:
            return ()
        # The process that made the namespaces is not in its own process namespace: only its child
        # is.
        pid = self.process.pid
        options = f"--target={pid} {self.namespaces}"
        if self.own_processes:
            options += f" --pid=/proc/{pid}/ns/pid_for_children"
        return ("sh", "-c", ENTER.format(options=options), "sh")

    def end(self) -> None:
        """Kill all that runs on the machine. It has not been told before, so nothing is put in
        order.
        """
        assert self.process.stdin
        assert self.process.stdout
        with contextlib.suppress(BrokenPipeError), self.process.stdin as pipe:
            pipe.write(b"\n")  # an end of file is not enough if this process has forked
        self.process.stdout.close()

    def await_end(self) -> None:
        """Wait until nothing runs on the machine."""
        limit = Limit(END_LIMIT)
        try:
            while True:
                try:
                    self.process.wait(max(limit.left, 0.1))
                    return
                except subprocess.TimeoutExpired:
                    if limit.is_over:
                        raise
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def link_name(number: int) -> str:
    return f"mpipar{number}"


def controller_setup(number: int, hosts: Path) -> str:
    """Return the commands for the controller's machine: a switch that all are connected to, this
    one too.

    The link to the ordinary network goes with the controller, so no interface is left over.
    """
    remove_link(number)  # of a cluster that was killed a moment ago
    link = link_name(number)
    ordinary = f"nsenter --target={os.getpid()} --net --"
    return f"""
        ip link set lo up
        ip link add br0 type bridge
        ip address add {address(number, 0)}/24 dev br0
        ip link set br0 up
        ip link add host type veth peer name {link} netns {os.getpid()}
        ip link set host master br0 up
        {ordinary} ip address add {address(number, 200)}/24 dev {link}
        {ordinary} ip link set {link} up
        hostname ctl
        mount --bind {shlex.quote(str(hosts))} /etc/hosts"""


def remove_link(number: int) -> None:
    """Remove a controller's link to the ordinary network now: the kernel does so too, in its own
    time.
    """
    command = ["ip", "link", "delete", link_name(number)]
    subprocess.run(command, env={"PATH": PATH}, stderr=subprocess.DEVNULL)


def node_setup(number: int, index: int, hosts: Path, controller: int) -> str:
    """Return the commands for a node's machine: a cable to the controller's switch, and shared
    memory of its own.

    The card's address stays the same when the node comes back: others remember it.
    """
    return f"""
        ip link add eth0 address 02:00:00:00:00:{index:02x} type veth peer name n{index} netns {controller}
        nsenter --target={controller} --net -- ip link set n{index} master br0 up
        ip link set lo up
        ip address add {address(number, index)}/24 dev eth0
        ip link set eth0 up
        hostname n{index}
        mount --bind {shlex.quote(str(hosts))} /etc/hosts
        mount -t tmpfs tmpfs /dev/shm"""


def address(number: int, index: int) -> str:
    """Return the address of a machine: 0 is the controller. These addresses are set aside for tests
    of networks.
    """
    return f"198.18.{number}.{index + 1}"


def free_ports(number: int, count: int) -> int:
    """Return the first of some ports that are free, in a part of the range for this cluster
    alone.
    """
    for first in range(20000 + 50 * number, 20000 + 50 * (number + 1) - count):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise RuntimeError("no free ports")
