import sys, inspect, pickle, typing
from multiprocessing import Pool
import threading

REG = []


class Meta(type):
    def __new__(m, n, b, d, key=None):
        c = super().__new__(m, n, b, d)
        REG.append((n, key))
        return c

    def __init__(c, n, b, d, key=None):
        super().__init__(n, b, d)


class A(metaclass=Meta, key=3):
    __slots__ = ("x",)
    lock = threading.Lock()
    rate = 1

    def __init__(self, x):
        self.x = x


class Plug:
    subs = []

    def __init_subclass__(cls, **kw):
        Plug.subs.append(cls.__name__)


class B(Plug):
    pass


class Node:
    nxt: "Node"
    v: "int"


MISSING = object()


def f(x, m=MISSING):
    return (
        m is MISSING,
        len(REG),
        Plug.subs,
        A(x).x,
        hasattr(A(1), "__dict__"),
        A.rate,
        inspect.getsource(B),
        __name__,
        f.__code__.co_filename == __file__,
        A,
    )


def g(d):
    return type(pickle.loads(d)).__name__, typing.get_type_hints(sys.modules[__name__].Node)


print("top")
if __name__ == "__main__":
    A.rate = 7
    with Pool(2) as p:
        print(p.map(f, [1, 2]))
        print(p.apply(g, (pickle.dumps(Node()),)))
