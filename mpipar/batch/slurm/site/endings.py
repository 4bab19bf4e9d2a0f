"""How jobs may end before they are done, and what is remembered of them."""

from __future__ import annotations

from mpipar.batch.slurm.site.case import Case, Rule
from mpipar.batch.slurm.site.configuration import leading_number, said
from mpipar.batch.walltime import seconds_of

_USUAL_KILL_WAIT = 30
_FATES = {
    "REQUEUE": "is requeued",
    "CANCEL": "is ended: the same submission goes on",
    "SUSPEND": "is suspended on its nodes, and goes on later",
    "GANG": "takes turns with them",
}


def preemption(case: Case) -> tuple[str, int] | None:
    """Return how other jobs may take this one's place, as the mode and the seconds of grace; None
    if none can.
    """
    kind = case.config.setting("PreemptType")
    if kind.endswith("partition_prio"):
        return _by_partition(case)
    if kind.endswith("qos"):
        return _by_qos(case)
    return None


def _by_partition(case: Case) -> tuple[str, int] | None:
    own = case.partition
    tier = leading_number(own.get("PriorityTier", "")) or 0
    tiers = [leading_number(one.get("PriorityTier", "")) or 0 for one in _beside(case)]
    if tier >= max(tiers, default=0):
        return None
    mode = said(own.get("PreemptMode", "")) or case.config.setting("PreemptMode")
    return _as_mode(mode, leading_number(own.get("GraceTime", "")))


def _beside(case: Case) -> list[dict[str, str]]:
    """Return the partitions that may have this one's nodes: nobody says which have none of them."""
    return [dict(one) for one in case.config.partitions.values() if one.get("State") == "UP"]


def _by_qos(case: Case) -> tuple[str, int] | None:
    name = case.option("qos") or said(case.partition.get("QoS", "")) or "normal"
    is_prey = any(name in row["Preempt"].split(",") for row in case.config.qos)
    own = next((row for row in case.config.qos if row["Name"] == name), None)
    if not is_prey or own is None:
        return None
    mode = own["PreemptMode"]
    if mode == "cluster":
        mode = case.config.setting("PreemptMode")
    return _as_mode(mode, int(seconds_of(own["GraceTime"]) or 0))


def _as_mode(text: str, grace: int | None) -> tuple[str, int] | None:
    modes = [mode for mode in text.upper().split(",") if mode in _FATES]
    if not modes:
        return None
    modes.sort(key=list(_FATES).index)
    return modes[0], grace or 0


def _preemption(case: Case) -> str:
    """Tell whether other jobs may take this one's place."""
    found = preemption(case)
    if found is None:
        return ""
    mode, grace = found
    told = f"jobs of higher priority may take its place (PreemptMode={mode}): it"
    if mode in ("SUSPEND", "GANG"):
        return f"{told} {_FATES[mode]}"
    told = f"{told} {_fate(mode, grace, case)}"
    if grace == 0:
        return f"{told}; at once (GraceTime=0), so that only what is committed is kept"
    if grace < case.wanted.warn:
        short = f"less than restart.warn = {case.wanted.warn}"
        return f"{told}, {grace} s after it is told (GraceTime), {short}: blocks should be shorter"
    return f"{told}, {grace} s after it is told (GraceTime)"


def _fate(mode: str, grace: int, case: Case) -> str:
    """Return what becomes of a job: Slurm ends it, but leaves it time to have itself requeued."""
    if not case.wanted.requeue:
        return _FATES["CANCEL"]
    if mode == "CANCEL" and grace:
        return "commits, and has itself requeued"
    return _FATES[mode]


def _kill_wait(case: Case) -> str:
    """Tell where scancel leaves little time to commit."""
    seconds = case.config.number("KillWait")
    if seconds is None or seconds >= _USUAL_KILL_WAIT:
        return ""
    return (
        f"scancel leaves the job {seconds} s to commit (KillWait); `mpipar cancel` leaves it as"
        " long as --grace says"
    )


def _prolog(case: Case) -> str:
    """Tell where a job may be run again though it isn't to be."""
    flags = case.config.setting("PrologFlags")
    if "ForceRequeueOnFail" not in flags or case.wanted.requeue:
        return ""
    return (
        "a job whose prolog fails is requeued though restart.requeue is false"
        " (PrologFlags=ForceRequeueOnFail)"
    )


def _memory_of_jobs(case: Case) -> str:
    """Tell where an ended job is forgotten, as there are no accounts."""
    if case.config.has_accounts or not case.config.settings:
        return ""
    seconds = case.config.number("MinJobAge") or 0
    return (
        f"there are no accounts: Slurm forgets the job {seconds} s after its end (MinJobAge);"
        " `mpipar status` then has what journal and result say, and --after doesn't know it"
    )


RULES: tuple[Rule, ...] = (_preemption, _kill_wait, _prolog, _memory_of_jobs)
