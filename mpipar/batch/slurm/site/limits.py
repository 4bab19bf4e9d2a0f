"""How long a job may take, and how much of it there may be."""

from __future__ import annotations

from mpipar.batch.slurm.site.case import Case, Rule
from mpipar.batch.slurm.site.configuration import leading_number, said
from mpipar.batch.walltime import seconds_of


def _default_time(case: Case) -> str:
    """Tell what a job gets that asks for no time."""
    if case.wanted.time or not case.partition:
        return ""
    name, text = "DefaultTime", said(case.partition.get("DefaultTime", ""))
    if not text:
        name, text = "MaxTime", said(case.partition.get("MaxTime", ""))
    if text in ("", "UNLIMITED"):
        return ""
    return f"the job asks for no time, and gets {text} ({name} of partition {case.partition_name})"


def _too_long(case: Case) -> str:
    """Tell where a job asks for more time than its partition gives."""
    text = said(case.partition.get("MaxTime", ""))
    return _beyond(case, text, f"MaxTime={text} of partition {case.partition_name}")


def _too_long_for_account(case: Case) -> str:
    """Tell where a job asks for more time than its QOS or account gives."""
    for row in (*case.qos, *case.associations):
        told = _beyond(case, said(row["MaxWall"]), f"MaxWall={row['MaxWall']}")
        if told:
            return told
    return ""


def _beyond(case: Case, text: str, whose: str) -> str:
    most = seconds_of(text)
    if most is None or case.seconds is None or case.seconds <= most:
        return ""
    strict = case.config.setting("EnforcePartLimits").upper() in ("ALL", "ANY", "YES")
    fate = "it would wait for ever"
    if strict:
        fate = "sbatch refuses it"
    return f"resources.time = {case.wanted.time} is beyond {whose}: {fate}"


def _longer_than_limit(case: Case) -> str:
    """Tell where a limit isn't one to the second."""
    minutes = case.limit("OverTimeLimit")
    if not minutes:
        return ""
    return (
        f"Slurm ends jobs {minutes} min after their time is up (OverTimeLimit); the warning still"
        f" comes {case.wanted.warn} s before that time"
    )


def _nodes(case: Case) -> str:
    """Tell where a partition bounds the number of nodes."""
    nodes = case.wanted.nodes or 1
    most, least = (said(case.partition.get(name, "")) for name in ("MaxNodes", "MinNodes"))
    if most.isdigit() and nodes > int(most):
        return f"{nodes} nodes are more than MaxNodes={most} of partition {case.partition_name}"
    if least.isdigit() and nodes < int(least) and case.wanted.nodes:
        return f"{nodes} nodes are fewer than MinNodes={least} of partition {case.partition_name}"
    return ""


def _partition_is_down(case: Case) -> str:
    state = case.partition.get("State", "UP")
    if state == "UP":
        return ""
    return f"partition {case.partition_name} is {state}: the job is not started, or not taken"


def _no_such_partition(case: Case) -> str:
    known = case.config.partitions
    if not known or not case.wanted.partition or case.partition_name in known:
        return ""
    return f"there is no partition {case.partition_name}, only {', '.join(sorted(known))}"


def _array(case: Case) -> str:
    """Tell where an array has too many tasks: their numbers are bounded."""
    most = case.config.number("MaxArraySize")
    if most is None or not case.wanted.tasks or max(case.wanted.tasks) < most:
        return ""
    return f"MaxArraySize={most}: array.tasks may be {most - 1} at most"


def _queue(case: Case) -> str:
    """Tell where there are more jobs than a user may have in the queue; each task counts."""
    jobs = max(1, len(case.wanted.tasks))
    bounds = [("MaxSubmitJobsPerUser", row["MaxSubmitPU"], "QOS") for row in case.qos]
    bounds += [("MaxSubmitJobs", row["MaxSubmit"], "account") for row in case.associations]
    for name, text, whose in bounds:
        most = leading_number(text)
        if most is not None and jobs > most:
            return f"{jobs} jobs are more than {name}={most} of this {whose} lets wait and run"
    return ""


RULES: tuple[Rule, ...] = (
    _no_such_partition,
    _partition_is_down,
    _nodes,
    _default_time,
    _too_long,
    _too_long_for_account,
    _longer_than_limit,
    _array,
    _queue,
)
