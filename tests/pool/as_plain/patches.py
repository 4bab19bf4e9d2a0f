import json, time, string, decimal, collections, textwrap, math, os
from fractions import Fraction
from multiprocessing import Pool

old = json.dumps


def dumps(x, **k):
    return "patched " + old(x, **k)


json.dumps = dumps
string.ascii_lowercase = "abc"
textwrap.TextWrapper.wrap = lambda self, t: [t.upper()]
setattr(math, "tau", 6)
Fraction.half = property(lambda self: self / 2)


def fixed():
    return 7.0


time.time = fixed


class Sub(collections.OrderedDict):
    pass


collections.OrderedDict = Sub


def f(x):
    return (
        json.dumps([x]),
        string.ascii_lowercase,
        textwrap.wrap("q"),
        math.tau,
        Fraction(1, 2).half,
        time.time(),
        type(collections.OrderedDict()).__name__,
    )


if __name__ == "__main__":
    with Pool(2) as p:
        print(p.map(f, [1, 2]))
