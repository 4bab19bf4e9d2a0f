"""Datasets: the same rows in every mode, in the file and in memory, and nothing left beside the
file.
"""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import chosen_ranks, mpirun, over, python

PROGRAMS = str(Path(__file__).with_name("programs.py"))

MODES = [
    (None, 2, "stride"),
    (1, 1, "slice"),
    *[
        (ranks, 1, schedule)
        for ranks in chosen_ranks(2, 3)
        for schedule in ("stride", "slice", "dynamic")
    ],
    *[(ranks, 2, "dynamic") for ranks in chosen_ranks(2, 3)],
]

# Ranks with workers have what the others have.
SOME = [*(pytest.param(mode, marks=pytest.mark.ci) for mode in MODES[:-1]), MODES[-1]]


def contents(path, *names):
    """Return the rows of datasets, as what can be compared bit by bit."""
    with h5py.File(path) as file:
        return {
            name: (file[name].dtype, file[name].shape, repr(file[name][()].tolist()))
            for name in names or ROWS
        }


ROWS = ("mapped", "filtered", "table")


def options(path, mode, *more):
    _, workers, schedule = mode
    return (
        PROGRAMS,
        "rows",
        "--output",
        str(path),
        "--workers",
        str(workers),
        "--schedule",
        schedule,
        "--json",
        *more,
    )


@pytest.fixture(scope="module")
def serially(tmp_path_factory):
    """Return the path of a result of one process, and its value."""
    path = tmp_path_factory.mktemp("serially") / "rows.h5"
    return path, python(*options(path, (None, 1, "slice"))).json["value"]


def test_rows_are_right_and_described(serially):
    path, value = serially
    assert (value["mapped"], value["table"]) == (500, 500)
    with h5py.File(path) as file:
        assert file["mapped"].shape == (500, 2)
        assert file["mapped"].dtype == np.float32
        assert file["mapped"].attrs["units"] == "m"
        assert file["mapped"].attrs["description"] == "a row for each item"
        assert file["mapped"][()].sum(dtype=float) == pytest.approx(value["sum"], abs=1e-3)
        k = np.arange(500)
        expected = k[(k * k % 11 == 3) & (k // 23 % 5 > 0)]
        assert file["filtered"][()].tolist() == expected.tolist()
        assert value["filtered"] == len(expected)
        table = file["table"][()]
        assert table.dtype.names == ("k", "x", "name")
        assert table["k"].tolist() == k.tolist()
        named = k // 23 % 3 > 0
        assert [name.decode() for name in table["name"]] == [
            f"name π {i}" if named[i] else "" for i in k
        ]
        np.testing.assert_array_equal(table["x"], np.where(named, np.nan, k / 7))
        assert file["value/filtered"][()] == value["filtered"]
        assert file["workers"]["blocks"].sum() == 22


@pytest.mark.each_mpi
@pytest.mark.parametrize("mode", SOME)
def test_rows_are_the_same_in_every_mode(mode, serially, tmp_path):
    ranks, workers, schedule = mode
    result = over(ranks)(*options(tmp_path / "rows.h5", mode)).json
    assert (result["ranks"], result["workers"], result["schedule"]) == (
        ranks or 1,
        workers,
        schedule,
    )
    assert result["value"] == serially[1]
    assert contents(tmp_path / "rows.h5") == contents(serially[0])
    assert [path.name for path in tmp_path.iterdir()] == ["rows.h5"]


@pytest.mark.parametrize(
    "mode",
    [
        *(
            pytest.param(mode, marks=pytest.mark.ci)
            for mode in [(None, 1, "slice"), (None, 2, "dynamic"), (2, 1, "dynamic")]
        ),
        (2, 2, "stride"),
    ],
)
def test_compressed_rows_are_the_same(mode, serially, tmp_path):
    result = over(mode[0])(*options(tmp_path / "rows.h5", mode, "--compress")).json
    assert result["value"] == serially[1]
    assert contents(tmp_path / "rows.h5") == contents(serially[0])
    with h5py.File(tmp_path / "rows.h5") as file:
        assert {file[name].compression for name in ROWS} == {"gzip"}
    assert [path.name for path in tmp_path.iterdir()] == ["rows.h5"]


@pytest.mark.ci
@pytest.mark.parametrize("kind", ["mapped", "filtered", "table"])
@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
def test_a_dataset_alone(kind, ranks, serially, tmp_path):
    path = tmp_path / "rows.h5"
    result = over(ranks)(PROGRAMS, "rows", "--kind", kind, "--output", str(path), "--json").json
    assert result["value"] == serially[1][kind], "the value is the number of rows"
    assert contents(path, kind) == contents(serially[0], kind)


@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), *chosen_ranks(2)])
@pytest.mark.parametrize(
    "options", [("--items", "0"), ("--items", "5"), ("--items", "0", "--compress")]
)
def test_no_blocks_or_fewer_than_ranks(ranks, options, tmp_path):
    path = tmp_path / "rows.h5"
    result = over(ranks)(PROGRAMS, "rows", "--output", str(path), *options, "--json").json
    n = int(options[1])
    assert (result["n"], result["value"]["mapped"]) == (n, n)
    with h5py.File(path) as file:
        assert (file["mapped"].shape, file["table"].shape) == ((n, 2), (n,))
        assert len(file["filtered"]) == 0


IN_MEMORY = f"""
import pickle, sys
sys.path.insert(0, {str(Path(PROGRAMS).parent)!r})
import mpipar, programs
if __name__ == "__main__":
    result = mpipar.run(programs.rows, workers=int(sys.argv[1]), schedule=sys.argv[2], on_error=sys.argv[4],
                        bad=[int(block) for block in sys.argv[5:]], everywhere=False)
    if result is not None:
        with open(sys.argv[3], "wb") as file:
            pickle.dump((result.value, result.datasets, len(result.skipped)), file)
"""


def in_memory(folder, ranks, workers, schedule, *on_error):
    path = folder / "result.pickle"
    finished = over(ranks)(
        "-c", IN_MEMORY, str(workers), schedule, str(path), *(on_error or ["stop"])
    )
    assert finished.code == 0, finished.stderr
    return pickle.loads(path.read_bytes())


def plain(array):
    """Return an array as a list, with text from memory and from a file alike."""

    def cells(row):
        return [cell.decode() if isinstance(cell, bytes) else cell for cell in row]

    return repr([cells(row) if isinstance(row, (tuple, list)) else row for row in array.tolist()])


@pytest.mark.each_mpi
@pytest.mark.parametrize(
    "mode",
    [
        *(
            pytest.param(mode, marks=pytest.mark.ci)
            for mode in [(None, 1, "slice"), (None, 2, "dynamic"), (2, 1, "dynamic")]
        ),
        (3, 2, "stride"),
    ],
)
def test_rows_in_memory_are_those_in_the_file(mode, serially, tmp_path):
    value, datasets, _ = in_memory(tmp_path, *mode)
    assert value == serially[1]
    assert tuple(datasets) == ROWS
    with h5py.File(serially[0]) as file:
        for name in ROWS:
            assert datasets[name].shape == file[name].shape
            assert plain(datasets[name]) == plain(file[name][()])
        assert datasets["mapped"].dtype == file["mapped"].dtype


BAD = ("0", "4", "21")


@pytest.mark.parametrize(
    "mode",
    [
        *(
            pytest.param(mode, marks=pytest.mark.ci)
            for mode in [(None, 1, "slice"), (None, 2, "dynamic"), (2, 1, "stride")]
        ),
        (2, 2, "slice"),
    ],
)
@pytest.mark.parametrize("compress", [pytest.param((), marks=pytest.mark.ci), ("--compress",)])
def test_rows_of_skipped_blocks(mode, compress, serially, tmp_path):
    path = tmp_path / "rows.h5"
    finished = over(mode[0])(*options(path, mode, "--on-error", "skip", "--bad", *BAD, *compress))
    assert [block["block"] for block in finished.json["skipped"]] == [0, 4, 21]
    gone = np.isin(np.arange(500) // 23, [0, 4, 21])
    with h5py.File(path) as file, h5py.File(serially[0]) as all_well:
        mapped = file["mapped"][()]
        assert np.isnan(mapped[gone]).all()
        assert mapped[~gone].tobytes() == all_well["mapped"][()][~gone].tobytes()
        there = [k for k in all_well["filtered"] if not gone[k]]
        assert file["filtered"][()].tolist() == there
        table = file["table"][()]
        assert len(table) == 500
        assert table["k"][~gone].tolist() == np.arange(500)[~gone].tolist()
        assert not any(table["name"][gone])
        assert [block["block"] for block in file["skipped"]] == [0, 4, 21]
    _, datasets, skipped = in_memory(tmp_path, *mode, "skip", *BAD)
    assert skipped == 3
    with h5py.File(path) as file:
        assert {name: plain(datasets[name]) for name in ROWS} == {
            name: plain(file[name][()]) for name in ROWS
        }


def test_a_table_of_skipped_rows_says_nan_where_it_can(tmp_path):
    path = tmp_path / "rows.h5"
    python(*options(path, (None, 1, "slice"), "--on-error", "skip", "--bad", "3")).json  # noqa: B018
    with h5py.File(path) as file:
        assert np.isnan(file["table"]["x"][69:92]).all()


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), *chosen_ranks(2)])
@pytest.mark.parametrize(
    "more",
    [
        pytest.param((), marks=pytest.mark.ci),
        ("--workers", "2"),
        pytest.param(("--compress",), marks=pytest.mark.ci),
    ],
)
def test_a_failed_run_leaves_an_older_result_and_what_is_done(ranks, more, tmp_path):
    path, previous = tmp_path / "rows.h5", tmp_path / "rows.h5.previous"
    assert python(PROGRAMS, "rows", "--items", "50", "--output", str(path)).code == 0
    before = path.read_bytes()
    command = (PROGRAMS, "rows", "--bad", "7", "--output", str(path), *more)
    finished = over(ranks)(*command)
    assert finished.code == 1
    assert finished.stdout == ""
    assert "ValueError: this block is bad" in finished.stderr
    assert "blocks are done and committed: --resume goes on from there" in finished.stderr
    for _ in range(2):
        assert previous.read_bytes() == before
        assert {entry.name for entry in tmp_path.iterdir()} == {
            "rows.h5",
            "rows.h5.parts",
            "rows.h5.previous",
        }
        assert over(ranks)(*command).code == 2, "it would be overwritten"
        assert over(ranks)(*command, "--resume").code == 1
    assert over(ranks)(*command, "--resume", "--on-error", "skip").code == 0
    assert not previous.exists()
    skipping = tmp_path / "skipping.h5"
    assert (
        python(PROGRAMS, "rows", "--bad", "7", "--output", str(skipping), "--on-error", "skip").code
        == 0
    )
    assert contents(path) == contents(skipping)


@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), *chosen_ranks(2)])
def test_an_older_result_is_replaced_by_a_new_one(ranks, tmp_path, serially):
    path = tmp_path / "rows.h5"
    assert python(PROGRAMS, "rows", "--items", "50", "--output", str(path)).code == 0
    leftover = tmp_path / "rows.h5.parts"
    leftover.mkdir()
    (leftover / "rows.h5").write_text("x")
    (leftover / "node-123.part").write_text("x")
    assert over(ranks)(*options(path, (ranks, 1, "dynamic"))).json["value"] == serially[1]
    assert contents(path) == contents(serially[0])
    assert [path.name for path in tmp_path.iterdir()] == ["rows.h5"]


@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), *chosen_ranks(3)])
def test_datasets_need_an_output(ranks, tmp_path):
    finished = over(ranks)(PROGRAMS, "rows", cwd=tmp_path)
    assert (finished.code, finished.stdout) == (2, "")
    [line] = finished.own_errors
    assert "--output" in line
    assert "mapped, filtered, table" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), *chosen_ranks(3)])
def test_a_folder_of_somebody_else_is_refused(ranks, tmp_path):
    (tmp_path / "rows.h5.parts").mkdir()
    (tmp_path / "rows.h5.parts" / "thesis.txt").write_text("precious")
    finished = over(ranks)(PROGRAMS, "rows", "--output", "rows.h5", cwd=tmp_path)
    assert (finished.code, finished.stdout) == (2, "")
    [line] = finished.own_errors
    assert "thesis.txt" in line
    assert (tmp_path / "rows.h5.parts" / "thesis.txt").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["rows.h5.parts"]


@pytest.mark.each_mpi
def test_processes_write_their_rows_by_themselves(tmp_path):
    """The root would need 256 MiB of memory for rows that are gathered in it."""
    code = """
import resource
from pathlib import Path
import numpy as np
from mpipar import Dataset, driver
from mpipar.runtime.comm import world

@driver(n="items", reduction=Dataset("y", float, row=(1024,)), block=128)
def large(block, *, items: int = 2**15):
    return np.full((block.size, 1024), block.start, float)

try:
    large.main(["--output", "large.h5", "--json"])
finally:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    Path(f"peak-{world().rank}").write_text(str(peak))
"""
    (tmp_path / "large.py").write_text(code)
    finished = mpirun(2, "large.py", cwd=tmp_path)
    assert finished.json["value"] == 2**15
    peaks = [int(path.read_text()) for path in tmp_path.glob("peak-*")]
    assert len(peaks) == 2
    assert max(peaks) < 150 * 1024, peaks
    with h5py.File(tmp_path / "large.h5") as file:
        assert file["y"].shape == (2**15, 1024)
        assert file["y"][:, 7].tolist() == (np.arange(2**15) // 128 * 128).tolist()
