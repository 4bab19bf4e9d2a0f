"""The driver that maps an expression over numbers: the same as NumPy does, from ranges and
datasets.
"""

import re

import h5py
import numpy as np
import pytest
from conftest import chosen_ranks, over, python

from mpipar import BadInput, RunFailed, run
from mpipar.roots import roots


def equal(found, expected):
    """Return whether two arrays have the same type, shape and bits."""
    return (found.dtype, found.shape, found.tobytes()) == (
        expected.dtype,
        expected.shape,
        expected.tobytes(),
    )


@pytest.mark.parametrize("points", [1, 2, 1000, 32_769])
@pytest.mark.parametrize(
    "ends", [(0.0, 1.0), (0.0, 100.0), (-3.0, 7.0), (5.0, 1.0), (2.0, 2.0), (1e300, 2e300)]
)
def test_the_numbers_of_a_range_are_those_of_numpy(ends, points):
    result = run(roots, f="x", over=list(ends), points=points, block=1000)
    assert result.value == points
    assert equal(result.datasets["y"], np.linspace(*ends, points, endpoint=False))


EXPRESSIONS = {
    "sqrt(x**3)": lambda x: np.sqrt(x**3),
    "exp(-x) * sin(3 * x) + x % 0.1": lambda x: np.exp(-x) * np.sin(3 * x) + x % 0.1,
    "sqrt(x - 0.5 + 0j)": lambda x: np.sqrt(x - 0.5 + 0j),
    "x > 0.25": lambda x: x > 0.25,
    "float32(x)": lambda x: x.astype(np.float32),
    "where(x < 0.5, 1, -1)": lambda x: np.where(x < 0.5, 1, -1),
    "3": lambda x: np.full(x.shape, 3),
}


@pytest.mark.parametrize("f", EXPRESSIONS)
def test_any_expression_of_a_range(f):
    result = run(roots, f=f, points=70_001)
    assert equal(result.datasets["y"], EXPRESSIONS[f](np.linspace(0, 1, 70_001, endpoint=False)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make datasets of several kinds, one with its rows in several files, all with spaces in their
    names.
    """
    folder = tmp_path_factory.mktemp("root data")
    rng = np.random.default_rng(1)
    data = {
        "doubles": rng.random(5000),
        "single precision": rng.random(5000, np.float32),
        "bytes": rng.integers(0, 7, 3000, np.uint8),
        "integers": rng.integers(0, 10**6, 3000),
        "complex": rng.normal(size=500) + 1j * rng.normal(size=500),
        "table": rng.random((700, 3)),
        "cubes": rng.integers(0, 9, (50, 2, 3)),
        "big endian": rng.random(100).astype(">f8"),
    }
    with h5py.File(folder / "my data.h5", "w") as file:
        for name, array in data.items():
            file.create_dataset(f"all of it/{name}", data=array, chunks=True, compression="gzip")
    layout = h5py.VirtualLayout((4000, 2), float)
    for part in range(4):
        with h5py.File(folder / f"part {part}.h5", "w") as file:
            file["x y"] = rng.random((1000, 2))
            layout[1000 * part : 1000 * (part + 1)] = h5py.VirtualSource(file["x y"])
    with h5py.File(folder / "whole thing.hdf5", "w") as file:
        file.create_virtual_dataset("joined rows", layout)
    return folder


def rows(folder, where):
    path, _, name = where.rpartition(":")
    with h5py.File(folder / path) as file:
        return file[name][()]


@pytest.mark.parametrize(
    "where",
    [
        *(
            f"my data.h5:/all of it/{name}"
            for name in ("doubles", "single precision", "bytes", "integers", "complex")
        ),
        *(f"my data.h5:/all of it/{name}" for name in ("table", "cubes", "big endian")),
        *("my data.h5:all of it/table", "whole thing.hdf5:joined rows"),
    ],
)
def test_any_dataset_gives_what_numpy_does(where, folder):
    for f, function in {"sqrt(x**3)": lambda x: np.sqrt(x**3), "x * 2": lambda x: x * 2}.items():
        result = run(roots, f=f, input=str(folder / where), block=333)
        x = rows(folder, where)
        assert result.value == len(x)
        expected = function(x)
        if expected.dtype == np.float16:  # what NumPy makes of bytes has three digits
            expected = np.sqrt((x**3).astype(float))
        assert np.array_equal(result.datasets["y"], expected)
        assert result.datasets["y"].dtype == expected.dtype.newbyteorder("=")


@pytest.mark.parametrize(
    ("values", "f", "reason"),
    [
        (np.array([1, 200], np.uint8), "x**2", "uint8 can't hold"),
        (np.array([3, 3 * 10**6]), "sqrt(x**3)", "int64 can't hold"),
        (np.array([5, 0], np.uint64), "x - 1", "uint64 can't hold"),
        (np.array([5, 1]), "7 // (x - 1)", "division of a whole number by zero"),
    ],
)
def test_whole_numbers_that_would_wrap_around_are_refused(values, f, reason, tmp_path):
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file["x"] = values
    with pytest.raises((BadInput, RunFailed), match=re.escape(reason)):
        run(roots, f=f, input=str(tmp_path / "whole.h5"))


@pytest.mark.parametrize("where", ["my data.h5:/all of it/table", "whole thing.hdf5"])
@pytest.mark.parametrize(
    ("ranks", "options"), [(2, ()), (3, ("--compress",)), (None, ("--compress", "--workers", "2"))]
)
def test_datasets_over_ranks_and_into_a_file(where, ranks, options, folder, tmp_path):
    path = tmp_path / "the result.h5"
    command = ("--input", where, "--f", "sqrt(x)", "--output", str(path), "--block", "50")
    finished = over(ranks)("-m", "mpipar.roots", *command, *options, "--json", cwd=folder)
    x = rows(folder, where if ":" in where[1:] else f"{where}:joined rows")
    assert (finished.json["value"], finished.own_errors) == (len(x), [])
    with h5py.File(path) as file:
        assert equal(file["y"][()], np.sqrt(x))
        assert file["y"].compression == ("gzip" if "--compress" in options else None)
        assert file["y"].attrs["description"] == "sqrt(x) for each x"


def test_compressed_numbers_are_the_same(tmp_path):
    found = []
    for name, options in (("plain", ()), ("compressed", ("--compress",))):
        path = tmp_path / f"{name}.h5"
        command = (
            "-m",
            "mpipar.roots",
            "--f",
            "x // 0.1",
            "--points",
            "2e5",
            "--output",
            str(path),
            "--json",
            *options,
        )
        assert over(chosen_ranks(2)[0])(*command).json["value"] == 200_000
        with h5py.File(path) as file:
            found.append(file["y"][()])
    assert equal(*found)
    assert (tmp_path / "compressed.h5").stat().st_size < (tmp_path / "plain.h5").stat().st_size / 5


def test_functions_of_files_and_modules(folder):
    (folder / "mine.py").write_text(
        "import numpy as np\n\ndef root(x):\n    return np.emath.sqrt(x - 0.5)\n"
    )
    expected = np.emath.sqrt(np.linspace(0, 1, 1000, endpoint=False) - 0.5)
    for f in ("mine.py:root", "mine:root"):
        options = ("--f", f, "--points", "1000", "--block", "100", "--output", "out.h5", "--json")
        assert (
            python("-m", "mpipar.roots", *options, "--workers", "2", cwd=folder).json["value"]
            == 1000
        )
        with h5py.File(folder / "out.h5") as file:
            assert equal(file["y"][()], expected)


def test_rows_that_fail_are_missing_numbers_if_they_are_skipped(folder):
    (folder / "picky.py").write_text(
        "def root(x):\n    if 0.3 in x:\n        raise ValueError('I dislike this')\n    return"
        " x**0.5\n"
    )
    name = f"{folder / 'picky.py'}:root"
    result = run(roots, f=name, points=100, block=10, on_error="skip")
    expected = np.linspace(0, 1, 100, endpoint=False) ** 0.5
    expected[30:40] = np.nan
    assert equal(result.datasets["y"], expected)
    with pytest.raises(RunFailed, match="I dislike this"):
        run(roots, f=name, points=100, block=10)


def test_a_function_that_raises_fails_like_any_kernel(folder):
    (folder / "raising_root.py").write_text("def root(x):\n    raise ValueError('never')\n")
    with pytest.raises((RunFailed, BadInput), match="never"):
        run(roots, f=f"{folder / 'raising_root.py'}:root", points=100, block=10)


def test_what_changes_its_type_is_refused_rather_than_cut_off(folder):
    (folder / "fickle.py").write_text(
        "import numpy as np\n\ndef root(x):\n    return np.emath.sqrt(0.5 - x)\n"
    )
    with pytest.raises(RunFailed, match="'y' needs float64, got an array of complex128"):
        run(roots, f=f"{folder / 'fickle.py'}:root", points=100, block=10)


def test_a_function_of_another_shape_is_refused(folder):
    (folder / "shape.py").write_text(
        "import numpy as np\n\ndef two(x):\n    return np.zeros((2, len(x)))\n"
    )
    with pytest.raises(BadInput, match="one value for each x"):
        run(roots, f=f"{folder / 'shape.py'}:two")


def test_a_dataset_that_is_damaged_in_the_middle_fails_with_the_block(folder, tmp_path):
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        made = file.create_dataset(
            "x", data=np.random.default_rng(0).random(3000), compression="gzip", chunks=(1000,)
        )
        chunk = made.id.get_chunk_info(1)
    with (tmp_path / "bad.h5").open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(chunk.size))
    options = ("--input", "bad.h5", "--output", "out.h5", "--block", "500")
    finished = over(chosen_ranks(2)[0])("-m", "mpipar.roots", *options, cwd=tmp_path)
    assert (finished.code, finished.stdout) == (1, "")
    assert (
        "block 2 (items 1000 to 1499)" in finished.stderr
        or "block 3 (items 1500 to 1999)" in finished.stderr
    )
    assert finished.stderr.count("Traceback") == 1
    if (tmp_path / "out.h5").exists():  # to be resumed
        with h5py.File(tmp_path / "out.h5") as file:
            assert not {"y", "value"} & {*file}
