"""All files that a study ends with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mpipar.study import crossover, machine, report
from mpipar.study.crossover import Comparison
from mpipar.study.data import write_data
from mpipar.study.design import SIZES, STRONG, WEAK, Measured, Run
from mpipar.study.table import OVERSUBSCRIBED, ScalingTable, scaling_table


def write_outcome(
    folder: Path,
    title: str,
    runs: Mapping[Run, Measured],
    *,
    baseline: int | None,
    about: Mapping[str, str],
    cores: int | None,
    as_jobs: bool,
    write_text: Callable[[str, str], object],
) -> list[str]:
    """Write tables, data and pictures into a folder; return what is to be said about them.

    Parameters
    ----------
    folder : Path
    title : str
        What was studied.
    runs : mapping
        What was measured.
    baseline : int or None
        Ranks that speedups are relative to; by default those of the smallest size.
    about : mapping
        What was run, in words.
    cores : int or None
        Cores of this machine, if runs were here.
    as_jobs : bool
        Whether they were jobs.
    write_text : callable
        Called with the name and the text of each text file; what writes these must know them again.
    """
    modes = {run.size.mode for run in runs}
    tables = []
    for mode in (STRONG, WEAK):
        if mode in modes:
            tables.append(scaling_table(mode, runs, baseline, cores))
    comparisons = crossover.compare(runs) if SIZES in modes else []
    described = machine.describe(runs.values(), as_jobs=as_jobs)
    if tables:
        write_text("scaling.csv", report.as_csv(tables))
        write_text("scaling.md", report.as_markdown(f"`{title}`", tables, described, about))
    write_data(folder / "scaling.h5", runs, tables, {**about, **described})
    if comparisons:
        text = crossover.as_markdown(f"`{title}`", comparisons, described, about)
        write_text("crossover.csv", crossover.as_csv(comparisons))
        write_text("crossover.md", text)
    said = [_where(folder, tables)]
    if any(table.is_oversubscribed for table in tables):
        said.append(OVERSUBSCRIBED)
    said += [comparison.verdict for comparison in comparisons]
    return [*said, _draw(folder, tables, comparisons)]


def _where(folder: Path, tables: Sequence[ScalingTable]) -> str:
    """Return where the times are."""
    line = f"all times are in {folder / 'scaling.h5'}"
    if tables:
        line += f", the table in {folder / 'scaling.md'}"
    return line


def _draw(
    folder: Path,
    tables: Sequence[ScalingTable],
    comparisons: Sequence[Comparison],
) -> str:
    """Draw what there is, if matplotlib is here; return which pictures there are."""
    from mpipar.study.crossover_picture import draw_crossover
    from mpipar.study.scaling_picture import draw_scaling
    from mpipar.view import style

    if not style.is_possible():
        return style.HOW_TO
    paths = []
    if tables:
        paths += draw_scaling(tables, folder / "scaling")
    if comparisons:
        paths += draw_crossover(comparisons, folder / "crossover")
    return f"pictures: {', '.join(map(str, paths))}"
