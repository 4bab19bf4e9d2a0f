"""What Slurm prints of five sites' configurations, shortened to what has a meaning for jobs.

That of 22.05 was recorded on a cluster of the tests; the others follow the manuals of their
versions (slurm.conf, scontrol, sinfo, sacctmgr), whose spellings differ.
"""

from __future__ import annotations

from typing import NamedTuple

from mpipar.batch.slurm.site.configuration import (
    ASSOCIATION_FIELDS,
    QOS_FIELDS,
    Configuration,
    partitions_of,
    settings_of,
    shapes_of,
    table_of,
)


class Site(NamedTuple):
    """What the programs print."""

    config: str
    partition: str
    nodes: str
    qos: str = ""
    associations: str = ""

    def read(self) -> Configuration:
        return Configuration(
            settings_of(self.config),
            partitions_of(self.partition),
            shapes_of(self.nodes),
            table_of(self.qos, QOS_FIELDS),
            table_of(self.associations, ASSOCIATION_FIELDS),
        )


# A university's: hyperthreads, whole cores, memory by the CPU, nothing preempted.
THREADS = Site(
    """\
Configuration data as of 2021-03-08T10:11:12
AccountingStorageEnforce = associations,limits,qos,safe
AccountingStorageType   = accounting_storage/slurmdbd
DefMemPerCPU            = 2000
EnforcePartLimits       = ALL
JobRequeue              = 1
JobSubmitPlugins        = (null)
KillWait                = 30 sec
LaunchParameters        = (null)
MaxArraySize            = 1001
MaxMemPerCPU            = 4000
MaxTasksPerNode         = 512
MinJobAge               = 300 sec
MpiDefault              = pmix
OverTimeLimit           = 5 min
PreemptMode             = OFF
PreemptType             = preempt/none
PrologFlags             = Alloc,Contain
SelectType              = select/cons_tres
SelectTypeParameters    = CR_CORE_MEMORY
SLURM_VERSION           = 20.11.9
TaskPlugin              = task/affinity,task/cgroup
TaskPluginParam         = (null type)
UsePam                  = 0

Cgroup Support Configuration:
AllowedDevicesFile      = /etc/slurm/cgroup_allowed_devices_file.conf
ConstrainCores          = yes
ConstrainRAMSpace       = yes

Slurmctld(primary) at head is UP
""",
    "PartitionName=batch AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL Default=YES"
    " QoS=N/A DefaultTime=01:00:00 DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO"
    " MaxNodes=16 MaxTime=2-00:00:00 MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED Nodes=c[001-040]"
    " PriorityJobFactor=1 PriorityTier=1 OverSubscribe=NO OverTimeLimit=NONE PreemptMode=OFF"
    " State=UP TotalCPUs=3840 TotalNodes=40 SelectTypeParameters=NONE JobDefaults=(null)"
    " DefMemPerCPU=2000 MaxMemPerCPU=4000\n",
    "batch|40|96|2|24|2|190000\n",
    "normal|||00:00:00|||\n",
    "physics||normal||\n",
)

# QOS that preempt and bound, threads given out one by one.
QOS = Site(
    """\
AccountingStorageType   = accounting_storage/slurmdbd
DefMemPerNode           = UNLIMITED
EnforcePartLimits       = NO
JobRequeue              = 1
KillWait                = 10 sec
MaxArraySize            = 10000
MinJobAge               = 300 sec
MpiDefault              = none
OverTimeLimit           = 0 min
PreemptMode             = CANCEL
PreemptType             = preempt/qos
PrologFlags             = Alloc,Contain,ForceRequeueOnFail
SelectTypeParameters    = CR_CPU_MEMORY
SLURM_VERSION           = 21.08.8-2
TaskPlugin              = task/cgroup,task/affinity
UsePam                  = Yes
""",
    "PartitionName=cpu Default=YES QoS=N/A DefaultTime=NONE GraceTime=0 MaxNodes=UNLIMITED"
    " MaxTime=UNLIMITED MinNodes=1 Nodes=n[1-8] PriorityTier=1 OverSubscribe=NO OverTimeLimit=NONE"
    " PreemptMode=CANCEL State=UP DefMemPerNode=UNLIMITED MaxMemPerNode=64000\n"
    "PartitionName=old Default=NO QoS=N/A DefaultTime=NONE GraceTime=0 MaxNodes=UNLIMITED"
    " MaxTime=UNLIMITED MinNodes=0 Nodes=o[1-2] PriorityTier=1 OverSubscribe=NO State=DOWN\n",
    "cpu|6|16|1|8|2|128000\ncpu|2|32|1|16|2|256000\nold|2|8|1|8|1|16000\n",
    "normal||cluster|00:00:00|||\nscavenger||requeue|00:01:00|1-00:00:00|10|\nhigh|scavenger|cluster"
    "|00:00:00|||\nlow||cluster|00:05:00|||\nhighest|low,normal|cluster|00:00:00|||\n",
    "lab||normal|20|12:00:00\n",
)

RECORDED = Site(
    """\
Configuration data as of 2026-11-29T18:02:40
AccountingStorageBackupHost = (null)
AccountingStorageEnforce = none
AccountingStorageType   = accounting_storage/slurmdbd
DefMemPerNode           = UNLIMITED
EnforcePartLimits       = NO
JobRequeue              = 1
JobSubmitPlugins        = (null)
KillWait                = 2 sec
LaunchParameters        = (null)
MaxArraySize            = 20
MaxMemPerNode           = UNLIMITED
MaxTasksPerNode         = 512
MinJobAge               = 3600 sec
MpiDefault              = none
OverTimeLimit           = 0 min
PreemptMode             = REQUEUE
PreemptType             = preempt/partition_prio
PreemptExemptTime       = 00:00:00
PrologFlags             = (null)
SelectType              = select/cons_tres
SelectTypeParameters    = CR_CPU_MEMORY
SLURM_VERSION           = 22.05.8
TaskPlugin              = task/affinity
TaskPluginParam         = (null type)
UsePam                  = No

MPI Plugins Configuration:
PMIxTimeout             = 300

Slurmctld(primary) at ctl is UP
""",
    "PartitionName=main Default=YES QoS=N/A DefaultTime=NONE GraceTime=0 MaxNodes=UNLIMITED"
    " MaxTime=UNLIMITED MinNodes=0 Nodes=n[1-4] PriorityTier=1 OverSubscribe=NO OverTimeLimit=NONE"
    " PreemptMode=REQUEUE State=UP DefMemPerNode=UNLIMITED MaxMemPerNode=UNLIMITED\n"
    "PartitionName=spare Default=NO QoS=N/A DefaultTime=NONE GraceTime=15 MaxNodes=UNLIMITED"
    " MaxTime=UNLIMITED MinNodes=0 Nodes=n[1-4] PriorityTier=1 OverSubscribe=NO OverTimeLimit=NONE"
    " PreemptMode=REQUEUE State=UP DefMemPerNode=UNLIMITED MaxMemPerNode=UNLIMITED\n"
    "PartitionName=short Default=NO QoS=N/A DefaultTime=00:05:00 GraceTime=0 MaxNodes=UNLIMITED"
    " MaxTime=00:10:00 MinNodes=0 Nodes=n[1-4] PriorityTier=5 OverSubscribe=NO OverTimeLimit=NONE"
    " PreemptMode=OFF State=UP DefMemPerNode=UNLIMITED MaxMemPerNode=UNLIMITED\n",
    "main|4|8|8|1|1|4000\nspare|4|8|8|1|1|4000\nshort|4|8|8|1|1|4000\n",
    "normal||cluster|00:00:00|||\n",
    "root||normal||\n",
)

# A centre's: whole nodes, nothing held or counted within them, jobs changed as they come.
WHOLE = Site(
    """\
AccountingStorageType   = accounting_storage/slurmdbd
DefMemPerNode           = UNLIMITED
JobRequeue              = 0
JobSubmitPlugins        = lua
KillWait                = 60 sec
LaunchParameters        = use_interactive_step
MaxArraySize            = 30000
MaxTasksPerNode         = 64
MinJobAge               = 300 sec
MpiDefault              = cray_shasta
PreemptMode             = OFF
PreemptType             = (null)
PrologFlags             = Alloc,Contain,X11
SelectTypeParameters    = CR_CORE
SLURM_VERSION           = 23.02.7
TaskPlugin              = task/none
UsePAM                  = Yes
""",
    "PartitionName=standard Default=YES QoS=standard DefaultTime=NONE GraceTime=0 MaxNodes=512"
    " MaxTime=1-00:00:00 MinNodes=2 Nodes=nid[001000-001511] PriorityTier=1 OverSubscribe=EXCLUSIVE"
    " OverTimeLimit=NONE PreemptMode=OFF State=UP\n"
    "PartitionName=shared Default=NO QoS=N/A DefaultTime=NONE GraceTime=0 MaxNodes=1"
    " MaxTime=1-00:00:00 MinNodes=0 Nodes=nid[001000-001009] PriorityTier=1 OverSubscribe=NO"
    " OverTimeLimit=NONE PreemptMode=OFF State=UP\n",
    "standard|512|256|2|64|2|256000\nshared|10|128|2|64|1|256000\n",
    "standard||cluster|00:00:00|1-00:00:00|16|\n",
)

# A group's own: no accounts, jobs that are suspended for others.
SMALL = Site(
    """\
AccountingStorageType   = (null)
DefMemPerNode           = 8000
KillWait                = 30 sec
MaxArraySize            = 1001
MinJobAge               = 300 sec
MpiDefault              = (null)
PreemptMode             = GANG,SUSPEND
PreemptType             = preempt/partition_prio
SelectTypeParameters    = CR_CORE_MEMORY
SLURM_VERSION           = 24.11.3
TaskPlugin              = task/cgroup
UsePAM                  = No

Cgroup Support Configuration:
CgroupPlugin            = autodetect
ConstrainCores          = no
""",
    "PartitionName=low AllowGroups=ALL Default=YES QoS=N/A DefaultTime=NONE GraceTime=0"
    " MaxTime=UNLIMITED MinNodes=0 Nodes=w[1-3] PriorityTier=1 OverSubscribe=FORCE:1"
    " PreemptMode=GANG,SUSPEND State=UP\n"
    "PartitionName=high Default=NO QoS=N/A MaxTime=UNLIMITED PriorityTier=2 PreemptMode=OFF"
    " State=UP\n",
    "low|3|64|1|64|1|500000\nhigh|3|64|1|64|1|500000\n",
)
