"""A script whose modules have large data, some of which it changes."""

from multiprocessing import Pool
import helper_large as tables
from helper_large import INPLACE, WORDS


def look(what):
    t = tables
    return eval(what)


ASK = [
    "t.KEPT.sum()",
    "t.INPLACE[3], t.INPLACE is INPLACE, t.view[5]",
    "t.REBOUND.sum()",
    "t.LATE is None or t.LATE.sum()",
    "t.WORDS.get('x'), len(t.WORDS)",
    "t.LIST[7]",
    "t.square(2)",
    "t.scaled(2)",
    "sorted(t.HANDLERS)",
    "t.HANDLERS['b'](1)",
    "t.HANDLERS['a'](1)",
    "t.RULES['scale']",
    "t.Cfg.table[2]",
    "t.cfg.data[1], t.cfg.rate",
    "t.GRID[4], type(t.GRID).__name__",
    "len(t.TEXT)",
    "len(t.FROZEN)",
    "WORDS is t.WORDS",
]
if __name__ == "__main__":
    tables.setup()
    with Pool(2) as p:
        for each in ASK:
            print(each, p.apply(look, (each,)))
    tables.KEPT[0] = 9
    with Pool(2) as p:
        print(p.map(look, ["t.KEPT[0]", "t.LIST[7]"]))
