"""From runs to the table, the report and the file of raw times."""

import csv
import io

import h5py
import pytest

from mpipar.base.errors import BadInput
from mpipar.study import crossover, report
from mpipar.study.data import write_data
from mpipar.study.design import (
    SIZES,
    STRONG,
    WEAK,
    Measured,
    Run,
    Size,
    in_order,
    numbers,
    refuse_too_many,
    workers_of,
)
from mpipar.study.folder import StudyFolder
from mpipar.study.outcome import write_outcome
from mpipar.study.run_study import ValuesDiffer, check_values, run_study
from mpipar.study.table import scaling_table
from mpipar.view import style


def measured(
    elapsed: float, *, value: float = 3.0, items: int = 100, wall: float | None = None
) -> Measured:
    told = {
        "value": value,
        "error": None,
        "n": items,
        "nodes": 1,
        "mpi": "MPICH 5",
        "mpipar": "1",
        "imbalance": 1.0,
    }
    return Measured(elapsed, elapsed + 0.5 if wall is None else wall, told, ["node1"], 0.0)


def study(
    times: dict[int, list[float]], mode: str = STRONG, workers: int = 1
) -> dict[Run, Measured]:
    return {
        Run(Size(mode, ranks, workers), repeat): measured(
            time, items=100 * Size(mode, ranks, workers).factor
        )
        for ranks, several in times.items()
        for repeat, time in enumerate(several, 1)
    }


def test_the_table_of_a_strong_study():
    found = scaling_table(
        STRONG, study({1: [10, 12, 11], 2: [6, 5, 5.5], 4: [4, 5, 6]}), None, None
    )
    rows = found.rows
    assert [row.median for row in rows] == [11, 5.5, 5]
    assert [row.speedup for row in rows] == pytest.approx([1, 2, 2.2])
    assert [row.efficiency for row in rows] == pytest.approx([1, 1, 0.55])
    assert [row.is_low for row in rows] == [False, False, True]
    assert (rows[2].slowest, rows[2].fastest) == pytest.approx((11 / 6, 11 / 4))
    assert rows[2].serial == pytest.approx((1 / 2.2 - 1 / 4) / (1 - 1 / 4))
    assert [row.startup for row in rows] == pytest.approx([0.5] * 3)
    assert [fit.law for fit in found.series[0].fits] == ["Amdahl"]


def test_the_table_of_a_weak_study():
    found = scaling_table(WEAK, study({1: [10], 2: [10], 4: [12.5]}, WEAK), None, None)
    assert [row.speedup for row in found.rows] == pytest.approx([1, 2, 3.2])
    assert [row.items for row in found.rows] == [100, 200, 400]
    assert [fit.law for fit in found.series[0].fits] == ["Gustafson"]


def test_the_baseline_need_not_be_one_rank():
    runs = study({2: [10], 4: [6], 8: [4]})
    found = scaling_table(STRONG, runs, None, None)
    assert [row.speedup for row in found.rows] == pytest.approx([2, 20 / 6, 5])
    text = report.as_markdown("x", [found], {}, {})
    assert "relative to 2 ranks (10 s), whose speedup is 2 by definition" in text
    other = scaling_table(STRONG, runs, 4, None)
    assert [row.speedup for row in other.rows] == pytest.approx([2.4, 4, 6])
    with pytest.raises(
        BadInput, match="--baseline: there is no size with 3 ranks; there are 2, 4, 8"
    ):
        scaling_table(STRONG, runs, 3, None)


def test_the_universal_law_takes_five_sizes():
    for count, wanted in ((4, ["Amdahl"]), (5, ["Amdahl", "USL"])):
        runs = study({2**i: [10 / 2**i + 1, 10 / 2**i + 1.1] for i in range(count)})
        assert [fit.law for fit in scaling_table(STRONG, runs, None, None).series[0].fits] == wanted


def test_oversubscribed_sizes_are_told_and_not_fitted():
    runs = study({1: [10], 2: [5.5], 4: [3.0], 8: [9.0]})
    found = scaling_table(STRONG, runs, None, 4)
    assert [row.oversubscribed for row in found.rows] == [False, False, False, True]
    assert found.series[0].fits[0].points == 2
    text = report.as_markdown("x", [found], {}, {})
    assert "oversubscribed: more processes than cores; not a measurement of scaling" in text
    assert "efficiency under 0.75" in text


def test_each_number_of_workers_is_a_series_with_one_baseline():
    runs = {**study({1: [10], 2: [5], 4: [2.5]}), **study({1: [5.5], 2: [3], 4: [2]}, workers=2)}
    found = scaling_table(STRONG, runs, None, None)
    assert [series.workers for series in found.series] == [1, 2]
    assert [row.speedup for row in found.series[1].rows] == pytest.approx([10 / 5.5, 10 / 3, 5])
    assert found.baseline.size == Size(STRONG, 1, 1)


def test_csv_has_all_rows():
    parts = [
        scaling_table(STRONG, study({1: [10], 2: [5]}), None, None),
        scaling_table(WEAK, study({1: [1], 2: [2]}, WEAK), None, None),
    ]
    rows = list(csv.DictReader(io.StringIO(report.as_csv(parts))))
    assert [row["mode"] for row in rows] == ["strong", "strong", "weak", "weak"]
    assert float(rows[1]["speedup"]) == 2
    assert rows[0]["serial_fraction"] == rows[3]["serial_fraction"] == ""
    assert rows[3]["note"] == "efficiency under 0.75"


def test_raw_times_with_units(tmp_path):
    runs = study({1: [10, 11], 2: [5, 6]})
    write_data(
        tmp_path / "x.h5", runs, [scaling_table(STRONG, runs, None, None)], {"host": "node1"}
    )
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["runs"]["elapsed"].tolist() == [10, 11, 5, 6]
        assert file["runs"]["startup"].tolist() == [0.5] * 4
        assert "elapsed: s" in file["runs"].attrs["units"]
        assert file["table"]["speedup"].tolist() == pytest.approx([1, 10.5 / 5.5])
        assert file.attrs["host"] == "node1"


def put(record, runs):
    given = {
        "about": {"driver": "pi"},
        "cores": 1,
        "as_jobs": False,
        "write_text": record.write_text,
    }
    write_outcome(record.folder, "pi", runs, baseline=None, **given)


def test_many_rows_with_the_same_remarks():
    runs = {
        **study({1: [10], 2: [9], 4: [8], 8: [8]}),
        **study({1: [11], 2: [9.5], 4: [9], 8: [9]}, workers=2),
    }
    lines = report.as_markdown("x", [scaling_table(STRONG, runs, None, 2)], {}, {}).splitlines()
    assert [line for line in lines if line.startswith(("†", "‡"))] == [
        "† efficiency under 0.75  ",
        "‡ oversubscribed: more processes than cores; not a measurement of scaling  ",
    ]
    assert sum("†‡ |" in line for line in lines) == 5
    weak = scaling_table(WEAK, study({1: [10], 4: [10]}, WEAK), None, 2)
    assert "1.000‡" in report.as_markdown("x", [weak], {}, {})


def test_no_peak_is_named_that_may_not_be_there():
    times = {
        p: [10 * (0.05 + 0.95 / p) * (1 + noise) for noise in (0.0, 0.02, -0.015)]
        for p in (1, 2, 4, 8, 16)
    }
    text = report.as_markdown("x", [scaling_table(STRONG, study(times), None, None)], {}, {})
    assert "universal scalability law" in text
    assert "fastest with" not in text
    times = {
        p: [10 * (1 + 0.02 * (p - 1) + 0.004 * p * (p - 1)) / p] * 2 for p in (1, 2, 4, 8, 16, 32)
    }
    text = report.as_markdown("x", [scaling_table(STRONG, study(times), None, None)], {}, {})
    assert "fastest with about 16 processes" in text


def test_without_a_law_nothing_is_said_to_be_fitted():
    text = report.as_markdown(
        "x", [scaling_table(STRONG, study({1: [10], 2: [5]}), None, None)], {}, {}
    )
    assert "no law is fitted" in text
    assert "least squares" not in text


@pytest.fixture
def no_pictures(monkeypatch):
    """Do as if Matplotlib weren't there: pictures take a second each."""
    monkeypatch.setattr(style, "is_possible", lambda: False)


@pytest.mark.usefixtures("no_pictures")
def test_texts_that_somebody_has_edited_are_not_replaced(tmp_path):
    runs = study({1: [10], 2: [5]})
    for _ in range(2):
        with StudyFolder(tmp_path, {}) as record:
            put(record, runs)
    (tmp_path / "scaling.csv").unlink()
    runs |= study({4: [3]})
    with StudyFolder(tmp_path, {}) as record:
        put(record, runs)
    path = tmp_path / "scaling.md"
    path.write_text(path.read_text() + "my own notes\n")
    with pytest.raises(
        BadInput,
        match=r"^--output: '.*scaling.md' was changed by somebody, and would be replaced: rename",
    ):
        StudyFolder(tmp_path, {})
    assert path.read_text().endswith("my own notes\n")
    path.rename(tmp_path / "notes.md")
    with StudyFolder(tmp_path, {}) as record:
        put(record, runs)
    assert path.exists()


@pytest.mark.usefixtures("no_pictures")
def test_all_files_of_a_study(tmp_path):
    runs = {**study({1: [10], 2: [5]}), **study({1: [10], 2: [11]}, WEAK)}
    with StudyFolder(tmp_path, {}) as record:
        put(record, runs)
    text = (tmp_path / "scaling.md").read_text()
    assert {"# Scaling of `pi`", "## Strong scaling", "## Weak scaling"} <= set(text.splitlines())
    assert "* MPI: MPICH 5" in text


class Fake:
    """A runner that gives what it was told."""

    def __init__(self, runs):
        self.runs, self.asked = runs, []

    def measure(self, runs):
        for run in runs:
            self.asked.append(run)
            yield run, self.runs[run]


class Log:
    """A record in memory."""

    def __init__(self):
        self.runs = {}

    def add(self, run, found):
        self.runs[run] = found


def test_order_and_going_on():
    sizes = [Size(STRONG, ranks, 1) for ranks in (1, 2, 4)]
    order = in_order(sizes, 2)
    assert [(run.size.ranks, run.repeat) for run in order] == [
        (1, 1),
        (2, 1),
        (4, 1),
        (4, 2),
        (2, 2),
        (1, 2),
    ]
    runs = study({1: [4, 4], 2: [2, 2], 4: [1, 1]})
    log, said = Log(), []
    log.runs = {run: runs[run] for run in order[:4]}
    fake = Fake(runs)
    assert run_study(sizes, 2, fake, log, said.append) == runs
    assert fake.asked == order[4:]
    assert said[0] == "4 of 6 runs are done"
    assert "2 ranks × 1 worker, repeat 2: 2 s, start-up 0.5 s" in said[1]


def test_values_that_differ_are_told_at_once():
    runs = study({1: [4, 4], 2: [2, 2]})
    bad = Run(Size(STRONG, 2, 1), 1)
    runs[bad] = measured(2, value=3.0000000000000004)
    fake, log = Fake(runs), Log()
    with pytest.raises(
        ValuesDiffer, match=r"THE VALUES DIFFER: 3.0 with .*1 rank .* but 3.0000000000000004 with"
    ):
        run_study(sorted({run.size for run in runs}), 2, fake, log, print)
    assert len(fake.asked) == 2
    check_values(study({1: [4]}) | study({1: [4], 2: [4]}, WEAK))


def test_crossover():
    walls = {1: {100: 1.0, 1000: 2.0, 10000: 11.0}, 2: {100: 1.5, 1000: 2.5, 10000: 6.0}}
    runs = {
        Run(Size(SIZES, ranks, 1, None, str(items)), 1): measured(
            wall - 0.5, items=items, wall=wall
        )
        for ranks, of_ranks in walls.items()
        for items, wall in of_ranks.items()
    }
    (one,) = crossover.compare(runs)
    assert [point.speedup for point in one.points] == pytest.approx([1 / 1.5, 0.8, 11 / 6])
    assert 1000 < one.crossover < 10000
    assert one.verdict.startswith("2 ranks win from about 1.9e+03 items on")
    assert "**parallel**" in crossover.as_markdown("x", [one], {}, {})
    assert len(crossover.as_csv([one]).splitlines()) == 4


@pytest.mark.parametrize(
    ("parallel", "words"),
    [
        ((2, 3), "do not win at the largest"),
        ((0.5, 1), "win at all sizes"),
        ((0.5, 3), "do not win at the largest"),
    ],
)
def test_no_crossover(parallel, words):
    points = [
        crossover.Point(items, 1.0 * items, time, 1, 1)
        for items, time in zip((1, 2), parallel, strict=True)
    ]
    assert words in crossover.Comparison(2, 1, points).verdict


@pytest.mark.parametrize(("text", "found"), [("8,1,2,2", [1, 2, 8]), ("4", [4]), ("1e3", [1000])])
def test_numbers_are_sorted_and_merged(text, found):
    assert numbers(text, "--ranks") == found


@pytest.mark.parametrize("text", ["", "0", "1,,2", "x", "-1", "1.5", "1e9", "1;2"])
def test_bad_numbers(text):
    with pytest.raises(BadInput, match=r"^--ranks: expected"):
        numbers(text, "--ranks")


def test_workers():
    assert workers_of("1,2", 4, 2) == [1, 2]
    assert workers_of("auto", 2, 8) == [4]
    assert workers_of("auto", 16, 8) == [1]
    with pytest.raises(BadInput, match="--workers: auto is for studies here"):
        workers_of("auto", 2, None)


def test_more_than_sensible():
    with pytest.raises(BadInput, match="--ranks: 64 × 1 processes on 2 cores"):
        refuse_too_many([Size(STRONG, 64, 1)], 2)
    with pytest.raises(BadInput, match="--workers: 2 × 64"):
        refuse_too_many([Size(STRONG, 2, 64)], 2)
    refuse_too_many([Size(STRONG, 4, 4)], 2)
