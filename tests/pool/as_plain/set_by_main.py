"""main part changes all sorts of things"""

import sys, collections, logging, decimal, dataclasses
from multiprocessing import Pool
import string

CONFIG = {"a": 1}
TABLE = [1, 2]
handle = None
LEVEL = 1
UNSEEN = 5


class Settings:
    rate = 1
    names = ["x"]
    gone = 3

    def m(self):
        return "old"


@dataclasses.dataclass
class D:
    x: int = 1
    y: list = dataclasses.field(default_factory=list)


def helper():
    return "old helper"


def counted():
    pass


counted.calls = 0


def task(i):
    return (
        CONFIG,
        TABLE,
        LEVEL,
        Settings.rate,
        Settings.names,
        hasattr(Settings, "gone"),
        Settings().m(),
        helper(),
        counted.calls,
        getattr(sys.modules["__main__"], "UN" + "SEEN"),
        D(2),
        string.ascii_lowercase,
        getattr(Settings, "extra", None),
        type(handle).__name__,
    )


def main():
    global LEVEL, UNSEEN, helper
    LEVEL = 9
    UNSEEN = 6
    CONFIG["b"] = 2
    TABLE.append(3)
    Settings.rate = 4
    Settings.names.append("y")
    del Settings.gone
    Settings.extra = "e"
    Settings.m = lambda self: "new"
    counted.calls += 1

    def helper():
        return "new helper"

    with Pool(2) as p:
        print(p.map(task, range(2)))
    LEVEL = 10
    with Pool(2) as p:
        print(p.map(task, range(2)))


if __name__ == "__main__":
    main()
