import sys
from multiprocessing import Pool

BIG = [0] * 100_000
KEPT = [1] * 100_000
SHARED = []
TWIN = SHARED
CHANGED = []
ITS_TWIN = CHANGED
GEN = (x for x in range(3))


def look(name):
    value = getattr(sys.modules["__main__"], name)
    return len(value), value[0]


def twin(_):
    return TWIN is SHARED


def changed(_):
    return CHANGED is ITS_TWIN


def gen(_):
    return next(GEN)


def tell(pool, function, argument=0):
    try:
        print(function.__name__, pool.apply(function, (argument,)))
    except Exception as error:
        print(function.__name__, type(error).__name__, *getattr(error, "__notes__", []))


with Pool(1) as pool:
    tell(pool, look, "BIG")
    for function in (twin, gen):
        tell(pool, function)
