"""What a site's configuration means for a job, and what it says to everybody."""

from __future__ import annotations

from collections.abc import Iterator

from mpipar.batch.scheduler import Request
from mpipar.batch.slurm.site import cores, endings, limits, memory
from mpipar.batch.slurm.site.case import Case
from mpipar.batch.slurm.site.configuration import Configuration, read_configuration

_RULES = (*limits.RULES, *cores.RULES, *memory.RULES, *endings.RULES)


def remarks(wanted: Request, launcher: str) -> list[str]:
    """Return what the configuration of the cluster in use means for a job, a line each; nothing
    where it can't be asked.
    """
    config = read_configuration()
    if config is None:
        return []
    return remarks_of(Case(config, wanted, launcher))


def remarks_of(case: Case) -> list[str]:
    """Return what is to be said of a case. Pure."""
    told = (rule(case) for rule in _RULES)
    return [line for line in told if line]


def facts() -> Iterator[tuple[str, str]]:
    """Yield names and values: what the configuration of the cluster in use says to everybody."""
    config = read_configuration()
    if config is not None:
        yield from facts_of(config)


def facts_of(config: Configuration) -> Iterator[tuple[str, str]]:
    """Yield what a configuration says to everybody. Pure."""
    yield "pinning", _pinning(config)
    yield "Slurm's CPUs", _cpus(config)
    yield "memory of jobs", _memory(config)
    yield "time limits", _times(config)
    yield "preemption", _preemption(config)
    yield "accounts", _accounts(config)
    others = "; ".join(_others(config))
    if others:
        yield "this site", others


def _pinning(config: Configuration) -> str:
    plugin = config.setting("TaskPlugin") or "task/none"
    told = "jobs are held to their cores"
    if not cores.holds_to_cores(config):
        told = "jobs are not held to their cores"
    return f"{told} (TaskPlugin={plugin})"


def _cpus(config: Configuration) -> str:
    kind = config.setting("SelectTypeParameters") or "no SelectTypeParameters"
    if any(map(cores.counts_threads, config.shapes)):
        return f"hardware threads ({kind})"
    return f"cores ({kind})"


def _memory(config: Configuration) -> str:
    if config.counts_memory:
        return "shared out"
    return "not shared out"


def _times(config: Configuration) -> str:
    listed = []
    for name, keys in config.partitions.items():
        longest = keys.get("MaxTime", "unknown")
        if name == config.default_partition:
            longest += " (the default)"
        listed.append(f"{name} {longest}")
    return ", ".join(listed) or "unknown"


def _preemption(config: Configuration) -> str:
    kind = config.setting("PreemptType")
    if not kind or kind.endswith("/none"):
        return "none"
    return f"{kind}, PreemptMode={config.setting('PreemptMode') or 'unknown'}"


def _accounts(config: Configuration) -> str:
    if config.has_accounts:
        return config.setting("AccountingStorageType")
    age = config.number("MinJobAge")
    return f"none: Slurm forgets jobs {age or 0} s after their end (MinJobAge)"


def _others(config: Configuration) -> Iterator[str]:
    """Yield what few sites have."""
    if config.setting("JobRequeue") == "0":
        yield "jobs that don't say --requeue aren't run again (JobRequeue=0); mpipar's do"
    if config.setting("UsePAM").lower() in ("1", "yes"):
        yield "limits such as ulimit -l are the nodes', not your shell's (UsePAM)"
    plugins = config.setting("JobSubmitPlugins")
    if plugins:
        yield f"jobs may be changed as they are submitted (JobSubmitPlugins={plugins})"
    if "use_interactive_step" in config.setting("LaunchParameters"):
        yield "salloc opens its shell on the first node (LaunchParameters=use_interactive_step)"
    default = config.setting("MpiDefault")
    yield f"srun starts ranks by --mpi={default or 'none'} (MpiDefault)"
    for name in ("KillWait", "MaxArraySize", "PrologFlags"):
        value = config.setting(name)
        if value:
            yield f"{name}={value}"
