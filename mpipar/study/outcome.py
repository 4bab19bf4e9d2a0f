"""All files that a study ends with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mpipar.study import crossover, machine, report
from mpipar.study.data import write_data
from mpipar.study.design import SIZES, STRONG, WEAK, Measured, Run
from mpipar.study.table import OVERSUBSCRIBED, scaling_table


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
    modes = [mode for mode in (STRONG, WEAK) if any(run.size.mode == mode for run in runs)]
    parts = [scaling_table(mode, runs, baseline, cores) for mode in modes]
    described = machine.describe(runs.values(), as_jobs=as_jobs)
    said, drawn = [], []
    if parts:
        write_text("scaling.csv", report.as_csv(parts))
        write_text("scaling.md", report.as_markdown(f"`{title}`", parts, described, about))
        drawn.append("scaling")
    write_data(folder / "scaling.h5", runs, parts, {**about, **described})
    said.append(
        f"all times are in {folder / 'scaling.h5'}"
        + f", the table in {folder / 'scaling.md'}" * bool(parts)
    )
    if any(row.oversubscribed for one in parts for row in one.rows):
        said.append(OVERSUBSCRIBED)
    comparisons = crossover.compare(runs) if any(run.size.mode == SIZES for run in runs) else []
    if comparisons:
        write_text("crossover.csv", crossover.as_csv(comparisons))
        write_text(
            "crossover.md", crossover.as_markdown(f"`{title}`", comparisons, described, about)
        )
        drawn.append("crossover")
        said += [comparison.verdict for comparison in comparisons]
    from mpipar.study import pictures
    from mpipar.view import style

    if not style.is_possible():
        return [*said, style.HOW_TO]
    if parts:
        pictures.draw_scaling(parts, folder / "scaling")
    if comparisons:
        pictures.draw_crossover(comparisons, folder / "crossover")
    return [
        *said,
        (
            "pictures:"
            f" {', '.join(str(folder / f'{name}.{kind}') for name in drawn for kind in style.KINDS)}"
        ),
    ]
