"""Values of any kind as bytes and back: exactly as they were, or refused by the name of their
type.
"""

import collections
import datetime
import decimal
import enum
import fractions
import pathlib
import uuid
import zoneinfo

import numpy as np
import pytest

from mpipar.store.values import Unstorable, dump, load

TIME = datetime.datetime(2020, 1, 2, 3, 4, 5, 6)
VALUES = [
    *(
        None,
        True,
        1,
        -(2**70),
        10**5000,
        1.5,
        float("inf"),
        -0.0,
        5e-324,
        complex(float("inf"), -0.0),
    ),
    *("a\0b", "\udc80", "", b"\0x", bytearray(b"q"), range(1, 9, 2)),
    *([1, [2]], (1, (2, [])), {"a": 1, 2: (3,)}, {(1, 2): {3}}, set("abc"), frozenset([1, 2]), {}),
    *(
        np.float32(1.1),
        np.str_("ü"),
        np.datetime64("2020-01-01"),
        np.bool_(True),
        np.longdouble("1.1"),
    ),
    *(
        TIME,
        TIME.replace(tzinfo=datetime.UTC),
        TIME.date(),
        TIME.time(),
        datetime.timedelta(-1, 5, 7),
    ),
    TIME.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
    *(decimal.Decimal("1.10"), decimal.Decimal("NaN"), fractions.Fraction(1, 3)),
    *(pathlib.Path("/a b"), uuid.UUID(int=7)),
    *(TIME.replace(tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")), TIME.replace(fold=1)),
    *(TIME.time().replace(fold=1), slice(1, None, (2,)), np.bytes_(b"a\0"), np.str_("b\0")),
]
ARRAYS = [
    np.arange(6).reshape(2, 3),
    np.array(3.5),
    np.array(["a", "bcd"]),
    np.array([b"ab", b"c"]),
    np.zeros(3, [("a", "i4"), ("b", "f8", (2,))]),
    np.zeros(3, [("a", [("b", "i4"), ("c", "U3")])]),
    np.zeros(
        2,
        np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [0, 8], "itemsize": 24}),
    ),
    np.zeros((0, 3)),
    np.zeros(3, "U0"),
    np.array([1, 2], ">i4"),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array([1, -0.0, np.nan], np.float16),
    np.array(["2020-01-01", "NaT"], "M8[ns]"),
]


class Level(enum.IntEnum):
    LOW = 1


Pair = collections.namedtuple("Pair", "x y")


class Summer(datetime.tzinfo):
    pass


ROUND: list = []
ROUND.append(ROUND)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_as_it_was(value):
    back = load(dump([value, {"in": value}]))
    for one in (back[0], back[1]["in"]):
        assert type(one) is type(value)
        assert repr(one) == repr(value) if not isinstance(value, int) else one == value


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.dtype))
def test_an_array_comes_back_as_it_was_and_can_be_written_to(array):
    one, other = load(dump((array, array)))
    assert one.dtype == other.dtype == array.dtype
    assert one.shape == other.shape == array.shape
    assert one.tobytes() == other.tobytes() == array.tobytes()
    assert one.flags.writeable


def test_a_mask_comes_back():
    array = np.ma.array([1.0, 2.0], mask=[False, True], fill_value=-1)
    back = load(dump(array))
    assert isinstance(back, np.ma.MaskedArray)
    assert back.tolist() == [1.0, None]
    assert back.fill_value == -1
    assert back.data.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Level.LOW, "a test_values.Level can't be stored without pickle: return .value of it"),
        (Pair(1, 2), r"a test_values.Pair can't .*return \._asdict\(\) of it"),
        (collections.OrderedDict(a=1), r"a collections.OrderedDict can't .*return dict\(\) of it"),
        (ROUND, "a list that has itself in it"),
        (np.array([1, "a"], object), "a numpy.ndarray of object can't"),
        (np.zeros(2).view(np.recarray), "a numpy.rec.recarray of float64 can't"),
        (iter([1]), r"a list_iterator can't .*return list\(\) of it"),
        (ValueError(1), "a ValueError can't"),
        (TIME.replace(tzinfo=Summer()), "a datetime.datetime can't"),
        ([{"a": (object(),)}], "an object can't"),
    ],
)
def test_what_cant_come_back_is_refused_by_its_type(value, message):
    with pytest.raises(Unstorable, match=message):
        dump(value)


@pytest.mark.parametrize(
    "data", [b"", b"[", b'["z"]', b'["n","eval","1"]', b'["a","<f8",[3],0,24]\0short', b"\xff"]
)
def test_other_bytes_are_no_value(data):
    with pytest.raises(ValueError, match="not a stored value"):
        load(data)
