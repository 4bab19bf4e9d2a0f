"""Functions of libraries are replaced by others that call the originals."""

import json, time, random, math, numpy as np, os.path, textwrap, collections, string, urllib.parse as up
from concurrent.futures import ProcessPoolExecutor

old_dumps, old_time, old_norm, old_enc = (
    json.dumps,
    time.time,
    np.linalg.norm,
    json.JSONEncoder.default,
)
old_sqrt, old_rand = math.sqrt, random.random


def dumps(o, **k):
    return "P" + old_dumps(o, **k)


def norm(x, *a, **k):
    return 10 * old_norm(x, *a, **k)


json.dumps = dumps
time.time = lambda: int(old_time()) * 0 + 5
np.linalg.norm = norm
math.sqrt = lambda x: -old_sqrt(x)
textwrap.TextWrapper.wrap = lambda self, t: [t.upper()]
json.JSONEncoder.default = lambda self, o: sorted(o) if isinstance(o, set) else old_enc(self, o)
string.ascii_lowercase = "abc"
up.MY = {"k": [1]}
setattr(os.path, "zeta", 4)


class Ctr(collections.Counter):
    def top(self):
        return self.most_common(1)


collections.Counter = Ctr


def f(x):
    return (
        json.dumps([x, {2, 1}]),
        time.time(),
        float(np.linalg.norm([3.0, 4.0])),
        math.sqrt(4),
        textwrap.wrap("q"),
        string.ascii_lowercase,
        up.MY,
        os.path.zeta,
        type(collections.Counter("aa")).__name__,
        old_dumps([1]),
        old_sqrt(9),
    )


with ProcessPoolExecutor(2) as ex:
    print(list(ex.map(f, [1, 2])))
