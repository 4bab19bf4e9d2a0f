import sys
from multiprocessing import Pool


class P:
    def __init__(self, v):
        self.v = v


def rel(x):
    from . import tools
    from .tools import half

    return (
        half(x),
        __package__,
        __spec__.name,
        __file__ == sys.modules["__main__"].__file__,
        __name__,
        tools.__name__,
    )


if __name__ == "__main__":
    with Pool(2) as p:
        print(p.map(rel, [1, 2]))
