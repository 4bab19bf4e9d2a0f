"""What pickle takes by a name: sentinels that tell their own, and what typing makes; in a script without a guard."""

import typing
from multiprocessing import Pool


class Sentinel:
    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return self.name


MISSING = Sentinel("MISSING")
Parameters = typing.ParamSpec("Parameters")
Value = typing.TypeVar("Value", bound=int)
Metres = typing.NewType("Metres", int)
TABLE = {"missing": MISSING, "unit": Metres}


class Point(typing.TypedDict, total=False):
    x: int


class Solid(Point):
    z: float


Made = typing.TypedDict("Made", {"a-b": str})


class Pair(typing.NamedTuple, typing.Generic[Value]):
    left: Value


def is_missing(value, other=MISSING):
    return value is MISSING, other is MISSING, TABLE["missing"] is MISSING


def look(_):
    return (
        Solid(z=1.0),
        sorted(Solid.__optional_keys__),
        Solid.__required_keys__,
        Point.__total__,
        typing.is_typeddict(Made),
        typing.get_type_hints(Solid),
        Made.__annotations__,
        Pair(3),
        Pair[int].__args__,
        Metres(4),
        TABLE["unit"] is Metres,
        Metres.__supertype__,
        Parameters,
    )


def same(value):
    return value


with Pool(2) as pool:
    print(pool.map(is_missing, [MISSING, None]))
    print(*pool.map(look, [0])[0], sep="\n")
    kinds = [MISSING, Metres, Parameters, Point, Solid, Made, Pair]
    print([a is b for a, b in zip(kinds, pool.map(same, kinds))])
