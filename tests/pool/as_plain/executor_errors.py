"""What tasks of an executor raise, and what their values do that can't be pickled."""

from concurrent.futures import ProcessPoolExecutor
import threading


class Res:
    def __init__(self, x):
        self.x = x
        self.lock = threading.Lock() if x == 1 else None


def f(x):
    return Res(x)


class E(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a}{b}")
        self.a = a


def g(x):
    if x % 3 == 0:
        raise KeyError(("k", x))
    return x


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as ex:
        fs = [ex.submit(f, i) for i in range(5)]
        print([type(x.exception()).__name__ if x.exception() else x.result().x for x in fs])
        bad = ex.submit(abs, (threading.Lock(),)[0])
        print(type(bad.exception()).__name__, str(bad.exception())[:30])
        print([repr(x.exception() or x.result()) for x in [ex.submit(g, i) for i in range(5)]])
