"""What tasks returned goes there and back with its type and bits, many at once too; other types are
named; what is damaged or hostile is no outcome, and runs nothing.
"""

import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import pathlib
import pickle
import struct
import sys
import time
import typing
import uuid
import zoneinfo

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from mpipar.store.outcome_blocks import form, joined, packed, unpacked
from mpipar.store.outcome_codec import ABSENT, dumped, loaded, loaded_class

CALLED = []


@dataclasses.dataclass
class Plain:
    x: typing.Any
    y: typing.Any = 1

    def __post_init__(self):
        CALLED.append("post_init")


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: typing.Any

    def __post_init__(self):
        CALLED.append("post_init")
        object.__setattr__(self, "beside", [self.x])


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: typing.Any
    y: typing.Any = None


@dataclasses.dataclass
class Derived(Plain):
    z: typing.Any = 3


class Undecorated(Derived):
    pass


class Pair(typing.NamedTuple):
    x: typing.Any
    y: typing.Any = 0


class PairWithMore(Pair):
    pass


class Checked(collections.namedtuple("Checked", "x")):
    def __new__(cls, x):
        CALLED.append("new")
        return super().__new__(cls, x)


class Level(enum.Enum):
    LOW = 1
    HIGH = "high"


class Count(enum.IntEnum):
    ONE = 1


class Colour(enum.Flag):
    RED = 1
    BLUE = 2


NAN = struct.unpack("<d", struct.pack("<Q", 0x7FF0DEADBEEF0001))[0]
ROME = zoneinfo.ZoneInfo("Europe/Rome")


def bits(value):
    """Return what tells a value of a simple type from all others, bit by bit."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, complex):
        return struct.pack("<dd", value.real, value.imag)
    if isinstance(value, decimal.Decimal):
        return value.as_tuple()
    if isinstance(value, datetime.datetime | datetime.time):
        zone = value.tzinfo
        told = zone if isinstance(zone, zoneinfo.ZoneInfo) else repr(zone)
        return value.replace(tzinfo=None), value.fold, told
    if isinstance(value, slice | range):
        return repr(value)
    return value


def same(one, other):
    """Return whether two values are the same, in types, order and bits."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray | np.generic):
        is_alike = one.dtype == other.dtype and one.shape == other.shape
        layout = [getattr(each, "flags", None) for each in (one, other)]
        is_laid_out_alike = layout[0].f_contiguous == layout[1].f_contiguous
        if one.dtype == np.longdouble:  # some of its bytes are nobody's
            return is_alike and bool((one == other).all())
        return is_alike and is_laid_out_alike and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        one, other = list(one.items()), list(other.items())
    if isinstance(one, set | frozenset):
        # Pickle is what tasks return by: it makes sets again in their order.
        return same(list(pickle.loads(pickle.dumps(one))), list(other))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if dataclasses.is_dataclass(one):
        return same(state(one), state(other))
    if isinstance(one, enum.Enum):
        return one is other
    return bits(one) == bits(other)


def state(one):
    names = [field.name for field in dataclasses.fields(one)]
    return [getattr(one, name, "none") for name in names] + list(
        getattr(one, "__dict__", {}).items()
    )


def is_back(value):
    return same(value, loaded(dumped(value)))


HASHED = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**5000), 10**5000),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.fractions(),
    st.dates(),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from([*Level, *Count, pathlib.Path("/a b/ü"), range(3), range(0, 2**70, 7)]),
)
SIMPLE = st.one_of(
    HASHED,
    st.floats(),
    st.integers(0, 2**64 - 1).map(lambda n: struct.unpack("<d", struct.pack("<Q", n))[0]),
    st.complex_numbers(),
    st.binary().map(bytearray),
    st.decimals(),
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.times(timezones=st.just(datetime.timezone(datetime.timedelta(hours=2), "two"))),
    st.builds(slice, st.integers(), st.none(), st.integers()),
    st_numpy.arrays(st_numpy.scalar_dtypes(), st_numpy.array_shapes(min_dims=0, min_side=0)),
    st_numpy.from_dtype(np.dtype("f4")),
)


def nested(children):
    return st.one_of(
        st.lists(children),
        st.lists(children).map(tuple),
        st.dictionaries(HASHED, children),
        st.sets(HASHED),
        st.frozensets(HASHED),
        st.builds(Plain, children, children),
        st.builds(Slotted, children),
        st.builds(Derived, children),
        st.builds(Pair, children, children),
    )


def keeps_its_zone(value):
    """Return whether the zone of a time, if it is of tzdata, is the one that is cached."""
    try:
        dumped(value)
    except TypeError as error:
        return "datetime" not in str(error)
    return True


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(SIMPLE, nested, max_leaves=12).filter(keeps_its_zone))
def test_any_outcome_comes_back_with_its_type_and_bits(value):
    assert is_back(value)


STRUCTURED = np.array([(1, 2.5, "ü")], [("a", ">i4"), ("b", "f8"), ("c", "U2")])
VALUES = [
    *(NAN, -NAN, float("nan"), -0.0, complex(NAN, -0.0), 10**10_000, -(10**10_000)),
    *("\ud83d\ude00", "\U0001f600", "a\ud800", "", "\0"),
    *(decimal.Decimal("sNaN123"), decimal.Decimal("-NaN"), decimal.Decimal("1E+999999")),
    fractions.Fraction(10**6000, 3),
    datetime.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ROME),
    datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(0, 1, 5), "odd")),
    datetime.time(1, 2, fold=1),
    *(np.array(3.5), np.zeros((0, 3)), np.array([], "U0"), STRUCTURED, STRUCTURED[0]),
    *(np.array([1, 2], ">i4"), np.asfortranarray(np.arange(6.0).reshape(2, 3))),
    np.asfortranarray(np.arange(24, dtype=">u2").reshape(2, 3, 4)),
    *(np.array([NAN, -0.0]), np.array(["NaT"], "M8[us]"), np.longdouble("1.1"), np.bytes_(b"a\0")),
    *(
        {3: 1, 1: 2, 2: 3},
        {"b", "a"},
        frozenset([8, 0]),
        uuid.UUID(int=3),
        pathlib.PurePosixPath("a"),
    ),
    *(Level.HIGH, Count.ONE, Colour.RED, Frozen([1]), Undecorated(1), Checked(2), Pair((1,), [2])),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_what_is_easily_lost_comes_back(value):
    assert is_back(value)
    assert is_back([{"in": (value,)}])
    [once, again] = unpacked(*as_block([value, value]))
    assert same(value, once)
    assert same(value, again)


def as_block(values):
    data, unkept = packed(values)
    assert not unkept
    return data, len(values)


def test_no_constructor_is_called_and_attributes_beside_fields_are_kept():
    values = [Plain(1), Frozen(2), Derived(3), Checked(4)]
    values[0].beside = "more"
    values[3].beside = "more"
    data = dumped(values)
    CALLED.clear()
    back = loaded(data)
    assert CALLED == []
    assert (back[0].beside, back[1].beside, back[3].beside) == ("more", [2], "more")
    assert back == values


def test_an_attribute_that_was_not_set_is_not_set():
    value = Slotted(1)
    del_y = object.__new__(Slotted)
    object.__setattr__(del_y, "x", value.x)
    back = loaded(dumped(del_y))
    assert back.x == 1
    assert not hasattr(back, "y")


def test_what_is_there_twice_is_one_object_again():
    row = [1]
    array = np.zeros(2)
    back = loaded(dumped({"a": row, "b": (row, [array, array, np.float64(1)]), "c": [row]}))
    assert back["a"] is back["b"][0] is back["c"][0]
    assert back["b"][1][0] is back["b"][1][1]
    pair = PairWithMore([1], [2])
    pair.more = [3]
    there, first, second, more = loaded(dumped([pair, pair.x, pair.y, pair.more]))
    assert [first, second, more] == [[1], [2], [3]]
    assert first is there.x
    assert second is there.y
    assert more is there.more


class Attributes(dict):
    __getattr__ = dict.__getitem__


class Refusing(type):
    def __getattr__(cls, name):
        raise KeyError(name)


class Refused(metaclass=Refusing):
    pass


class Mapping(dict):
    pass


@dataclasses.dataclass
class WithState:
    x: int

    def __getstate__(self):
        return {}


@dataclasses.dataclass
class WithEnd:
    x: int

    def __del__(self):
        CALLED.append("del")


class OwnMeta(enum.EnumMeta):
    pass


class Strange(enum.Enum, metaclass=OwnMeta):
    ONE = 1


@dataclasses.dataclass
class Listed(list):
    x: int = 1


def local():
    @dataclasses.dataclass
    class Local:
        x: int = 1

    return Local()


ROUND = []
ROUND.append(ROUND)
OTHERS = [
    *(object(), Mapping(a=1), collections.OrderedDict(), collections.Counter("a"), ROUND, local()),
    *(
        WithState(1),
        WithEnd(1),
        Strange.ONE,
        Colour.RED | Colour.BLUE,
        Listed(),
        Attributes(a=1),
        Refused(),
        ValueError(1),
        len,
    ),
    *(
        np.array([1, "a"], object),
        np.zeros(1).view(np.recarray),
        iter([]),
        type,
        time.gmtime(0),
        lambda: 1,
    ),
    np.zeros(1, np.dtype([("a", "u1"), ("b", "f8")], align=True)),
]


@pytest.mark.parametrize("value", OTHERS, ids=lambda value: type(value).__name__)
def test_other_types_are_named_and_not_kept(value):
    data, unkept = packed([1, value, "a"])
    assert unkept == {1: type(value)}
    assert unpacked(data, 3) == [1, ABSENT, "a"]
    _, unkept = packed([[value]])
    assert unkept == {0: list}


def test_a_class_that_has_changed_or_is_gone_makes_its_outcomes_absent(monkeypatch):
    module = sys.modules[__name__]
    values = [Plain(1), Pair(2), Level.HIGH, 5]
    data, _ = packed(values)
    assert unpacked(data, 4) == values

    @dataclasses.dataclass
    class Other:
        x: int
        z: int

    monkeypatch.setattr(module, "Plain", Other)
    monkeypatch.setattr(module, "Pair", collections.namedtuple("Pair", "y x"))
    monkeypatch.setattr(module, "Level", enum.Enum("Level", {"HIGH": 3}))
    assert unpacked(data, 4) == [ABSENT, ABSENT, ABSENT, 5]
    monkeypatch.delattr(module, "Plain")
    assert unpacked(data, 4) == [ABSENT, ABSENT, ABSENT, 5]


COLUMNS = [
    st.floats(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(),
    st.booleans(),
    st.none(),
    st.text(st.characters(exclude_categories=())),
    st_numpy.from_dtype(np.dtype(">f4")),
    st.tuples(st.floats(), st.text(st.characters(exclude_categories=()))),
    st.tuples(st.tuples(st.none(), st.integers(0, 9)), st.tuples(st.booleans())),
    st.lists(st.integers(), max_size=2),
    st.one_of(st.none(), st.integers(0, 5)),
]


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_many_at_once_are_the_same_as_one_by_one_and_in_parts(data):
    values = data.draw(st.lists(data.draw(st.sampled_from(COLUMNS)), min_size=1, max_size=30))
    assert same(values, unpacked(*as_block(values)))
    cut = data.draw(st.integers(1, len(values)))
    parts = [values[at : at + cut] for at in range(0, len(values), cut)]
    blocks = [packed(part)[0] for part in parts]
    if len(set(map(form, blocks))) == 1:
        whole = joined(blocks, list(map(len, parts)))
        assert same(values, unpacked(whole, len(values)))


HOSTILE = [
    ["n", "system", "true"],
    ["x", "os", "system", [], []],
    ["x", "subprocess", "Popen", ["args"], [["args", "true"]]],
    ["x", "builtins", "eval", [], []],
    ["N", "os", "stat_result", ["x"], [1], []],
    ["e", "os", "system", "a", "1"],
    ["e", "signal", "Signals", "__class__", "1"],
    ["N", __name__, "Pair", ["x", "y"], [1], []],
    ["x", __name__, "Plain.__init__", [], []],
    ["x", __name__, "Plain", ["x", "y"], [["__class__", 1], [1, 2]]],
    ["x", __name__, "Slotted", ["x", "y"], [["__init__", 1]]],
    ["a", "|O", [1], 0, 8],
    ["a", "<f8", [2**60], 0, 2**63],
    ["a", [["a", "|O"]], [1], 0, 8],
    ["g", ["l"]],
    ["m", 1, 2, 3],
    ["i", "0x"],
    ["=", 7],
    ["=", -1],
    ["z", "datetime", "2020-01-01T00:00:00", 0, ["zoneinfo", "../../../etc/passwd", ""]],
    ["d", [["l"], 1]],
    ["q", "0x1", "0x0"],
    ["y", ["l"]],
    ["?"],
    [],
]


@pytest.mark.parametrize("plain", HOSTILE, ids=str)
def test_nothing_hostile_is_an_outcome_or_runs(plain, monkeypatch):
    modules = set(sys.modules)
    CALLED.clear()
    with pytest.raises(
        ValueError, match=r"not a stored outcome|no class|fields|has no|another|place"
    ):
        loaded(json.dumps(plain).encode() + b"\0" + bytes(64))
    assert CALLED == []
    assert set(sys.modules) <= modules | {"tzdata", "tzdata.zoneinfo"}


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"", 0),
        (b"?", 1),
        (b"N", 2**60),
        (b"D" + bytes(16), 1),
        (b"G\2\0\0\0|O" + bytes(8), 1),
        (b'G\4\0\0\0"|O"' + bytes(8), 1),
        (b"S" + (2**60).to_bytes(8, "little"), 1),
        (b"V" + (2**63).to_bytes(8, "little") * 2, 2),
        (b"V" + (2**60).to_bytes(8, "little"), 1),
        (b"T\xff\xff\xff\xff", 1),
        (b"T\1\0\0\0" + bytes(8), 1),
        (b"B" + bytes(2**10), 2**60),
    ],
)
def test_lengths_that_are_not_there_are_refused_at_once(data, count):
    with pytest.raises((ValueError, MemoryError)):
        unpacked(data, count)


def test_deep_nesting_is_refused_not_a_crash():
    deep = b'["l",' * 100_000 + b"1" + b"]" * 100_000
    with pytest.raises(ValueError, match="not a stored outcome"):
        loaded(deep)
    data = b"T\1\0\0\0"
    for _ in range(5_000):
        data = b"T\1\0\0\0" + len(data).to_bytes(8, "little") + data
    with pytest.raises(ValueError, match="no 1 outcomes"):
        unpacked(data, 1)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
@example(b'["f","nan:zz"]')
def test_any_other_bytes_are_refused(data):
    with contextlib.suppress(ValueError):
        loaded(data)


def test_a_class_is_found_without_a_call_of_the_modules_own():
    assert loaded_class("os", "system") is None
    assert loaded_class("os.path", "no") is None
    assert loaded_class("no such", "Plain") is None
    assert loaded_class(__name__, "Plain.x") is None
    assert loaded_class(__name__, "Plain") is Plain
