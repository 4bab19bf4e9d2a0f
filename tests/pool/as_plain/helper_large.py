"""Data that is large, or that no pickle takes whole, which setup() sets and changes in place."""

import numpy as np

KEPT = np.arange(400_000.0)
INPLACE = np.zeros(400_000)
REBOUND = np.zeros(400_000)
LATE = None
WORDS = {str(i): i for i in range(200_000)}
LIST = list(range(400_000))
square = lambda x: x * x
SCALE = 2
scaled = lambda x: x * SCALE
HANDLERS = {"a": lambda x: x, "n": 1}
_gen = None
RULES = {"g": (i for i in range(3)), "scale": 1}


class Cfg:
    table = np.zeros(300_000)
    fn = None


cfg = Cfg()
cfg.data = np.zeros(300_000)


class Grid(np.ndarray):
    pass


GRID = np.zeros(300_000).view(Grid)
TEXT = "a" * (2**21)
FROZEN = frozenset(range(300_000))
view = INPLACE[10:20]


def setup():
    global REBOUND, LATE, square, _gen, TEXT, SCALE
    INPLACE[3] = 5
    INPLACE[15] = 7
    REBOUND = REBOUND + 1
    LATE = np.ones(400_000)
    WORDS["x"] = -1
    LIST[7] = 99
    square = lambda x: x**3
    SCALE = 5
    HANDLERS["b"] = lambda x: x + SCALE
    _gen = (i for i in range(3))
    RULES["scale"] = 4
    Cfg.table[2] = 8
    cfg.data[1] = 6
    cfg.rate = 3
    GRID[4] = 4
    TEXT = TEXT + "b"
