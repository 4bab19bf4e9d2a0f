"""Items of all kinds: what pickle would tell apart has another fingerprint, and what is equal has
the same, wherever it comes from.
"""

import collections
import contextlib
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import io
import itertools
import math
import multiprocessing as mp
import pathlib
import pickle
import random
import re
import struct
import threading
import uuid
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mpipar.store.fingerprint import Fingerprints, Unfingerprintable

# Python 3.12 and 3.13 pickle itertools' objects as before.
pytestmark = pytest.mark.filterwarnings("ignore:Pickle, copy, and deepcopy support")


def of(value):
    return Fingerprints().item(value)


@dataclasses.dataclass
class Point:
    x: float
    y: object = None


class Slots:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a

    def __repr__(self):
        return f"Slots({self.a!r})"


class Stateful:
    def __init__(self, kept, lost):
        self.kept, self.lost = kept, lost

    def __getstate__(self):
        return {"kept": self.kept}


class Reduced:
    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return Reduced, (self.value,)


class Weird:
    """Says that it is all things, and none."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        raise RuntimeError

    def __hash__(self):
        return 1

    def __bool__(self):
        raise RuntimeError

    def __len__(self):
        raise RuntimeError

    def __iter__(self):
        raise RuntimeError

    def __repr__(self):
        raise RuntimeError


class Shade(enum.Enum):
    DARK = 1
    LIGHT = 2


class Number(int):
    pass


class Text(str):
    pass


class Items(list):
    pass


class Names(set):
    pass


Pair = collections.namedtuple("Pair", "x y")
ARRAY = np.arange(6.0).reshape(2, 3)


def nan(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def shared(value):
    return [value, value]


def cyclic(*values):
    found = list(values)
    found.append(found)
    return found


def generator(seed, draws=0):
    made = np.random.default_rng(seed)
    made.random(draws)
    return made


DIFFERENT = [
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, -(2**64), 10**40, 0.0, -0.0, 1.0, 0j, -0j),
    *(complex(0, -0.0), 1 + 0j, math.inf, -math.inf, nan(0x7FF8 << 48), nan((0x7FF8 << 48) + 1)),
    *("", "1", b"1", bytearray(b"1"), b"", "ä", "a\u0308", "\ud800", "None", "a\0b", "a"),
    *((), [], {}, set(), frozenset(), (1, 2), [1, 2], (1, 2.0), (True, 2), [1, [2]], [[1], 2]),
    *((1, (2, 3)), ((1, 2), 3), (1, 2, 3), [(1,)], [[1]], [()], ["ab", "c"], ["a", "bc"]),
    *({"a": 1, "b": 2}, {"b": 2, "a": 1}, {1: 2}, {True: 2}, {1: 2.0}, {"a": [1]}, [("a", [1])]),
    *({1, 2}, {1, 3}, {(1, 2)}, {1.0, 2}, frozenset({1, 2}), {frozenset({1})}, {1}, {True}),
    *(range(3), range(0, 3, 2), range(4), slice(3), slice(0, 3), ..., NotImplemented),
    *(np.float64(1), np.float32(1), np.int64(1), np.int32(1), np.uint64(1), np.bool_(True)),
    *(np.float64(-0.0), np.float64(0.0), np.complex128(1), np.str_("1"), np.bytes_(b"1")),
    *(np.longdouble(1), np.datetime64("2020-01-01"), np.datetime64("2020-01-01", "s")),
    *(np.timedelta64(1, "D"), np.timedelta64(1, "s"), np.void(b"abc")),
    *(ARRAY, ARRAY.T, ARRAY.copy(order="F"), ARRAY.ravel(), ARRAY.astype("f4"), ARRAY.astype(int)),
    *(ARRAY.astype(">f8"), ARRAY[:0], ARRAY[:, :0], np.array(1.0), np.array([1.0]), -ARRAY),
    *(ARRAY.astype(object), ARRAY.tolist(), np.ma.array(ARRAY)),
    *(np.ma.array(ARRAY, mask=ARRAY > 2), np.ma.array(ARRAY, mask=ARRAY > 3)),
    *(np.ma.array(ARRAY, fill_value=3), np.zeros(2, "S3"), np.zeros(2, "U3"), np.zeros(2, bool)),
    *(np.zeros(2, [("a", "f8"), ("b", "i4")]), np.zeros(2, [("b", "f8"), ("a", "i4")])),
    *(np.zeros(2, [("a", "f8"), ("b", "i8")]), np.array([1, "1"], object), np.array([1, 1], "O")),
    *(np.array(["a", "bb"]), np.array([b"a", b"bb"]), np.dtype("f4"), np.dtype("f8"), np.float32),
    *(np.array([[1], [2, 3]], object), np.rec.array([(1, 2.0)], dtype=[("a", int), ("b", float)])),
    *(datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), datetime.timedelta(1)),
    *(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.time(1)),
    *(datetime.datetime(2020, 1, 1, fold=1), decimal.Decimal(1), decimal.Decimal("1.0")),
    *(fractions.Fraction(1, 3), fractions.Fraction(1), pathlib.Path("1"), uuid.UUID(int=1)),
    *(
        pathlib.PurePosixPath("1"),
        pathlib.PureWindowsPath("1"),
        re.compile("1"),
        re.compile("1", 2),
    ),
    *(Point(1), Point(1.0), Point(1, 2), Pair(1, 2), Pair(2, 1), SimpleNamespace(x=1), Slots(1)),
    *(Slots(2), Slots([1]), Stateful(1, 2), Stateful(2, 2), Reduced(1), Reduced(2), Weird(1)),
    *(Weird(2), Shade.DARK, Shade.LIGHT, Number(1), Number(2), Text("1"), Items([1]), Names([1])),
    *(Items([2]), Names([2]), collections.Counter("ab"), collections.OrderedDict(a=1, b=2)),
    *(collections.defaultdict(list), collections.defaultdict(set), collections.deque([1])),
    *(
        collections.deque([1], 3),
        MappingProxyType({"a": 1}),
        itertools.count(1),
        itertools.count(2),
    ),
    *(generator(1), generator(2), generator(1, 1), np.random.RandomState(1), random.Random(1)),
    *(np.random.RandomState(2), random.Random(2), np.random.SeedSequence(1)),
    *(np.random.SeedSequence(2), np.random.SeedSequence(1).spawn(2)[1], np.random.PCG64(1)),
    *(
        np.random.Philox(1),
        int,
        float,
        list,
        Point,
        Slots,
        Shade,
        len,
        max,
        math.sin,
        np.sin,
        np.cos,
    ),
    *(
        str.upper,
        str.lower,
        "a".upper,
        "b".upper,
        [].append,
        Point(1).__init__,
        Shade.mro,
        math,
        re,
    ),
    *(functools.partial(max, 1), functools.partial(max, 2), functools.partial(min, 1)),
    *(functools.partial(max, key=len), functools.partial(int, base=2), ValueError(1), TypeError(1)),
    *(shared([1]), [[1], [1]], shared([]), cyclic(), cyclic(1), [cyclic()], shared(ARRAY)),
    *([ARRAY, ARRAY.copy()], shared(Point(1)), [Point(1), Point(1)], {"a": cyclic()}),
    *(pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1.0, 2]}), pd.DataFrame({"b": [1, 2]})),
    *(pd.Series([1, 2]), pd.Series([1, 2], name="a"), pd.Timestamp("2020-01-01"), pd.NaT, pd.NA),
    *(pd.Categorical(["a", "b"]), pd.Index([1, 2]), io.BytesIO(b"1"), io.StringIO("1")),
]


def test_items_that_differ_have_different_fingerprints():
    found = {}
    for number, value in enumerate(DIFFERENT):
        now = of(value)
        assert type(now) is bytes
        assert len(now) == 16
        assert now not in found, f"{number} and {found[now]}"
        found[now] = number


def test_an_item_in_something_else_is_as_different():
    for wrapped in (lambda value: (value, 1), lambda value: [value], lambda value: {"a": value}):
        found = {of(wrapped(value)) for value in DIFFERENT}
        assert len(found) == len(DIFFERENT)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_have_the_same_fingerprint(copied):
    for number, value in enumerate(DIFFERENT):
        try:
            same = copied(value)
        except (TypeError, AttributeError):  # of modules, and views of dicts
            continue
        if type(value) is np.ndarray and not value.dtype.isnative:  # pickle makes them so
            continue
        assert of(same) == of(value), f"{number}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("abc", "".join(["a", "bc"])),
        (["ab", "ab"], ["ab", "".join("ab")]),
        ([(1, 2), (1, 2)], [(1, 2), tuple([1, 2])]),
        ({"a", "b", "c", 1, 2.5}, {2.5, 1, "c", "b", "a"}),
        ({"k" * n for n in range(50)}, {"k" * n for n in reversed(range(50))}),
        (frozenset("abcdef"), frozenset("fedcba")),
        (Names("abcdef"), Names("fedcba")),
        ([1000, 1000], [1000, int("1000")]),
        (ARRAY, np.vstack([ARRAY, ARRAY])[:2]),
        (ARRAY, np.hstack([ARRAY, ARRAY])[:, :3]),
        (ARRAY[::-1], ARRAY[::-1].copy()),
        (ARRAY.T, np.ascontiguousarray(ARRAY).T),
        (np.float64(1), ARRAY[0, 1]),
        (Stateful(1, 2), Stateful(1, 3)),
        ([pathlib.Path("a")] * 2, [pathlib.Path("a"), pathlib.Path("a")]),
        ([decimal.Decimal(1)] * 2, [decimal.Decimal(1), decimal.Decimal(1)]),
        (range(3), range(3)),
    ],
)
def test_what_is_equal_has_the_same_fingerprint(one, other):
    assert of(one) == of(other)


class Only(list):
    """A list that is pickled by a name, which says nothing of what is in it."""

    def __reduce__(self):
        return "ONLY"


@pytest.mark.parametrize(
    "value",
    [
        threading.local(),
        mp.Value("i"),
        (number for number in range(3)),
        memoryview(b"abc"),
        np.frompyfunc(abs, 1, 1),
        [1, {"a": iter("ab")}, threading.local()],
        Point(1, mp.Value("i")),
        Only([1]),
    ],
)
def test_what_pickle_refuses_is_refused(value):
    with pytest.raises(Unfingerprintable) as caught:
        of(value)
    assert isinstance(caught.value.kind, type)
    assert "\n" not in str(caught.value)


def test_an_open_file_is_refused_by_its_type():
    with open(__file__) as file, pytest.raises(Unfingerprintable, match="TextIOWrapper") as caught:
        of([file])
    assert caught.value.kind is io.TextIOWrapper


@pytest.mark.parametrize(
    "error", [RuntimeError("why\nnot"), KeyError(1), RecursionError(), OSError(2)]
)
def test_whatever_an_object_raises_is_that_it_is_refused(error):
    class Hostile:
        def __reduce_ex__(self, protocol):
            raise error

    with pytest.raises(Unfingerprintable) as caught:
        of([Hostile()])
    assert caught.value.kind is Hostile
    assert "\n" not in str(caught.value)


class Untold(Exception):
    def __repr__(self):
        raise self


class HidingMeta(type):
    def __getattribute__(cls, name):
        raise Untold


class Hiding(metaclass=HidingMeta):
    def __reduce_ex__(self, protocol):
        raise Untold


@pytest.mark.parametrize(
    "wrapped", [lambda item: item, lambda item: [item], lambda item: (1, item)]
)
def test_what_hides_all_of_itself_is_refused(wrapped):
    with pytest.raises(Unfingerprintable) as caught:
        of(wrapped(Hiding()))
    assert "\n" not in str(caught.value)
    with pytest.raises(Unfingerprintable):
        of(wrapped(Hiding))


def test_what_is_nested_too_deeply_is_refused():
    value = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(Unfingerprintable):
        of(value)
    while value:  # piece by piece, as it would be too deep for its destructor on some versions
        value = value.pop()


@pytest.mark.parametrize(
    "reduced", [None, 3, (), (1,), (len,), ("a", ()), (len, (), 1, 2), (len, (), None, 3)]
)
def test_what_says_nonsense_about_itself_is_refused_or_told_apart(reduced):
    class Hostile:
        def __reduce_ex__(self, protocol):
            return reduced

    with contextlib.suppress(Unfingerprintable):
        assert len(of(Hostile())) == 16


RAN = []


class Watching(type):
    def __getattribute__(cls, name):
        RAN.append(f"class {name}")
        return super().__getattribute__(name)

    def __eq__(cls, other):
        RAN.append("class ==")
        return cls is other

    def __hash__(cls):
        RAN.append("class hash")
        return 1

    def __instancecheck__(cls, instance):
        RAN.append("isinstance")
        return True


class Watched(metaclass=Watching):
    def __getattribute__(self, name):
        RAN.append(name)
        return super().__getattribute__(name)

    @property
    def value(self):
        RAN.append("value")

    def __eq__(self, other):
        RAN.append("==")
        return True

    def __hash__(self):
        RAN.append("hash")
        return 1

    def __repr__(self):
        RAN.append("repr")
        return "same"

    def __bool__(self):
        RAN.append("bool")
        return True

    def __reduce_ex__(self, protocol):
        RAN.append("reduce")
        return object.__reduce_ex__(self, protocol)


def test_no_code_of_an_object_runs_that_pickle_would_not_run():
    item = [Watched(), {"a": Watched()}]
    RAN.clear()
    pickle.dumps(item)
    by_pickle = set(RAN)
    RAN.clear()
    of(item)
    assert set(RAN) <= by_pickle


NATIVE = arrays.scalar_dtypes().map(lambda dtype: dtype.newbyteorder("="))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=True),
    st.complex_numbers(),
    st.text(),
    st.binary(),
    st.decimals(),
    st.fractions(),
    st.dates(),
    st.datetimes(),
    st.timedeltas(),
    st.uuids(),
    arrays.arrays(NATIVE, arrays.array_shapes(min_dims=0, min_side=0, max_side=3)),
)
KEYS = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(KEYS, inner, max_size=4),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
        st.builds(Point, inner, inner),
        st.builds(Pair, inner, inner),
        st.builds(Slots, inner),
        inner.map(shared),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_equal_copies_have_the_same_fingerprint(value):
    before = of(value)
    assert of(value) == before
    assert of(copy.deepcopy(value)) == before
    for protocol in (4, 5):
        assert of(pickle.loads(pickle.dumps(value, protocol))) == before


@settings(max_examples=150, deadline=None)
@given(VALUES, VALUES)
def test_values_of_other_texts_have_other_fingerprints(one, other):
    if repr(one) != repr(other):
        assert of(one) != of(other)


@settings(max_examples=100, deadline=None)
@given(st.lists(SCALARS, max_size=6))
def test_a_block_is_told_from_others_where_items_are(items):
    prints = Fingerprints()
    whole = prints.block(items)
    assert prints.items(items) == [of(item) for item in items]
    if whole is not None:
        assert prints.block(pickle.loads(pickle.dumps(items))) == whole
        assert prints.block([*items, None]) != whole
        assert prints.block([*items, 1.0]) != whole


BLOCKS = [
    list(range(5)),
    range(5),
    [float(number) for number in range(5)],
    [(number, 1.0) for number in range(5)],
    [(number, 1) for number in range(5)],
    list(np.arange(5.0)),
    list(np.arange(5)),
    list(np.arange(5, dtype="f4")),
    list("abcde"),
    [],
    [None],
]


def test_blocks_of_plain_items_have_fingerprints():
    found = [Fingerprints().block(items) for items in BLOCKS]
    assert None not in found
    assert found[0] == found[1]
    assert len(set(found)) == len(found) - 1


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock, mp.Lock, mp.RLock])
def test_one_lock_is_as_good_as_another(make):
    assert of((1, make())) == of((1, make())) != of((2, make()))


def test_what_is_around_a_lock_counts():
    events = [threading.Event() for _ in range(3)]
    events[2].set()
    assert of(events[0]) == of(events[1]) != of(events[2])


ENDS = st.integers(-(2**32), 2**32)


@settings(max_examples=100, deadline=None)
@given(ENDS, st.integers(0, 40), st.integers(-(2**30), 2**30).filter(bool))
@example(2**31 - 5, 10, 1)
def test_a_block_of_a_range_is_one_of_its_numbers(start, count, step):
    items = range(start, start + count * step, step)
    assert Fingerprints().block(items) == Fingerprints().block(list(items))


@pytest.mark.parametrize("items", [[[1]], [ARRAY], [(1, [2])], [Point(1)], [1.0, np.float64(1)]])
def test_other_blocks_have_none(items):
    assert Fingerprints().block(items) is None


class Fresh:
    """An item that pickle makes by a function that is new each time."""

    def __init__(self, number):
        self.number = number

    def __reduce__(self):
        return (lambda number=self.number: number), ()


def test_functions_that_live_shortly_are_not_taken_for_each_other():
    items = [Fresh(number) for number in range(300)]
    found = Fingerprints().items(items)
    assert len(set(found)) == len(items)
    assert found == [of(item) for item in items]


def test_the_class_of_an_item_is_part_of_it(monkeypatch):
    prints = Fingerprints()
    item = Point(1.0)
    before = prints.item(item)
    assert prints.item(item) == before
    monkeypatch.setattr(Point, "__repr__", lambda self: "another")
    assert prints.item(item) != before
    monkeypatch.undo()
    assert prints.item(item) == before
