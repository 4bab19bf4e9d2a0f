"""The files of a cluster: slurm.conf, and what the daemons and the nodes need besides."""

from __future__ import annotations

import os
import pwd
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from slurm.machine import address, free_ports

Mode = Literal["namespaces", "one host"]
USER = pwd.getpwuid(os.geteuid()).pw_name
LONGEST_PATH = 60  # of the folder: that of a socket in it has 107 at most

CONFIGURATION = """\
ClusterName=mpipar
SlurmUser={user}
SlurmdUser={user}
SlurmctldHost={controller}
SlurmctldPort={port}
AuthInfo=socket={folder}/munge.socket,cred_expire={cred_expire}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
TmpFS={folder}/tmp/%n
TaskProlog={folder}/task-prolog
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/%n.log
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/log/completed
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,bf_continue,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldTimeout=10
TCPTimeout=2
MinJobAge=3600
"""
# Temporary files are each node's own: their names have numbers of processes in them, which are the same on all nodes.
TASK_PROLOG = """\
#!/bin/sh
echo "export TMPDIR={folder}/tmp/$SLURMD_NODENAME"
"""
# Two devices that are there stand in for GPUs: Slurm hands them out, and nobody opens them.
GRES_CONFIGURATION = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"
GPUS = 2  # of each node
# Without it slurmd looks for a systemd to ask for its control group.
CGROUP_CONFIGURATION = "CgroupPlugin=cgroup/v1\n"


@dataclass
class Configuration:
    """What the cluster is to be, and where its files go."""

    folder: Path
    nodes: list[str]
    cpus: int
    memory: int
    mode: Mode
    settings: Mapping[str, object]
    cred_expire: int

    @property
    def hosts(self) -> Path:
        """The file that the machines have as ``/etc/hosts``."""
        return self.folder / "hosts"

    def write(self, number: int) -> None:
        """Write all files and folders, for a cluster with this number."""
        assert 1 <= len(self.nodes) <= 40
        assert len(str(self.folder)) <= LONGEST_PATH, f"too long for the sockets in it: {self.folder}"
        self._make_folders()
        names = ["ctl", *self.nodes]
        addresses = {name: address(number, index) for index, name in enumerate(names)}
        lines = ["127.0.0.1 localhost", *(f"{where} {name}" for name, where in addresses.items())]
        self.hosts.write_text("\n".join(lines) + "\n")
        if self.mode == "namespaces":
            port, controller = 6817, f"ctl({addresses['ctl']})"
            places = {node: f"NodeHostname={node} NodeAddr={addresses[node]} Port=6818" for node in self.nodes}
        else:
            host = socket.gethostname().partition(".")[0]
            port, controller = free_ports(number, 1 + len(self.nodes)), f"{host}(127.0.0.1)"
            places = {
                node: f"NodeHostname={host} NodeAddr=127.0.0.1 Port={port + 1 + index}"
                for index, node in enumerate(self.nodes)
            }
        text = CONFIGURATION.format(
            user=USER, folder=self.folder, controller=controller, port=port, cred_expire=self.cred_expire
        )
        replaced = tuple(f"{name}=" for name in self.settings)
        text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith(replaced))
        text += "".join(f"{name}={value}\n" for name, value in self.settings.items())
        for node, place in places.items():
            text += f"NodeName={node} {place} CPUs={self.cpus} RealMemory={self.memory} Gres=gpu:{GPUS} State=UNKNOWN\n"
        text += "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n"
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text(GRES_CONFIGURATION)
        (self.folder / "cgroup.conf").write_text(CGROUP_CONFIGURATION)
        (self.folder / "task-prolog").write_text(TASK_PROLOG.format(folder=self.folder))
        (self.folder / "task-prolog").chmod(0o755)

    def _make_folders(self) -> None:
        for name in ("state", "log", *(f"{kind}/{node}" for kind in ("spool", "tmp") for node in self.nodes)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)  # munged refuses a socket that others can't reach
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
