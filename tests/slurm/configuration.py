"""The files of a cluster: slurm.conf, and what the daemons and the nodes need besides."""

from __future__ import annotations

import os
import pwd
import secrets
import socket
from collections.abc import Mapping, Sequence
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
# Temporary files are each node's own: their names have numbers of processes in them, which are the
# same on all nodes.
TASK_PROLOG = """\
#!/bin/sh
echo "export TMPDIR={folder}/tmp/$SLURMD_NODENAME"
"""
# What runs on the controller's machine. While there is a file "away", slurmctld isn't started
# again.
CONTROLLER = """\
#!/bin/sh
cd {folder}
{accounts}
while :; do
    slurmctld -D
    [ -e away ] || exit
    while [ -e away ]; do sleep 0.1; done
done
"""
# slurmctld wants to know its cluster when it starts. In a database of its own, slurmdbd needs no
# password.
ACCOUNTS = """\
mariadb-install-db --no-defaults --user={user} --datadir={folder}/database --skip-test-db \\
    --auth-root-authentication-method=normal > log/database 2>&1
export MYSQL_UNIX_PORT={folder}/database.socket
mariadbd --no-defaults --user={user} --datadir={folder}/database --socket={folder}/database.socket --skip-networking \\
    --pid-file={folder}/database.pid --innodb-buffer-pool-size=32M --innodb-log-file-size=8M \\
    --innodb-flush-log-at-trx-commit=0 >> log/database 2>&1 &
until mariadb-admin --no-defaults --user=root ping > /dev/null 2>&1; do sleep 0.1; done
mariadb --no-defaults --user=root --execute="create user slurm; grant all on slurm_acct_db.* to slurm"
slurmdbd -D &
until sacctmgr --noheader show cluster > /dev/null 2>&1; do sleep 0.1; done
sacctmgr --immediate add cluster mpipar > log/accounts
sacctmgr --immediate add account all cluster=mpipar >> log/accounts
sacctmgr --immediate add user {user} account=all >> log/accounts"""
ACCOUNTS_CONFIGURATION = """\
AuthInfo=socket={folder}/munge.socket
DbdHost={host}
DbdAddr={address}
DbdPort={port}
SlurmUser={user}
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StorageLoc=slurm_acct_db
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
    partitions: Sequence[str] = ()
    has_accounts: bool = False
    cgroup: Sequence[str] = ()

    @property
    def hosts(self) -> Path:
        """The file that the machines have as ``/etc/hosts``."""
        return self.folder / "hosts"

    def write(self, number: int) -> None:
        """Write all files and folders, for a cluster with this number."""
        assert 1 <= len(self.nodes) <= 40
        assert len(str(self.folder)) <= LONGEST_PATH, (
            f"too long for the sockets in it: {self.folder}"
        )
        self._make_folders()
        names = ["ctl", *self.nodes]
        addresses = {name: address(number, index) for index, name in enumerate(names)}
        lines = ["127.0.0.1 localhost", *(f"{where} {name}" for name, where in addresses.items())]
        self.hosts.write_text("\n".join(lines) + "\n")
        if self.mode == "namespaces":
            port, controller, accounts = 6817, f"ctl({addresses['ctl']})", (addresses["ctl"], 6819)
            places = {
                node: f"NodeHostname={node} NodeAddr={addresses[node]} Port=6818"
                for node in self.nodes
            }
        else:
            host = socket.gethostname().partition(".")[0]
            port, controller = free_ports(number, 2 + len(self.nodes)), f"{host}(127.0.0.1)"
            accounts = ("127.0.0.1", port + 1 + len(self.nodes))
            places = {
                node: f"NodeHostname={host} NodeAddr=127.0.0.1 Port={port + 1 + index}"
                for index, node in enumerate(self.nodes)
            }
        text = CONFIGURATION.format(
            user=USER,
            folder=self.folder,
            controller=controller,
            port=port,
            cred_expire=self.cred_expire,
        )
        replaced = tuple(f"{name}=" for name in self.settings)
        text = "".join(
            line for line in text.splitlines(keepends=True) if not line.startswith(replaced)
        )
        text += "".join(f"{name}={value}\n" for name, value in self.settings.items())
        for node, place in places.items():
            text += (
                f"NodeName={node} {place} CPUs={self.cpus} RealMemory={self.memory} Gres=gpu:{GPUS}"
                " State=UNKNOWN\n"
            )
        text += "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n"
        text += "".join(f"PartitionName={line}\n" for line in self.partitions)
        if self.has_accounts:
            text += self._write_accounts(*accounts)
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text(GRES_CONFIGURATION)
        (self.folder / "cgroup.conf").write_text(
            CGROUP_CONFIGURATION + "".join(f"{line}\n" for line in self.cgroup)
        )
        (self.folder / "task-prolog").write_text(TASK_PROLOG.format(folder=self.folder))
        (self.folder / "task-prolog").chmod(0o755)
        more = ACCOUNTS.format(folder=self.folder, user=USER) if self.has_accounts else ""
        (self.folder / "controller").write_text(
            CONTROLLER.format(folder=self.folder, accounts=more)
        )

    def _write_accounts(self, where: str, port: int) -> str:
        """Write what the accounts' daemon needs, and return the lines of slurm.conf."""
        host = "ctl" if self.mode == "namespaces" else socket.gethostname().partition(".")[0]
        path = self.folder / "slurmdbd.conf"
        path.touch(mode=0o600)  # slurmdbd refuses what others can read
        path.write_text(
            ACCOUNTS_CONFIGURATION.format(
                folder=self.folder, user=USER, host=host, address=where, port=port
            )
        )
        settings = {"Type": "accounting_storage/slurmdbd", "Host": where, "Port": port}
        settings["Pass"] = f"{self.folder}/munge.socket"
        return "".join(f"AccountingStorage{name}={value}\n" for name, value in settings.items())

    def _make_folders(self) -> None:
        for name in (
            "state",
            "log",
            *(f"{kind}/{node}" for kind in ("spool", "tmp") for node in self.nodes),
        ):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)  # munged refuses a socket that others can't reach
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
