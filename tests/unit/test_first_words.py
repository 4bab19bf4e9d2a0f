"""What newcomers write, and what they are told."""

import numpy as np
import pytest
from conftest import python

import mpipar
from mpipar import Count, Dataset, Each, ExactSum, Histogram, MinMax, driver, run

PROGRAM = """
import numpy as np
from mpipar import *

@driver(n="n", reduction=REDUCTION)
def kernel(block, *, n: PositiveInt = 10):
    return np.zeros((block.size, 3))

@kernel.check
def check(*, n):
    return helper(n)

def helper(n):
    return {10: []}[n]

if __name__ == "__main__":
    kernel.main()
"""


def test_each_takes_classes():
    @driver(n="n", reduction=Each(energy=ExactSum, hits=Count, range=MinMax()))
    def kernel(block, *, n: int = 10):
        return {"energy": float(block.size), "hits": block.size, "range": np.arange(block.size)}

    assert run(kernel, n=1e1).value["energy"] == 10.0


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (Histogram, "Each: a=Histogram needs arguments"),
        (float, "a should be a Reduction"),
        (1, "a should be a Red"),
    ],
)
def test_each_refuses_what_is_no_reduction(made, message):
    with pytest.raises(TypeError, match=message):
        Each(a=made)


@pytest.mark.parametrize("n", [10, 1e1, np.float64(10), np.int64(10), np.array(10)])
def test_whole_numbers_may_be_floats(n):
    @driver(n=lambda half: n, reduction=Count)
    def kernel(block, *, half: int = 1):
        return block.size

    assert run(kernel, half=np.float64(5), block=2.0, workers=1.0).value == 10


@pytest.mark.parametrize(
    ("rows", "hint"),
    [
        (lambda block: np.zeros((block.size, 3)), r"write Dataset\('xyz', …, row=\(3,\)\)"),
        (lambda block: np.zeros((block.size, 2, 2)), r"row=\(2, 2\)"),
        (lambda block: np.zeros(block.size + 1), "one_each=False"),
    ],
)
def test_rows_of_another_shape_are_told_what_to_write(rows, hint):
    @driver(n="n", reduction=Dataset("xyz", float))
    def kernel(block, *, n: int = 4):
        return rows(block)

    with pytest.raises(mpipar.RunFailed, match=hint) as caught:
        run(kernel)
    assert "Traceback" not in str(caught.value)


def test_a_reduction_without_its_arguments_is_bad_usage(tmp_path):
    (tmp_path / "script.py").write_text(PROGRAM.replace("REDUCTION", "Histogram"))
    ended = python("script.py", cwd=tmp_path)
    assert ended.code == 2
    assert ended.stderr.startswith(
        "python script.py: error: kernel: reduction=Histogram needs arguments: "
    )
    assert ended.stderr.count("\n") == 1


def test_an_exception_of_the_users_own_is_no_bug_of_ours(tmp_path):
    (tmp_path / "script.py").write_text(PROGRAM.replace("REDUCTION", "ExactSum"))
    ended = python("script.py", "--n", "11", cwd=tmp_path)
    lines = ended.stderr.splitlines()
    assert ended.code == 1
    assert "a bug" not in ended.stderr
    assert lines[0] == "Traceback (most recent call last):"
    assert "script.py" in lines[1]
    assert lines[1].endswith("in check")
    assert lines[-1].startswith(
        "python script.py: check() of script.py raised KeyError: 11, on rank 0, host "
    )
    assert "mpipar/" not in ended.stderr.replace(str(tmp_path), "")


def test_the_traceback_of_a_run_from_python_is_short(tmp_path):
    (tmp_path / "script.py").write_text(
        "from mpipar import *\n\n@driver(n='n', reduction=ExactSum)\ndef kernel(block, *, n: int ="
        " 3):\n    return 1 / 0\n\nrun(kernel)\n"
    )
    ended = python("script.py", cwd=tmp_path)
    assert ended.code == 1
    assert ended.stderr.count("mpipar/") <= 2  # run itself
    assert ended.stderr.rstrip().endswith("ZeroDivisionError: division by zero")
