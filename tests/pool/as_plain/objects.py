"""Objects go to tasks and come back with their classes, which are the script's own there and here."""

import collections
import dataclasses
import enum
import pickle
import typing
from multiprocessing import Manager, Pool


@dataclasses.dataclass(order=True)
class Point:
    x: int
    tags: list = dataclasses.field(default_factory=list, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    x: int = 1


class Color(enum.IntFlag):
    RED = 1
    BLUE = 2


class Pair(typing.NamedTuple):
    a: int
    b: int = 2


Other = collections.namedtuple("Other", "p q")
T = typing.TypeVar("T")


class Box(typing.Generic[T]):
    inner: "Point"

    class Part:
        pass


class Oops(ValueError):
    def __init__(self, a, b):
        super().__init__(a, b)
        self.b = b


EXAMPLES = [
    Point(3, ["a"]),
    Frozen(4),
    Color.RED | Color.BLUE,
    Pair(1),
    Other(1, 2),
    Box.Part(),
    Box[int],
]


def types(objects):
    same = [type(each) is type(own) for each, own in zip(objects, EXAMPLES)]
    return same, isinstance(objects[0], Point), objects[0] == EXAMPLES[0], Color(3) is EXAMPLES[2]


def made(_):
    return [Point(1), Frozen(2), Color.BLUE, Pair(5), Other(3, 4), Box.Part()]


def loaded(data):
    return types(pickle.loads(data)), typing.get_type_hints(Box)


def fails(x):
    raise Oops(x, "b")


def from_manager(shared):
    return type(shared["point"]) is Point, shared["point"].tags


if __name__ == "__main__":
    with Pool(2) as pool:
        print(pool.map(types, [EXAMPLES]))
        back = pool.map(made, [0])[0]
        print(
            [type(each).__name__ for each in back],
            isinstance(back[0], Point),
            type(back[3]) is Pair,
        )
        print(pool.map(loaded, [pickle.dumps(EXAMPLES)]))
        try:
            pool.apply(fails, (1,))
        except Oops as error:
            print(error.b, type(error) is Oops)
    with Manager() as manager, Pool(1) as pool:
        shared = manager.dict(point=Point(3, ["m"]))
        print(pool.apply(from_manager, (shared,)))
