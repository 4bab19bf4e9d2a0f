"""What a dataset's type can't hold is refused; the rest is there as it was."""

import numpy as np
import pytest

from mpipar import Dataset, Plan
from mpipar.core.casting import change

KEPT = [
    (np.int8, np.array([127, -128])),
    (np.int8, np.array([127], np.uint8)),
    (np.uint64, np.array([2**64 - 1], np.uint64)),
    (np.int64, np.array([2**63 - 1], np.uint64)),
    (float, np.array([2**53 + 2, -(2**63)])),
    (float, np.array([2**63], np.uint64)),
    (np.float32, [2**24, -3]),
    (np.float32, [3.0e38, np.inf, -np.inf]),
    ("U3", ["abc", "ä"]),
    ("U3", [123, -12]),
    ("S3", np.array([b"abc"])),
    ("M8[ms]", np.array(["2020-01-01", "NaT"], "M8[D]")),
    ("M8[D]", np.array(["2020-01-01T00"], "M8[h]")),
    (complex, [1, 2.5]),
]

REFUSED = [
    (np.int8, [300], "300 as 44"),
    (np.int8, np.array([1, 200], np.uint8), "200 as -56"),
    (np.int64, np.array([2**63], np.uint64), "9223372036854775808 as -9223372036854775808"),
    (np.uint8, np.array([300], np.uint16), "300 as 44"),
    (np.uint64, [-1], "needs uint64"),
    (float, [2**53 + 1], "9007199254740993 as 9007199254740992"),
    (float, np.array([2**64 - 1], np.uint64), "18446744073709551615 as"),
    (complex, [2**53 + 1], "9007199254740993 as"),
    (np.float32, [2**24 + 1], r"16777217 as 1\.?6777216"),
    (np.float16, [70000], "70000 as inf"),
    (np.float32, [1.0, 1e300], r"1e\+300 as inf"),
    (np.complex64, [1e300j], "as .*inf"),
    ("U3", ["abc", "abcd"], "abcd as abc"),
    ("U3", [1234], "1234 as 123"),
    ("S3", np.array([b"abcd"]), "abcd"),
    ("M8[s]", np.array(["2020-01-01T00:00:00.5"], "M8[ms]"), "00.500 as"),
    ("M8[ns]", np.array(["3000-01-01"], "M8[D]"), r"(3000-01-01 as|something else \(Overflow)"),
    ("m8[h]", np.array([90], "m8[m]"), "90 minutes as 1 hours"),
    (float, [1j], "needs float64"),
    (int, [np.nan], "needs int64"),
    (int, [1.5], "needs int64"),
    (float, np.array([3], "m8[s]"), "needs float64"),
    (
        [("a", np.int8), ("b", "U3")],
        np.array([(1, "abcd")], [("a", int), ("b", "U9")]),
        "abcd as abc",
    ),
    ([("a", np.int8, 2)], np.array([([1, 300],)], [("a", int, 2)]), "300 as 44"),
]


@pytest.mark.parametrize(("dtype", "rows"), KEPT)
def test_what_fits_is_kept(dtype, rows):
    dataset = Dataset("y", dtype)
    assert dataset.add(0, rows, Plan(len(rows), len(rows))[0]) == len(rows)


@pytest.mark.parametrize(("dtype", "rows", "said"), REFUSED)
def test_what_would_be_changed_is_refused(dtype, rows, said):
    dataset = Dataset("y", dtype)
    with pytest.raises(TypeError, match=f"the dataset 'y' .*{said}"):
        dataset.add(0, rows, Plan(len(rows), len(rows))[0])


def test_what_numpy_cannot_make_is_something_else():
    said = change(np.array(["ab", "ä"]), np.dtype("S3"))
    assert said.startswith("something else ('ascii' codec can't encode")
    assert change(np.array(["ab"]), np.dtype("S3")) is None
