"""How much memory a job gets."""

from __future__ import annotations

import math

from mpipar.batch.slurm.site.case import Case, Rule, megabytes

_OWN = ("mem-per-cpu", "mem-per-gpu")


def _asks(case: Case) -> bool:
    return bool(case.wanted.memory) or any(case.option(name) for name in _OWN)


def _default(case: Case) -> str:
    """Tell what a job gets that asks for none."""
    if not case.config.counts_memory or _asks(case):
        return ""
    per_node = case.limit("DefMemPerNode")
    per_cpu = case.limit("DefMemPerCPU")
    if per_node:
        return f"the job asks for no memory, and gets {per_node} MB on each node (DefMemPerNode)"
    if per_cpu:
        return (
            f"the job asks for no memory, and gets {per_cpu} MB for each of its CPUs:"
            f" {per_cpu * case.cores_on_node} MB on each node (DefMemPerCPU)"
        )
    return (
        "the job asks for no memory, and gets all of its nodes': no other job runs beside it, and"
        " it waits for empty ones; resources.memory asks for less"
    )


def _uncounted(case: Case) -> str:
    """Tell where what is asked for holds nobody off."""
    if case.config.counts_memory or not case.memory:
        return ""
    kind = case.config.setting("SelectTypeParameters") or "nothing"
    return (
        "memory isn't shared out here (SelectTypeParameters="
        f"{kind}): resources.memory picks nodes that have as much, and keeps none for this job"
    )


def _too_much(case: Case) -> str:
    """Tell where no node has what is asked for."""
    most = max((shape.memory for shape in case.shapes), default=0)
    if not case.memory or not most or case.memory <= most:
        return ""
    return (
        f"resources.memory = {case.wanted.memory}: no node of partition {case.partition_name} has"
        f" that; the largest has {most} MB"
    )


def _beyond_limit(case: Case) -> str:
    """Tell where a partition gives less than is asked for."""
    most = case.limit("MaxMemPerNode")
    if most is None or not case.memory or case.memory <= most:
        return ""
    return f"resources.memory = {case.wanted.memory} is more than MaxMemPerNode={most} MB"


def _beyond_share(case: Case) -> str:
    """Tell where memory is beyond what each CPU may have, so that more of them are given."""
    share = case.limit("MaxMemPerCPU")
    asked = case.memory or megabytes(case.option("mem-per-cpu"))
    if share is None or not asked:
        return ""
    cpus, each = 1, "CPU asked for"
    if case.memory:
        cpus, each = case.cores_on_node, "node"
    needed = math.ceil(asked / share)
    if needed <= cpus:
        return ""
    return (
        f"{asked:.0f} MB are more than MaxMemPerCPU={share} MB for {cpus}: Slurm gives, and"
        f" charges for, {needed} CPUs for each {each}"
    )


RULES: tuple[Rule, ...] = (_default, _uncounted, _too_much, _beyond_limit, _beyond_share)
