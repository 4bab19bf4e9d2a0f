"""Data of all sorts, which setup() sets and changes in place."""

import dataclasses, enum, threading, collections
import numpy as np

N = 3
NAME = "old"
OPTIONS = {"a": 1, "deep": {"x": [1]}}
STACK = [1, 2]
SEEN = set()
TABLE = np.zeros(4)
GRID = None
conn = None
LOCK = threading.Lock()
MISSING = object()
DEFAULTS = {"m": MISSING}
hist = collections.defaultdict(list)


class Mode(enum.Enum):
    FAST = 1
    SLOW = 2


MODE = Mode.FAST


@dataclasses.dataclass
class Cfg:
    rate: float = 1.0
    tags: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    k: int = 0


cfg = Cfg()
fz = Frozen()


class Settings:
    level = 1
    names = ["x"]
    cfg = cfg


def counted():
    counted.calls += 1


counted.calls = 0


def setup(n):
    global N, GRID, MODE, conn, fz
    N = n
    GRID = np.arange(n)
    MODE = Mode.SLOW
    conn = (x for x in range(2))
    fz = Frozen(9)
    OPTIONS["deep"]["x"].append(n)
    STACK.append(n)
    SEEN.add("s")
    TABLE[1] = n
    cfg.rate = 2.5
    cfg.tags.append("t")
    Settings.level = 7
    Settings.names.append("y")
    hist["k"].append(n)
    DEFAULTS["n"] = MISSING


REG = {}


def register(f):
    REG[f.__name__] = f
    return f


@register
def base(x):
    return x


class Hiding(type):
    """Of classes at which nobody may look."""

    def __getattribute__(cls, name):
        raise RuntimeError(name)


class Hidden(metaclass=Hiding):
    pass


class Unbound:
    """A proxy for what isn't there yet."""

    @property
    def __class__(self):
        raise RuntimeError("it isn't bound")

    def __getattr__(self, name):
        raise RuntimeError("it isn't bound")


request = Unbound()
