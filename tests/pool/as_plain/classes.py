import abc, enum, threading, typing, collections, functools
from multiprocessing import Pool

seen = []


class Base:
    subs = []

    def __init_subclass__(cls, tag=None, **kw):
        super().__init_subclass__(**kw)
        Base.subs.append((cls.__name__, tag))


class One(Base, tag="a"):
    pass


class Two(One, tag="b"):
    pass


class Meta(type):
    def __new__(m, n, b, d, *, color):
        return super().__new__(m, n, b, d)

    def __init__(c, n, b, d, *, color):
        super().__init__(n, b, d)
        c.color = color
        seen.append(n)


class M(metaclass=Meta, color="red"):
    pass


class S:
    __slots__ = ("x", "y")

    def __init__(self, x):
        self.x = x


class S2(S):
    __slots__ = ("z",)


class L:
    lock = threading.Lock()
    n = 3

    def locked(self):
        with self.lock:
            return self.n


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class NT(typing.NamedTuple):
    a: int
    b: str = "q"


def f(_):
    s = S2(1)
    try:
        s.w = 3
        r = "dict"
    except AttributeError:
        r = "slots"
    return Base.subs, seen, M.color, r, S.__slots__, Color(2), NT(1), Color.RED is Color(1)


def g(_):
    return L().locked()


def h(c):
    return c is Color.RED, M.__name__


def main():
    with Pool(2) as p:
        print(p.map(f, [1]))
        print(p.map(h, [Color.RED, Color.BLUE]))
        print(p.map(g, [1]))


if __name__ == "__main__":
    main()
