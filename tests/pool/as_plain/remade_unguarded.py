"""Global variables that can't be pickled, but are known from what they were made of."""

import numbers, os, struct, weakref, types, sqlite3, io, random, ctypes, enum, operator, functools, string, itertools
from multiprocessing import Pool

S = struct.Struct("<hd")
MP = types.MappingProxyType({"a": 1})


class Node:
    def __init__(self, v):
        self.v = v


WV = weakref.WeakValueDictionary()
WS = weakref.WeakSet()
DB = sqlite3.connect(":memory:")
DB.execute("create table t(x)")
DB.execute("insert into t values (5)")
DB.commit()
SYS = random.SystemRandom()
cos = ctypes.CDLL("libm.so.6").cos
cos.restype = ctypes.c_double
cos.argtypes = [ctypes.c_double]


class Op(enum.Enum):
    ADD = ("+", operator.add)

    def __init__(self, sym, fn):
        self.sym = sym
        self.fn = fn

    def __call__(self, a, b):
        return self.fn(a, b)


MV = memoryview(b"abc")
KEYS = {"z": 1}.keys()
IT = itertools.count(3)
SELF = open(os.path.abspath(__file__))
SELF.readline()
T = string.Template("$x")
KEY = functools.cmp_to_key(lambda a, b: b - a)
numbers.Number.register(Op)


def f(x):
    return (
        S.pack(x, 1.0),
        MP["a"],
        len(WV),
        len(WS),
        DB.execute("select x from t").fetchone(),
        0 <= SYS.random() < 1,
        cos(0.0),
        Op.ADD(1, x),
        Op.ADD.sym,
        MV[1],
        list(KEYS),
        next(IT) > 0,
        T.substitute(x=x),
        SELF.readline() == "\n",
        sorted([1, 3, 2], key=KEY),
        isinstance(Op.ADD, numbers.Number),
    )


with Pool(1) as p:
    print(p.map(f, [1]))
