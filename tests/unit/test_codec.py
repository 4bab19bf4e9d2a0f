import base64
import collections
import contextlib
import enum
import fractions
import io
import json
import math
import os
import pickle
import random
import threading

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mpipar.core.exact import ExactArray
from mpipar.core.ordered import Concatenate, InOrder
from mpipar.core.plan import Plan
from mpipar.core.reduction import Count, Dataset, Each, ExactSum
from mpipar.core.statistics import Histogram, MinMax, Moments
from mpipar.store.codec import decode, encode

MODERATE = settings(max_examples=40, deadline=None)

floats = st.floats(allow_subnormal=True) | st.sampled_from([-0.0, 5e-324, 1.7976931348623157e308])
small = st.floats(-1e140, 1e140)
wide_integers = st.integers(-(2**200), 2**200) | st.sampled_from(
    [2**53 - 1, 2**53, -(2**53), 2**63, 2**64]
)


def same(left, right) -> bool:
    """Return whether two values are of the same types and bits, all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        alike = left.dtype == right.dtype and left.shape == right.shape
        return alike and (
            same(left.tolist(), right.tolist())
            if left.dtype.hasobject
            else bits(left) == bits(right)
        )
    if isinstance(left, np.generic):
        return same(np.asarray(left), np.asarray(right))
    if isinstance(left, float):
        return left.hex() == right.hex()
    if isinstance(left, ExactArray):
        return all(same(getattr(left, name), getattr(right, name)) for name in ExactArray.__slots__)
    if isinstance(left, dict):
        return same(list(left.items()), list(right.items()))
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def bits(array) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def stored(value):
    """Return what a value is after it was written and read."""
    data = encode(value)
    json.loads(data, parse_constant=pytest.fail)  # NaN and infinities would not be JSON
    assert b"\n" not in data
    return decode(data)


plain_values = st.recursive(
    st.none() | st.booleans() | st.text() | st.binary() | floats | wide_integers,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(
            st.text() | st.integers() | st.tuples(st.integers(), st.text()), inner, max_size=4
        )
    ),
    max_leaves=12,
)
dtypes = (
    npst.scalar_dtypes()
    | npst.array_dtypes()
    | npst.unicode_string_dtypes()
    | npst.byte_string_dtypes()
)
arrays = npst.arrays(dtypes, npst.array_shapes(min_dims=0, min_side=0, max_side=4))


@MODERATE
@given(value=plain_values)
@example(value={(1, (2,)): [b"\xff", -0.0, math.nan, math.inf, -math.inf, True, 1, 1.0]})
@example(value="\ud800\0")
def test_plain_python_comes_back_as_it_was(value):
    assert same(stored(value), value)


@MODERATE
@given(array=arrays)
@example(array=np.array(3.0))
@example(array=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
@example(array=np.arange(10)[::-3])
def test_arrays_come_back_bit_by_bit_and_writable(array):
    copy = stored(array)
    assert same(copy, array)
    assert copy.flags.writeable


@MODERATE
@given(
    array=npst.arrays(
        object, npst.array_shapes(min_dims=0, min_side=0, max_side=4), elements=wide_integers
    )
)
def test_arrays_of_whole_numbers_of_any_size(array):
    assert same(stored(array), array)


@pytest.mark.parametrize(
    "scalar",
    [
        *(
            np.float32(1.1),
            np.float64("nan"),
            np.int8(-3),
            np.uint64(2**64 - 1),
            np.bool_(True),
            np.complex64(1j),
        ),
        *(np.datetime64("2024-02-29"), np.bytes_(b"a\0b"), np.array([(1, 2.5)], "i4, f8")[0]),
    ],
)
def test_numpy_scalars_stay_what_they_are(scalar):
    assert same(stored(scalar), scalar)


def blocks_of(sizes):
    """Return a block of one item for each partial."""
    return [Plan(len(sizes), 1)[index] for index in range(len(sizes))]


def total_of(reduction, partials, blocks=None):
    total = reduction.start()
    for partial, block in zip(partials, blocks or blocks_of(partials), strict=True):
        total = reduction.add(total, partial, block)
    return total


def check_total(reduction, partials, blocks=None):
    """Compare a total, and what is made of it, with what was stored in between."""
    blocks = blocks or blocks_of(partials)
    expected = reduction.finish(total_of(reduction, partials, blocks))
    assert same(
        stored(total_of(reduction, partials, blocks)), total_of(reduction, partials, blocks)
    )
    assert same(reduction.finish(stored(total_of(reduction, partials, blocks))), expected)
    # Two parts of a run, stored and merged in either order.
    middle = len(partials) // 2
    parts = [slice(None, middle), slice(middle, None)]
    left, right = (encode(total_of(reduction, partials[part], blocks[part])) for part in parts)
    assert same(reduction.finish(reduction.merge(decode(left), decode(right))), expected)
    assert same(reduction.finish(reduction.merge(decode(right), decode(left))), expected)


@MODERATE
@given(partials=st.lists(floats | wide_integers, max_size=8))
def test_totals_of_exact_sums_of_numbers(partials):
    if {math.inf, -math.inf} <= {*partials}:
        partials.remove(math.inf)  # the sign of the NaN that this makes is the processor's affair
    check_total(ExactSum(), partials)


@MODERATE
@given(
    table=npst.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(0, 3)), elements=small)
)
@example(table=np.array([[1.0, math.nan], [math.inf, 2.0], [-0.0, 5e-324]]))
@example(table=np.array([[1e308, -1e308], [1e308, 1e-308], [5e-324, 1.0]]))
def test_totals_of_exact_sums_of_arrays(table):
    check_total(ExactSum(), list(table))


@MODERATE
@given(
    table=npst.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 3)), elements=small)
)
def test_an_exact_array_that_was_read_can_be_used_on(table):
    copy, original = ExactArray(table.shape[1:]), ExactArray(table.shape[1:])
    for row in table:
        original.add(row)
        copy = stored(copy)
        copy.add(row)
        assert same(stored(copy).value(), original.value())
    assert same(stored(copy), copy)
    original.merge(stored(original))
    assert same(original.value(), 2 * copy.value())


@MODERATE
@given(partials=st.lists(wide_integers, max_size=8))
def test_totals_of_counts(partials):
    check_total(Count(), partials)


@MODERATE
@given(
    table=st.lists(
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2), min_size=1, max_size=6
    )
)
@example(table=[[2**63 - 1, 0], [2**63 - 1, 1], [5, 6]])
def test_totals_of_counts_of_arrays(table):
    check_total(Count(), [np.array(row) for row in table])
    check_total(Count(), [np.array(row, object) << 70 for row in table])


@MODERATE
@given(data=st.data(), shape=st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(0, 3)))
def test_totals_of_moments(data, shape):
    samples = data.draw(npst.arrays(np.float64, shape, elements=small))
    check_total(Moments(), list(samples))
    check_total(Moments(), list(samples[:, :, 0]) if samples.shape[2] else [])


@MODERATE
@given(values=st.lists(floats, min_size=1, max_size=8))
def test_totals_of_extremes(values):
    check_total(MinMax(), values)
    check_total(MinMax(), [np.float32(0.1), np.float32(-0.1)])


@MODERATE
@given(values=st.lists(st.floats(allow_nan=False), max_size=8))
def test_totals_of_histograms(values):
    check_total(Histogram([-1.0, 0.0, 0.5, 3.0]), values)


@MODERATE
@given(array=npst.arrays(dtypes, npst.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=4)))
def test_totals_of_concatenations(array):
    check_total(Concatenate(), list(array))


@MODERATE
@given(
    table=npst.arrays(
        np.float64, st.tuples(st.integers(1, 9), st.just(2), st.just(2)), elements=st.floats(-2, 2)
    )
)
def test_totals_of_operations_in_order(table):
    check_total(InOrder(np.matmul), list(table))
    check_total(InOrder(lambda left, right: left + right, ""), [str(row) for row in table])


@MODERATE
@given(
    table=npst.arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 3)), elements=small)
)
def test_totals_of_several_reductions_at_once(table):
    reduction = Each(
        sum=ExactSum(), field=ExactSum(), n=Count(), moments=Moments(), rows=Dataset("rows")
    )
    reduction = Each(inner=reduction, all=Concatenate())
    size = table.shape[1]
    plan = Plan(table.size, size)
    partials = [
        {
            "inner": {"sum": row.sum(), "field": row, "n": size, "moments": row, "rows": row},
            "all": row,
        }
        for row in table
    ]
    check_total(reduction, partials, [plan[index] for index in range(plan.n_blocks)])


class Coin(enum.Enum):
    HEADS = 1


@pytest.mark.parametrize(
    "value",
    [
        *(
            object(),
            threading.Lock(),
            {1, 2},
            fractions.Fraction(1, 3),
            range(3),
            Coin.HEADS,
            len,
            int,
        ),
        *(
            collections.OrderedDict(a=1),
            collections.namedtuple("Pair", "a b")(1, 2),
            bytearray(b"a"),
        ),
        *(
            np.array([None]),
            np.array([1, 2.0], object),
            np.array(["a"], object),
            np.array([1j], object),
        ),
        *(np.zeros(1, [("a", object)]), [{"x": (np.array([{}]),)}], {"f": lambda: 1}),
    ],
    ids=lambda value: type(value).__name__,  # the same in all processes, as an address isn't
)
def test_what_is_no_plain_value_is_refused(value):
    with pytest.raises(TypeError, match="can't be stored"):
        encode(value)


def npy(header, data=b"\0" * 8, version=1):
    """Return a .npy file in base 64."""
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return base64.b64encode(
        b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + data
    ).decode()


HEADERS = [
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000000000000,), }\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n",
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n",
    "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }\n",
    "{'descr': 'zz', 'fortran_order': False, 'shape': (1,), }\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1",
    *(
        "(((\n",
        "'''",
        "  a\n b",
        "__import__('os').abort()",
        "-" * 9000 + "1",
        "(" * 9000,
        "",
        "5",
        "\0",
    ),
]
GARBAGE = [
    *(
        b"",
        b"\xff",
        b"{",
        b"[" * 100_000,
        b'{"a":1}{"a":1}',
        b"9" * 5000,
        b"{}",
        b"[{}]",
        b'{"z": 1}',
        b'{"s": 1}',
    ),
    *(
        b'{"i": 5}',
        b'{"i": "g"}',
        b'{"i": ""}',
        b'{"f": 1.5}',
        b'{"f": "x"}',
        b'{"f": "0x1p99999"}',
        b'{"b": "@"}',
    ),
    *(
        b'{"t": 1}',
        b'{"t": null}',
        b'{"d": 1}',
        b'{"d": [1]}',
        b'{"d": [[1]]}',
        b'{"d": [[[1], 2]]}',
        b'{"b": 1}',
    ),
    *(b'{"a": 1}', b'{"a": ""}', b'{"a": "AAAA"}', b'{"a": "k05VTVBZ"}', b'{"a": null, "s": 1}'),
    *(
        b'{"o": 1}',
        b'{"o": [[1]]}',
        b'{"o": [["a"], [1]]}',
        b'{"o": [[2], [1]]}',
        b'{"o": [[1], 2]}',
    ),
    *(
        b'{"x": []}',
        b'{"x": [1, 2, 3, 4, 5]}',
        b'{"x": [{"t": ["a"]}, 0, 1, 2, 3]}',
        b'{"x": "abcde"}',
    ),
    *(
        json.dumps({"a": npy(header, version=version)}).encode()
        for header in HEADERS
        for version in (1, 2, 3)
    ),
    *(json.dumps({"a": npy(header), "s": 1}).encode() for header in HEADERS),
    pickle.dumps([1, 2]),
]


@pytest.mark.parametrize("data", GARBAGE, ids=lambda data: repr(data[:40]))
def test_anything_else_is_a_value_error(data):
    with pytest.raises(ValueError):
        decode(data)


@settings(max_examples=150, deadline=None)
@given(data=st.binary() | st.text(alphabet='[]{}":,0123456789.tdiofabxs-eE ').map(str.encode))
def test_random_bytes_are_a_value_error_or_a_value(data):
    with contextlib.suppress(ValueError):
        decode(data)


@pytest.mark.filterwarnings("ignore:Reading `.npy`")
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), changes=st.integers(1, 4))
def test_damaged_totals_are_a_value_error_or_a_value(seed, changes):
    rng = random.Random(seed)
    exact = ExactArray((2,))
    exact.add(np.array([1.0, math.nan]))
    big = np.array([2**70], object)
    data = bytearray(
        encode({"a": [1, 2.5, (3, {(1, 2): b"q"})], "x": exact, "o": big, "s": np.float32(3)})
    )
    for _ in range(changes):
        start, other = rng.randrange(len(data)), rng.randrange(len(data))
        data[start : start + rng.choice((0, 1, 5))] = data[other : other + rng.choice((0, 1, 9))]
    with contextlib.suppress(ValueError):
        decode(bytes(data))


class Bomb:
    """What runs code where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_nothing_is_ever_unpickled(tmp_path, monkeypatch):
    path = str(tmp_path / "it was")
    pickled, file = pickle.dumps(Bomb(path)), io.BytesIO()
    np.save(file, np.array([Bomb(path)], object), allow_pickle=True)
    in_record = io.BytesIO()
    np.save(in_record, np.array([(Bomb(path),)], [("a", object)]), allow_pickle=True)
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, lambda *_, **__: pytest.fail("something was unpickled"))
    assert decode(json.dumps({"b": base64.b64encode(pickled).decode()}).encode()) == pickled
    for data in (pickled, file.getvalue(), in_record.getvalue()):
        text = base64.b64encode(data).decode()
        for wrapped in (
            data,
            json.dumps({"a": text}).encode(),
            json.dumps({"a": text, "s": 1}).encode(),
        ):
            with pytest.raises(ValueError):
                decode(wrapped)
    assert os.listdir(tmp_path) == []
