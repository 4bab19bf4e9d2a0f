import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar import BadInput, Block, Count, Dataset, Each, ExactSum, Plan, Reduction, driver
from mpipar.core.row_types import common_dtype, converted, exact_dtype

MODERATE = settings(max_examples=100, deadline=None)
THREE = Block(2, 6, 9)


@pytest.mark.parametrize(
    ("dataset", "partial"),
    [
        (Dataset("y", float), np.zeros(3)),
        (Dataset("y", float), [1, 2, 3]),
        (Dataset("y", np.float32), np.zeros(3)),  # by rounding
        (Dataset("y", int), np.zeros(3, np.uint8)),
        (Dataset("y", np.uint8), np.zeros(3, np.uint64)),
        (Dataset("y", complex), np.zeros(3)),
        (Dataset("y"), ["a", "b", "c"]),
        (Dataset("y", float, row=(2, 2)), np.zeros((3, 2, 2))),
        (Dataset("y", row=(0,)), np.zeros((3, 0))),
        (Dataset("y", [("a", float)]), np.zeros(3, [("a", np.float32)])),
    ],
)
def test_rows_for_each_item_are_counted(dataset, partial):
    assert dataset.add(4, partial, THREE) == 7
    assert len(dataset.rows(partial)["y"]) == 3
    assert dataset.finish(dataset.merge(4, dataset.add(0, partial, THREE))) == 7


@pytest.mark.parametrize(
    ("dataset", "partial", "said"),
    [
        (
            Dataset("y", float),
            np.zeros(2),
            r"the dataset 'y' needs rows of shape \(3\), got .*shape \(2,\)",
        ),
        (Dataset("y", float), 1.5, r"rows of shape \(3\), got float 1\.5"),
        (Dataset("y", float), np.zeros((3, 1)), r"rows of shape \(3\), got .*\(3, 1\)"),
        (Dataset("y", float, row=(2,)), np.zeros(3), r"rows of shape \(3, 2\), got .*\(3,\)"),
        (
            Dataset("y", row=(2,), one_each=False),
            np.zeros((5, 3)),
            r"rows of shape \(any, 2\), got .*\(5, 3\)",
        ),
        (Dataset("y", one_each=False), np.zeros((5, 3)), r"rows of shape \(any\), got .*\(5, 3\)"),
        (Dataset("y", int), np.zeros(3), "needs int64, got an array of float64"),
        (Dataset("y", float), np.zeros(3, complex), "needs float64, got an array of complex128"),
        (Dataset("y", float), ["a", "b", "c"], "needs float64, got list"),
        (Dataset("y", float), np.zeros(3, object), "needs float64, got an array of object"),
        (Dataset("y", np.int8), np.zeros(3, np.uint8), None),
        (Dataset("y", [("a", int)]), np.zeros(3, [("a", float)]), r"needs \[\('a', '<i8'\)\], got"),
        (Dataset("y", [("a", int)]), np.zeros(3), r"needs \[\('a', '<i8'\)\], got"),
        (Dataset("y", float), None, r"got NoneType None"),
    ],
)
def test_rows_of_another_shape_or_type_are_refused(dataset, partial, said):
    if said is None:  # of the same kind for NumPy: unsigned into signed
        assert dataset.add(0, partial, THREE) == 3
        return
    with pytest.raises(TypeError, match=said):
        dataset.add(0, partial, THREE)


def test_any_number_of_rows_may_be_none_at_all():
    dataset = Dataset("y", float, one_each=False)
    assert [
        dataset.add(1, partial, THREE) for partial in ([], np.zeros(0), np.zeros(100), 2.5)
    ] == [1, 1, 101, 2]


def test_a_ragged_list_is_refused():
    with pytest.raises((TypeError, ValueError)):
        Dataset("y").add(0, [[1], [1, 2], [3]], THREE)


def test_a_number_is_the_row_of_a_block_with_one_item():
    dataset = Dataset("y", float)
    assert dataset.add(0, np.float32(1.5), Block(0, 0, 1)) == 1
    assert dataset.rows(np.float32(1.5))["y"].tolist() == [1.5]


def test_only_datasets_have_rows():
    assert ExactSum().datasets() == ()
    assert ExactSum().rows(1.0) == {}
    dataset = Dataset("y")
    assert isinstance(dataset, Reduction)
    assert dataset.datasets() == (dataset,)


def test_each_may_have_datasets_among_others():
    y, z = Dataset("y", float, units="m"), Dataset("z", one_each=False)
    each = Each(first=y, sum=ExactSum(), inner=Each(second=z, count=Count()))
    assert each.datasets() == (y, z)
    partial = {"first": np.ones(3), "sum": 0.5, "inner": {"second": np.arange(5), "count": 2}}
    total = each.add(each.start(), partial, THREE)
    assert each.finish(each.merge(each.start(), total)) == {
        "first": 3,
        "sum": 0.5,
        "inner": {"second": 5, "count": 2},
    }
    rows = each.rows(partial)
    assert rows.keys() == {"y", "z"}
    assert rows["z"].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(TypeError, match="the dataset 'y'"):
        each.add(each.start(), partial | {"first": np.ones(2)}, THREE)


def test_datasets_of_one_name_are_refused():
    @driver(
        n="items",
        reduction=Each(a=Dataset("y", float), b=Each(c=Dataset("x"), d=Dataset("y", int))),
    )
    def kernel(block, *, items: int = 10): ...

    with pytest.raises(BadInput, match="several datasets named 'y'"):
        kernel.bind({})


@pytest.mark.parametrize(
    ("dataset", "known"),
    [
        (Dataset("y", float), True),
        (Dataset("y", "?"), True),
        (Dataset("y", complex, row=(3,)), True),
        (Dataset("y", [("a", int), ("b", float)]), True),
        (Dataset("y"), False),
        (Dataset("y", float, one_each=False), False),
        (Dataset("y", "U5"), False),
        (Dataset("y", [("a", int), ("name", "U5")]), False),
    ],
)
def test_place_is_known_if_number_and_type_of_rows_are(dataset, known):
    assert dataset.known_beforehand is known


def test_what_is_missing_is_nan_or_zero():
    assert np.isnan(Dataset("y", float).missing(THREE, np.dtype(np.float32))).tolist() == [True] * 3
    assert Dataset("y", int).missing(THREE, np.dtype(int)).tolist() == [0, 0, 0]
    assert Dataset("y", row=(2,)).missing(THREE, np.dtype(complex)).shape == (3, 2)
    assert Dataset("y").missing(THREE, np.dtype("U3")).tolist() == ["", "", ""]
    assert Dataset("y", one_each=False).missing(THREE, np.dtype(float)).shape == (0,)


def test_what_is_missing_of_a_table_is_nan_where_there_is_one():
    kind = np.dtype([("k", int), ("x", float), ("name", "U4")])
    rows = Dataset("y", kind).missing(THREE, kind)
    assert rows["k"].tolist() == [0, 0, 0]
    assert rows["name"].tolist() == ["", "", ""]
    assert np.isnan(rows["x"]).all()


numbers = st.sampled_from(
    ["?", "i1", "u1", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"]
).map(np.dtype)
texts = st.integers(1, 8).map(lambda length: np.dtype(f"U{length}"))
names = st.sampled_from(["a", "b", "c", "π"])
tables = st.dictionaries(names, numbers | texts, min_size=1, max_size=4).map(
    lambda columns: np.dtype([*columns.items()])
)


@MODERATE
@given(kinds=st.lists(numbers, min_size=1, max_size=5))
def test_numbers_of_several_types_have_one_that_holds_them_all(kinds):
    kind = common_dtype(kinds)
    assert all(np.can_cast(each, kind, "same_kind") for each in kinds)
    assert kind == common_dtype(reversed(kinds))


def test_no_rows_at_all_are_floats():
    assert common_dtype([]) == np.dtype(float)


@MODERATE
@given(kinds=st.lists(tables, min_size=1, max_size=4))
def test_tables_have_the_columns_of_all_in_order_of_appearance(kinds):
    kind = common_dtype(kinds)
    assert kind.names == tuple(
        dict.fromkeys(itertools.chain.from_iterable(each.names for each in kinds))
    )
    for name in kind.names:
        having = [each[name] for each in kinds if name in each.names]
        of_integers = {column.kind for column in having} <= set("iu")
        rounded = any(column.kind == "i" for column in having) and np.dtype("u8") in having
        if of_integers or "U" in {column.kind for column in having}:
            assert (kind[name].kind == "U") == (
                rounded or any(column.kind == "U" for column in having)
            )
        if len(having) < len(kinds):
            assert kind[name].kind in "fcU", "there is NaN or empty text for rows that lack it"


def cell(kind, seed):
    """Return some value of a type."""
    if kind.kind == "U":
        return "abcdefgh"[: 1 + seed % (kind.itemsize // 4)]
    return kind.type(seed % 2 if kind.kind == "b" else seed)


@MODERATE
@given(kinds=st.lists(tables, min_size=1, max_size=4), seed=st.integers(0, 100))
def test_converted_rows_keep_their_values_and_lack_nothing_else(kinds, seed):
    kind = common_dtype(kinds)
    for own in kinds:
        rows = np.array(
            [tuple(cell(own[name], seed + k) for name in own.names) for k in range(3)], own
        )
        made = converted(rows, kind)
        assert (made.dtype, made.shape) == (kind, (3,))
        for name in kind.names:
            if name not in own.names:
                assert all(
                    value == "" if kind[name].kind == "U" else np.isnan(value)
                    for value in made[name]
                )
            elif kind[name].kind != "U":
                np.testing.assert_array_equal(made[name], rows[name].astype(kind[name]))
            elif own[name].kind == "U":
                assert made[name].tolist() == rows[name].tolist()
            else:
                back = [
                    own[name].type(text == "True" if own[name].kind == "b" else text)
                    for text in made[name]
                ]
                assert back == rows[name].tolist(), "numbers become text without loss"


def test_numbers_and_text_in_one_column_become_text():
    one, two = (
        np.array([(1, 0.5)], [("k", int), ("x", float)]),
        np.array([("none",)], [("x", "U4")]),
    )
    kind = common_dtype([one.dtype, two.dtype])
    assert converted(one, kind).tolist() == [(1.0, "0.5")]
    [(k, x)] = converted(two, kind).tolist()
    assert math.isnan(k)
    assert x == "none"


def test_plain_rows_are_a_column_among_tables():
    table = np.dtype([("a", int), ("b", "U3")])
    for kinds, names in (
        ([np.dtype(int), table], ("value", "a", "b")),
        ([table, np.dtype(int)], ("a", "b", "value")),
    ):
        dtype = common_dtype(kinds)
        assert dtype.names == names
        assert dtype["value"] == dtype["a"] == np.dtype(float), "NaN stands for what rows lack"
        rows = converted(np.array([3, 4]), dtype)
        assert rows["value"].tolist() == [3.0, 4.0]
        assert np.isnan(rows["a"]).all()
        assert rows["b"].tolist() == ["", ""]
        rows = converted(np.array([(1, "x")], table), dtype)
        assert (rows["a"].tolist(), rows["b"].tolist()) == ([1.0], ["x"])
        assert np.isnan(rows["value"]).all()


def test_the_rows_of_all_blocks_are_those_of_the_plan():
    dataset, plan = Dataset("y", int), Plan(100, 7)
    total = dataset.start()
    for index in range(plan.n_blocks):
        total = dataset.add(total, np.arange(plan[index].start, plan[index].stop), plan[index])
    assert dataset.finish(total) == 100


def test_integers_of_both_signs_and_64_bits_become_text_of_their_digits():
    pieces = [
        np.array([(x,)], [("k", kind)])
        for x, kind in ((2**64 - 1, "u8"), (-(2**63), "i8"), (5, "i8"))
    ]
    kind = common_dtype(piece.dtype for piece in pieces)
    assert [converted(piece, kind)["k"].item() for piece in pieces] == [
        str(2**64 - 1),
        str(-(2**63)),
        "5",
    ]
    plain = [piece["k"] for piece in pieces]
    kind = common_dtype(piece.dtype for piece in plain)
    assert [converted(piece, kind).item() for piece in plain] == [
        str(2**64 - 1),
        str(-(2**63)),
        "5",
    ]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([[2**53 + 1], [0.5]], [str(2**53 + 1), "0.5"]),
        ([[2**53 + 1], [1j]], [str(2**53 + 1), "1j"]),
        ([[2**53], [0.5]], [2.0**53, 0.5]),
        ([[2**63 + 1], [-0.5]], [str(2**63 + 1), "-0.5"]),
        ([[7], [0.5]], [7.0, 0.5]),
    ],
)
def test_whole_numbers_beside_others_are_kept_or_text(pieces, expected):
    pieces = [np.array(piece) for piece in pieces]
    types = [piece.dtype for piece in pieces]
    dtype = exact_dtype(common_dtype(types), types, lambda: pieces)
    assert [value for piece in pieces for value in converted(piece, dtype).tolist()] == expected
