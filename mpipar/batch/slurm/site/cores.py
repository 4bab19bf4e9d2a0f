"""Which cores ranks get, and what starts them."""

from __future__ import annotations

from mpipar.batch.slurm.site.case import Case, Rule
from mpipar.batch.slurm.site.configuration import Configuration, Shape

_HOLDING = ("affinity", "cgroup")
_OWN_CORES = {"hint": "nomultithread", "threads-per-core": "1", "ntasks-per-core": "1"}


def holds_to_cores(config: Configuration) -> bool:
    """Return whether jobs are held to the cores that they were given."""
    if not any(word in config.setting("TaskPlugin") for word in _HOLDING):
        return False
    is_by_cgroup_alone = "affinity" not in config.setting("TaskPlugin")
    return not (is_by_cgroup_alone and config.setting("ConstrainCores").lower() == "no")


def counts_threads(shape: Shape) -> bool:
    """Return whether what Slurm counts as a CPU is a hardware thread, of several to a core."""
    return shape.threads > 1 and shape.cpus >= shape.cores * shape.threads


def gives_cores(config: Configuration) -> bool:
    """Return whether no core is given to two jobs, whatever they ask for."""
    kind = config.setting("SelectTypeParameters").upper()
    return any(word in kind for word in ("CR_CORE", "CR_SOCKET", "CR_ONE_TASK_PER_CORE"))


def _pinning(case: Case) -> str:
    """Tell where jobs that share nodes may take each other's cores."""
    if holds_to_cores(case.config) or _has_whole_nodes(case):
        return ""
    plugin = case.config.setting("TaskPlugin") or "task/none"
    return (
        f"Slurm holds no job to its cores here (TaskPlugin={plugin}): others on its nodes may take"
        " them; sbatch = { exclusive = true } keeps the nodes for this one"
    )


def _threads(case: Case) -> str:
    """Tell where ranks, or jobs, may be given the threads of one core."""
    shape = next(filter(counts_threads, case.shapes), None)
    if shape is None or _asks_for_cores(case):
        return ""
    who = _who_shares(case)
    if not who:
        return ""
    return (
        f"a CPU of Slurm is a hardware thread here, {shape.threads} to a core: {who};"
        ' sbatch = { hint = "nomultithread" } gives each a core'
    )


def _asks_for_cores(case: Case) -> bool:
    given = {(name, case.option(name)) for name in _OWN_CORES}
    return not given.isdisjoint(_OWN_CORES.items())


def _who_shares(case: Case) -> str:
    """Return which processes share a core; empty if none do."""
    if case.cores_on_node > 1:
        return "ranks and workers share cores"
    if case.wanted.whole_nodes:
        return "there is a worker for each thread"
    if gives_cores(case.config):
        return ""
    return "another job may share this one's"


def _has_whole_nodes(case: Case) -> bool:
    by_wish = case.wanted.whole_nodes or case.option("exclusive") not in ("", "user", "mcs")
    return by_wish or _is_exclusive(case)


def _is_exclusive(case: Case) -> bool:
    return case.partition.get("OverSubscribe") == "EXCLUSIVE"


def _whole_nodes(case: Case) -> str:
    """Tell where a partition gives out whole nodes, whatever is asked for."""
    cpus = min((shape.cpus for shape in case.shapes), default=0)
    if not _is_exclusive(case) or case.wanted.whole_nodes or case.cores_on_node >= cpus:
        return ""
    return (
        f"partition {case.partition_name} gives out whole nodes: the job has, and may be charged"
        f" for, {cpus} CPUs on each, and asks for {case.cores_on_node}"
    )


def _too_many_cores(case: Case) -> str:
    """Tell where no node has as many CPUs as are asked for."""
    most = max((shape.cpus for shape in case.shapes), default=0)
    if not most or case.cores_on_node <= most:
        return ""
    return (
        f"no node of partition {case.partition_name} has {case.cores_on_node} CPUs: {most} at most"
    )


def _too_many_ranks(case: Case) -> str:
    """Tell where there are more ranks on a node than may be started."""
    most = case.config.number("MaxTasksPerNode")
    if most is None or case.ranks_per_node <= most:
        return ""
    return f"{case.ranks_per_node} ranks a node are more than MaxTasksPerNode={most} lets start"


def _kind_of_mpi(case: Case) -> str:
    """Tell where srun by itself may not do what this MPI wants."""
    words = case.launcher.split()
    is_alone = (case.wanted.ranks or (case.wanted.nodes or 1) * case.ranks_per_node) == 1
    if words[:1] != ["srun"] or any(word.startswith("--mpi") for word in words) or is_alone:
        return ""
    default = case.config.setting("MpiDefault")
    if default:
        return (
            f"launcher srun starts ranks as MpiDefault={default} has it: `mpipar doctor` in a job"
            " shows whether they find each other"
        )
    return (
        "launcher srun, without --mpi=, starts ranks that don't find each other (MpiDefault=none):"
        ' say launcher = "srun --mpi=pmi2" (MPICH, Intel MPI) or "srun --mpi=pmix" (Open MPI)'
    )


RULES: tuple[Rule, ...] = (
    _pinning,
    _threads,
    _whole_nodes,
    _too_many_cores,
    _too_many_ranks,
    _kind_of_mpi,
)
