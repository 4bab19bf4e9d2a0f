"""What ``mpipar show`` says of a result, in pairs of a label and words.

What comes from the file is not made printable here: whoever prints it does that, line by line.
"""

from __future__ import annotations

from mpipar.base.text import items_in_blocks, several
from mpipar.store.summary import Rows, Summary
from mpipar.view.result_text import shown, value_lines
from mpipar.view.words import one_line, size

_FEW_HOSTS = 6
_FEW_SKIPPED = 5

Pairs = list[tuple[str, str]]


def value_text(summary: Summary) -> str:
    """Return the result with its error, as the run has printed it."""
    lines = value_lines(summary.driver, summary.value, summary.error)
    if summary.error is not None and not isinstance(summary.error, float):
        lines.append(f"error = {shown(summary.error)}")
    return "\n".join(lines)


def about_problem(summary: Summary) -> Pairs:
    """Return what was computed."""
    plan = items_in_blocks(summary.plan.n, summary.plan.n_blocks, summary.plan.block)
    pairs = [("problem", f"{plan}, seed {summary.seed}")]
    if summary.parameters:
        pairs.append(("parameters", parameters(summary)))
    return pairs


def parameters(summary: Summary) -> str:
    """Return names and values in one line."""
    return ", ".join(f"{name} = {one_line(value)}" for name, value in summary.parameters.items())


def about_run(summary: Summary) -> Pairs:
    """Return where and when that was, and with which software."""
    processes = f"{several(summary.ranks, 'rank')} × {several(summary.workers, 'worker')}"
    nodes = f"{several(summary.nodes, 'node')} ({_hosts(summary)})"
    where = f"{processes} on {nodes}, {summary.schedule} schedule"
    if summary.gpus:
        where += f", on GPUs ({', '.join(summary.gpus)})"
    if summary.simd:
        where += f", {' and '.join(summary.simd)}"
    if summary.compile_seconds:
        where += f", compiled in {summary.compile_seconds:.1f} s"
    created = summary.provenance.created
    when = "at an unknown time" if created is None else created
    return [("run", where), ("made", f"{when}, {_versions(summary)}")]


def _versions(summary: Summary) -> str:
    made = summary.provenance
    versions = {
        "mpipar": made.mpipar,
        "": summary.library,
        "Python": made.python,
        "NumPy": made.numpy,
        "h5py": made.h5py,
    }
    return ", ".join(f"{name} {version}".strip() for name, version in versions.items() if version)


def _hosts(summary: Summary) -> str:
    hosts = summary.hosts
    if len(hosts) == 1:
        return next(iter(hosts))
    are_many = len(hosts) > _FEW_HOSTS
    are_alike = len(set(hosts.values())) == 1
    if are_many and are_alike:
        first, *_, last = hosts
        return f"{first} to {last}, {several(hosts[first], 'rank')} each"
    told = [f"{host}: {count}" for host, count in list(hosts.items())[:_FEW_HOSTS]]
    if are_many:
        told.append(f"{len(hosts) - _FEW_HOSTS} more")
    return ", ".join(told)


def about_time(summary: Summary) -> Pairs:
    """Return how long it took, and how well the work was balanced."""
    processes = len(summary.processes)
    pairs = [("elapsed", _elapsed(summary))]
    if processes > 1:
        imbalance = f"{summary.imbalance:.3f} (longest time in kernels over the mean)"
        pairs.append(("imbalance", imbalance))
    if summary.lower_bound > 0:
        pairs.append(("bound", _bound(summary)))
    if len(summary.finishes) > 1:
        pairs.append(("finish", _finish(summary)))
    return pairs


def _elapsed(summary: Summary) -> str:
    elapsed = summary.elapsed
    processes = len(summary.processes)
    took = f"{elapsed:.3f} s"
    if elapsed <= 0:
        return took
    if not summary.resumed_blocks:
        took += f", {summary.plan.n / elapsed:.3g} items/s"
    if processes:
        were = several(processes, "process was", "processes were")
        share = summary.busy / elapsed / processes
        took += f"; {were} in kernels for {share:.1%} of that"
    return took


def _bound(summary: Summary) -> str:
    if summary.longest_block == summary.lower_bound:
        why = "the longest block"
    else:
        why = "an equal share for each process"
    times = summary.elapsed / summary.lower_bound
    return (
        f"{summary.lower_bound:.3f} s ({why}) is what no schedule can beat:"
        f" this run took {times:.3f} × that"
    )


def _finish(summary: Summary) -> str:
    finishes = summary.finishes
    told = (
        f"last blocks ended from {finishes.min():.3f} s to {finishes.max():.3f} s,"
        f" mean {finishes.mean():.3f} s"
    )
    idle = len(summary.processes) - len(finishes)
    if idle > 0:
        told += f"; {several(idle, 'process', 'processes')} had none"
    return told


def about_trouble(summary: Summary) -> Pairs:
    """Return what went wrong, or was done before."""
    trouble = summary.run.trouble
    pairs = []
    if trouble.resumed_blocks:
        before = trouble.resumed_blocks
        here = summary.evaluated_blocks
        words = f"{before:_} blocks were done before, {here:_} in this run, which all times are of"
        pairs.append(("resumed", words))
    if trouble.retried_blocks:
        times = several(trouble.retried_blocks, "time")
        pairs.append(("retried", f"blocks were evaluated again {times}"))
    lost = []
    if trouble.lost_ranks:
        lost.append(several(trouble.lost_ranks, "rank"))
    if trouble.lost_workers:
        lost.append(several(trouble.lost_workers, "worker"))
    if lost:
        pairs.append(("lost", f"{' and '.join(lost)} died on the way, and others did their blocks"))
    if trouble.skipped_blocks:
        pairs += _skipped(summary)
    return pairs


def _skipped(summary: Summary) -> Pairs:
    failed = several(summary.run.trouble.skipped_blocks, "block")
    pairs = [("skipped", f"{failed} failed, and the result is without them")]
    for block in summary.skipped[:_FEW_SKIPPED]:
        items = f"items {block['start']} to {block['stop'] - 1}"
        pairs.append(("", f"block {block['block']} ({items}): {one_line(block['reason'])}"))
    more = len(summary.skipped) - _FEW_SKIPPED
    if more > 0:
        pairs.append(("", f"… and {more} more: /skipped in the file has them all"))
    return pairs


def about_file(summary: Summary) -> Pairs:
    """Return what is in the file."""
    pairs = [("file", f"{summary.path}, {size(summary.size)}")]
    for rows in summary.rows:
        pairs.append(("rows", _rows(rows)))
    if summary.why_no_timeline:
        pairs.append(("timeline", f"none: {summary.why_no_timeline}"))
    return pairs


def _rows(rows: Rows) -> str:
    shape = " × ".join(map(str, rows.shape)) or "one"
    units = f" in {rows.units}" if rows.units else ""
    told = f"/{rows.name}, {shape} {rows.dtype}{units}, {size(rows.bytes)}"
    if rows.description:
        told += f": {one_line(rows.description)}"
    return told
