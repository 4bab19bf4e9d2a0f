"""Why jobs wait, in plain words."""

from __future__ import annotations

_NEVER = "it will never start; cancel it"
_REASONS = {
    "Priority": "other jobs are before it",
    "Resources": "it is next, as soon as enough nodes are free",
    "None": "Slurm has not looked at it yet",
    "Dependency": "it waits for another job",
    "DependencyNeverSatisfied": f"the job that it waits for has failed: {_NEVER}",
    "BeginTime": "it is not to start before a given time; one that was just requeued waits for up"
    " to two minutes",
    "JobHeldUser": "you hold it: scontrol release lets it go",
    "JobHeldAdmin": "an administrator holds it",
    "launch failed requeued held": "its start failed, and it is held: scontrol release lets it go",
    "JobArrayTaskLimit": "as many tasks of the array run as are to at once",
    "PartitionTimeLimit": f"its time limit is beyond the partition's: {_NEVER}",
    "PartitionNodeLimit": f"it asks for more nodes than the partition allows: {_NEVER}",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition takes no new jobs at the moment",
    "BadConstraints": f"no node has what it asks for: {_NEVER}",
    "ReqNodeNotAvail": "a node that it needs is down, or reserved, maybe for maintenance",
    "Reservation": "its reservation has not begun",
    "Licenses": "it waits for a licence",
    "InvalidAccount": f"the account isn't valid: {_NEVER}",
    "InvalidQOS": f"the QOS isn't valid: {_NEVER}",
    "JobLaunchFailure": "it could not be started",
    "NodeDown": "a node that it needs is down",
}
_LIMITS = ("QOS", "Assoc", "MaxJobs", "Max")


def why(reason: str) -> str:
    """Return why a job waits, in plain words, with Slurm's own."""
    known = _REASONS.get(reason or "None") or _REASONS.get(reason.partition(",")[0])
    if known is None and reason.startswith(_LIMITS):
        known = "a limit of your account or QOS is reached"
    if known is None:
        return reason
    return f"{known} ({reason})" if reason else known
