"""Pictures of studies: made of what there is, without a display, and not at all without
matplotlib.
"""

import sys

import numpy as np
import pytest
from suite.rings import in_ci

from mpipar.study import laws
from mpipar.study.crossover import compare
from mpipar.study.crossover_picture import draw_crossover
from mpipar.study.design import SIZES, STRONG, WEAK, Measured, Run, Size
from mpipar.study.outcome import write_outcome
from mpipar.study.scaling_picture import draw_scaling
from mpipar.study.table import scaling_table
from mpipar.view import style


def measured(size: Size, elapsed: float, wall: float, items: int = 10**9) -> Measured:
    report = {
        "value": 3.14,
        "error": None,
        "n": items,
        "nodes": 1,
        "ranks": size.ranks,
        "workers": size.workers,
        "mpi": "MPICH 5.0.2",
        "mpipar": "0",
        "imbalance": 1.0,
    }
    return Measured(elapsed, wall, report, ["node1"], 0.0)


def study(
    *, ranks=(1, 2, 4, 8, 16, 32), workers=(1,), noise: float = 0.02, repeats: int = 5
) -> dict[Run, Measured]:
    """Return a strong and a weak study of a driver with a serial fraction of 0.03."""
    rng = np.random.default_rng(1)
    runs = {}
    for count in ranks:
        for own in workers:
            p = count * own
            times = {
                STRONG: 100 / laws.usl(0.03 * own, 0.0004, p),
                WEAK: 100 * p / laws.gustafson(0.08, p),
            }
            for mode, time in times.items():
                for repeat in range(1, repeats + 1):
                    size = Size(mode, count, own)
                    elapsed = float(time) * (1 + noise * rng.exponential())
                    runs[Run(size, repeat)] = measured(
                        size, elapsed, elapsed + 0.5, 10**9 * size.factor
                    )
    return runs


def sizes() -> dict[Run, Measured]:
    """Return a study over problem sizes in which parallel wins from 1e8 items on."""
    runs = {}
    for items in (10**5, 10**6, 10**7, 10**8, 10**9, 10**10):
        for ranks in (1, 4):
            size = Size(SIZES, ranks, 1, None, str(items))
            elapsed = items / ranks * 1e-9
            runs[Run(size, 1)] = measured(
                size, elapsed, elapsed + (0.2 if ranks == 1 else 0.4), items
            )
    return runs


@pytest.fixture(scope="module", autouse=True)
def _matplotlib():
    pytest.importorskip("matplotlib")


@pytest.mark.parametrize("cores", [8, *in_ci(None)])
@pytest.mark.parametrize("workers", [(1, 4), *in_ci((1,))])
def test_scaling(tmp_path, workers, cores):
    runs = study(workers=workers)
    parts = [scaling_table(mode, runs, None, cores) for mode in (STRONG, WEAK)]
    made = draw_scaling(parts, tmp_path / "scaling")
    assert [path.name for path in made] == ["scaling.png", "scaling.svg", "scaling.pdf"]
    png, svg, pdf = (path.read_bytes() for path in made)
    assert png.startswith(b"\x89PNG")
    assert b"<svg" in svg
    assert pdf.startswith(b"%PDF")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("ranks", [(1,), *in_ci((2, 4), (3,), (1, 2))])
def test_few_points(tmp_path, ranks):
    runs = study(ranks=ranks, repeats=1)
    assert draw_scaling([scaling_table(STRONG, runs, None, None)], tmp_path / "scaling")


def test_superlinear_and_slower_than_serial(tmp_path):
    size = [Size(STRONG, ranks, 1) for ranks in (1, 2, 4)]
    times = {size[0]: 10.0, size[1]: 4.0, size[2]: 20.0}
    runs = {Run(one, 1): measured(one, time, time) for one, time in times.items()}
    assert draw_scaling([scaling_table(STRONG, runs, None, None)], tmp_path / "scaling")


def test_crossover(tmp_path):
    made = draw_crossover(compare(sizes()), tmp_path / "crossover")
    assert all(path.stat().st_size > 1000 for path in made)


def test_without_matplotlib_there_are_tables_and_a_hint(tmp_path, monkeypatch):
    monkeypatch.setattr(style, "is_possible", lambda: False)
    said = write_outcome(
        tmp_path,
        "pi",
        {**study(), **sizes()},
        baseline=None,
        about={},
        cores=None,
        as_jobs=False,
        write_text=lambda name, text: (tmp_path / name).write_text(text),
    )
    assert "pip install 'mpipar[plot]'" in said[-1]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"scaling.csv", "scaling.md", "scaling.h5", "crossover.csv", "crossover.md"}


def test_matplotlib_is_loaded_for_pictures_alone():
    import subprocess

    code = (
        "import sys, mpipar.command.scale, mpipar.study.scaling_picture; sys.exit('matplotlib' in"
        " sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
