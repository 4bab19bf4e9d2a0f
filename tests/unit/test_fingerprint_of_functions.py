"""Functions of all kinds: one that does something else never has the same fingerprint."""

import sys

import pytest
from test_fingerprint import fingerprint, run  # noqa: F401 (run is a fixture)

from mpipar.store.own_code import is_own_module

KINDS = {
    "by globals()": ("def task(x): return globals()['hid' + 'den']\nhidden = 1", "= 1", "= 2"),
    "by eval": ("def task(x): return eval('hidden')\nhidden = 1", "= 1", "= 2"),
    "by another name of eval": ("e = eval\ndef task(x): return e('h')\nh = 1", "h = 1", "h = 2"),
    "by getattr of a module": (
        "import fphelpers\nfphelpers.NEW = 1\ndef task(x): return getattr(fphelpers, 'NEW')",
        "NEW = 1",
        "NEW = 2",
    ),
    "by a module's dict": (
        "import fphelpers\nfphelpers.NEW = 1\ndef task(x): return vars(fphelpers)['NEW']",
        "NEW = 1",
        "NEW = 2",
    ),
    "by a module as an argument": (
        "import fphelpers\nfphelpers.NEW = 1\ndef use(m): return m.NEW\n"
        "def task(x): return use(fphelpers)",
        "NEW = 1",
        "NEW = 2",
    ),
    "by a module under another name": (
        "import fphelpers as h\nh.NEW = 1\ng = h\ndef task(x): return g.NEW",
        "NEW = 1",
        "NEW = 2",
    ),
    "by a module in a dict": (
        "import fphelpers\nfphelpers.NEW = 1\nD = {1: fphelpers}\ndef task(x): return D[1].NEW",
        "NEW = 1",
        "NEW = 2",
    ),
    "by sys.modules": (
        "import fphelpers, sys\nfphelpers.NEW = 1\n"
        "def task(x): return sys.modules['fphelpers'].NEW",
        "NEW = 1",
        "NEW = 2",
    ),
    "by the script's own module": (
        "import sys\ndef task(x): return sys.modules[__name__].hidden\nhidden = 1",
        "hidden = 1",
        "hidden = 2",
    ),
    "by an import of the script": (
        "def task(x):\n    import __main__\n    return __main__.hidden\nhidden = 1",
        "hidden = 1",
        "hidden = 2",
    ),
    "by a frame": (
        "import sys\ndef task(x): return sys._getframe().f_globals['hidden']\nhidden = 1",
        "hidden = 1",
        "hidden = 2",
    ),
    "by a frame of its caller": (
        "import fphelpers\nhidden = 1\ndef task(x): return fphelpers.of_its_caller('hidden')",
        "hidden = 1",
        "hidden = 2",
    ),
    "by what a function has": (
        "def f(): pass\ndef task(x): return f.__globals__['hidden']\nhidden = 1",
        "hidden = 1",
        "hidden = 2",
    ),
    "subclasses": (
        "class A: pass\nclass B(A):\n    def f(self): return 1\n"
        "def task(x): return [k().f() for k in A.__subclasses__()]",
        "return 1",
        "return 2",
    ),
    "subclasses of subclasses": (
        "class A: pass\nclass B(A): pass\nclass C(B):\n    def f(self): return 1\n"
        "def all_of(k): return [k, *map(all_of, k.__subclasses__())]\n"
        "def task(x): return all_of(A)",
        "return 1",
        "return 2",
    ),
    "by a frame that a subclass looks at": (
        "import fphelpers\nhidden = 1\nclass A: pass\nclass B(A):\n"
        "    def f(self): return fphelpers.of_its_caller('hidden')\n"
        "def task(x): return [k().f() for k in A.__subclasses__()]",
        "hidden = 1",
        "hidden = 2",
    ),
    "a name of two underscores": (
        "import fphelpers\nfphelpers.__new__ = 1\ndef task(x): return getattr(fphelpers, '__new__')",
        "__ = 1",
        "__ = 2",
    ),
    "pattern of a class": (
        "class A:\n    __match_args__ = ('a', 'b')\n    a = b = 1\ndef task(x): return A",
        "'a', 'b'",
        "'b', 'a'",
    ),
    "a name from a module": (
        "from fphelpers import scaled as task\nimport fphelpers\nfphelpers.SCALE = 5",
        "SCALE = 5",
        "SCALE = 6",
    ),
    "class method as a task": (
        "class A:\n    k = 1\n    @classmethod\n    def m(cls, x): return cls.k\ntask = A.m",
        "k = 1",
        "k = 2",
    ),
    "bound method": (
        "class A:\n    def __init__(self): self.k = 1\n    def m(self, x): return self.k\n"
        "task = A().m",
        "k = 1",
        "k = 2",
    ),
    "object that is called": (
        "class A:\n    def __call__(self, x): return 1\ntask = A()",
        "return 1",
        "return 2",
    ),
    "class as a task": ("class task:\n    def __init__(self, x): self.x = 1", "= 1", "= 2"),
    "metaclass": (
        "class M(type):\n    def __call__(cls): return 1\nclass A(metaclass=M): pass\n"
        "def task(x): return A()",
        "return 1",
        "return 2",
    ),
    "descriptor": (
        "class D:\n    def __get__(self, obj, kind): return 1\nclass A:\n    d = D()\n"
        "def task(x): return A().d",
        "return 1",
        "return 2",
    ),
    "value of a class's annotation": (
        "kind = int\nclass A:\n    x: kind\ndef task(x): return A.__annotations__['x'](x)",
        "kind = int",
        "kind = str",
    ),
    "attribute of an enumeration's member": (
        "import enum\nclass E(enum.Enum):\n    A = 1\nE.A.extra = 1\ndef task(x): return E.A.extra",
        "extra = 1",
        "extra = 2",
    ),
    "slots": (
        "class A:\n    __slots__ = ('a',)\na = A()\na.a = 1\ndef task(x): return a.a",
        "a.a = 1",
        "a.a = 2",
    ),
    "subclass of int": ("class N(int): pass\nn = N(1)\ndef task(x): return n", "N(1)", "N(2)"),
    "abstract base": (
        "import abc\nclass A(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\n"
        "    def g(self): return 1\nclass B(A):\n    def f(self): return self.g()\n"
        "def task(x): return B().f()",
        "return 1",
        "return 2",
    ),
    "cached property": (
        "import functools\nclass A:\n    @functools.cached_property\n    def p(self): return 1\n"
        "def task(x): return A().p",
        "return 1",
        "return 2",
    ),
    "partial method": (
        "import functools\nclass A:\n    def f(self, y): return y\n"
        "    g = functools.partialmethod(f, 1)\ndef task(x): return A().g()",
        "(f, 1)",
        "(f, 2)",
    ),
    "single dispatch": (
        "import functools\n@functools.singledispatch\ndef task(x): return 1\n"
        "@task.register\ndef _(x: int): return 3",
        "return 3",
        "return 4",
    ),
    "type of a dispatch": (
        "import functools\n@functools.singledispatch\ndef task(x): return 1\n"
        "@task.register\ndef _(x: int): return 3",
        "x: int",
        "x: float",
    ),
    "context manager": (
        "import contextlib\n@contextlib.contextmanager\ndef c(): yield 1\n"
        "def task(x):\n    with c() as v: return v",
        "yield 1",
        "yield 2",
    ),
    "coroutine": (
        "import asyncio\nasync def c(): return 1\ndef task(x): return asyncio.run(c())",
        "return 1",
        "return 2",
    ),
    "data class made by a call": (
        "import dataclasses\nP = dataclasses.make_dataclass('P', [('x', int, 1)])\n"
        "def task(x): return P().x",
        "int, 1)",
        "int, 2)",
    ),
    "factory of a field": (
        "import dataclasses\n@dataclasses.dataclass\nclass P:\n"
        "    x: list = dataclasses.field(default_factory=lambda: [1])\ndef task(x): return P().x",
        "[1]",
        "[2]",
    ),
    "post init": (
        "import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int = 1\n"
        "    def __post_init__(self): self.x += 1\ndef task(x): return P().x",
        "+= 1",
        "+= 2",
    ),
    "typed named tuple": (
        "import typing\nclass P(typing.NamedTuple):\n    x: int = 1\ndef task(x): return P().x",
        "int = 1",
        "int = 2",
    ),
    "generic class": (
        "import typing\nT = typing.TypeVar('T')\nclass P(typing.Generic[T]):\n    x = 1\n"
        "def task(x): return P().x",
        "x = 1",
        "x = 2",
    ),
    "flag": (
        "import enum\nclass F(enum.IntFlag):\n    A = 1\n    B = 2\ndef task(x): return F.B",
        "B = 2",
        "B = 4",
    ),
    "method of an enum": (
        "import enum\nclass F(enum.Enum):\n    A = 1\n    def f(self): return 1\n"
        "def task(x): return F.A.f()",
        "return 1",
        "return 2",
    ),
    "attrs": (
        "import attrs\n@attrs.define\nclass P:\n    x: int = attrs.field(default=1)\n"
        "def task(x): return P().x",
        "default=1",
        "default=2",
    ),
    "validator of attrs": (
        "import attrs\n@attrs.define\nclass P:\n    x: int = attrs.field(converter=lambda v: v + 1)\n"
        "def task(x): return P(x)",
        "v + 1",
        "v + 2",
    ),
    "ctypes": (
        "import ctypes\nclass S(ctypes.Structure):\n    _fields_ = [('a', ctypes.c_int)]\n"
        "def task(x): return S(x).a",
        "c_int",
        "c_double",
    ),
    "attribute of a function": ("def task(x): return task.k\ntask.k = 1", "k = 1", "k = 2"),
    "default that is changed": ("def task(x, y=[]): return y\ntask(0).append(1)", "d(1)", "d(2)"),
    "names in a loop": ("for i in range(3): pass\ndef task(x): return i", "range(3)", "range(4)"),
    "closure that is changed": (
        "def f():\n    k = [1]\n    def task(x): return k\n    return task\ntask = f()",
        "[1]",
        "[2]",
    ),
    "functions of each other": (
        "def task(x): return other(x)\ndef other(x): return task(x) if x else 1",
        "else 1",
        "else 2",
    ),
    "functions in a table": (
        "def a(x): return T['b'](x)\ndef b(x): return 1\nT = {'a': a, 'b': b}\n"
        "def task(x): return T['a'](x)",
        "return 1",
        "return 2",
    ),
    "functions in a set": (
        "def a(x): return 1\nS = {a, len}\ndef task(x): return [f(x) for f in S]",
        "return 1",
        "return 2",
    ),
    "argument of partial": (
        "import functools\ntask = functools.partial(functools.reduce, max)",
        "reduce, max",
        "reduce, min",
    ),
    "ufunc": ("import numpy as np\ndef task(x): return np.sin(x)", "np.sin", "np.cos"),
    "ufunc by itself": ("import numpy as np\ntask = np.sin", "np.sin", "np.cos"),
    "builtin by itself": ("task = abs", "abs", "round"),
    "method of a type": ("task = str.upper", "upper", "lower"),
    "method of a plain object": ("task = 'abc'.find", "abc", "abd"),
    "data frame": (
        "import pandas as pd\nD = pd.DataFrame({'a': [1, 2]})\ndef task(x): return D.a[x]",
        "[1, 2]",
        "[1, 3]",
    ),
    "columns of one": (
        "import pandas as pd\nD = pd.DataFrame({'a': [1, 2]})\ndef task(x): return D.size",
        "'a'",
        "'b'",
    ),
    "settings by a key": (
        "import os\nos.environ['FP_A'] = '1'\ndef task(x): return os.environ['FP_A']",
        "'1'",
        "'2'",
    ),
    "settings by get": (
        "import os\nos.environ['FP_A'] = '1'\ndef task(x): return os.environ.get('FP_A', 5)",
        "'1'",
        "'2'",
    ),
    "settings by getenv": (
        "from os import getenv\nimport os\nos.environ['FP_A'] = '1'\n"
        "def task(x): return getenv('FP_A')",
        "'1'",
        "'2'",
    ),
    "settings by an import within": (
        "import os\nos.environ['FP_A'] = '1'\n"
        "def task(x):\n    import os as system\n    return system.environ['FP_A']",
        "'1'",
        "'2'",
    ),
    "settings by a name that is made": (
        "import os\nos.environ['FP_A'] = '1'\ndef task(x): return os.environ['FP_' + x]",
        "'1'",
        "'2'",
    ),
    "settings under another name": (
        "import os\nos.environ['FP_A'] = '1'\nE = os.environ\ndef task(x): return E['FP_' + x]",
        "'1'",
        "'2'",
    ),
    "arguments": ("import sys\nsys.argv = ['a', '1']\ndef task(x): return sys.argv", "'1'", "'2'"),
    "arguments within": (
        "import sys\nsys.argv = ['a', '1']\ndef task(x):\n    from sys import argv\n    return argv",
        "'1'",
        "'2'",
    ),
    "docstring that is used": (
        "def task(x): return task.__doc__\ntask.__doc__ = '1'",
        "'1'",
        "'2'",
    ),
    "docstring in the code": (
        "def f():\n    'one'\ndef task(x): return f.__doc__",
        "'one'",
        "'two'",
    ),
    "assertion": ("def task(x):\n    assert x > 1\n    return 1", "x > 1", "x > 2"),
    "names of arguments": ("def task(x, y=1): return 1", "x, y", "x, z"),
    "keyword-only": ("def task(x, y=1): return 1", "x, y", "x, *, y"),
    "starred": ("def task(*x): return 1", "*x", "**x"),
    "import in a function": (
        "def task(x):\n    from fppackage import inner\n    return inner.deep(x)",
        "import inner",
        "import beside as inner",
    ),
    "code": ("def task(x): return 1\ndef f(x): return 2\ntask.__code__ = f.__code__", "2", "3"),
    "annotation that is looked at": (
        "def typed(f):\n    return lambda x: f(f.__annotations__['x'](x))\n"
        "@typed\ndef task(x: int): return x",
        "x: int",
        "x: float",
    ),
    "annotation that is looked at by inspect": (
        "import inspect\ndef f(x: int): return x\n"
        "def task(x): return inspect.signature(f).parameters['x'].annotation(x)",
        "x: int",
        "x: float",
    ),
    "name in a text that is looked up": (
        "limit = 1\ndef task(x): return x.query('a > @limit')",
        "limit = 1",
        "limit = 2",
    ),
    "function in a text that is looked up": (
        "def f(x): return 1\ndef task(x): return x.eval('b = @f(a)')",
        "return 1",
        "return 2",
    ),
    "number put into an installed module": (
        "import numpy as np\nnp.a_size = 1\ndef task(x): return np.a_size",
        "size = 1",
        "size = 2",
    ),
    "what isn't a member of an enumeration": (
        "import enum\nclass E(enum.Enum):\n    a = 1\n    b = enum.nonmember(2)\n"
        "def task(x): return E.b",
        "nonmember(2)",
        "nonmember(3)",
    ),
    "private name of an enumeration": (
        "import enum\nclass E(enum.Enum):\n    a = 1\n    __b = 2\n    def m(self): return self.__b\n"
        "def task(x): return E.a.m()",
        "__b = 2",
        "__b = 3",
    ),
    "put into an enumeration": (
        "import enum\nclass E(enum.Enum):\n    a = 1\nE.b = 2\ndef task(x): return E.b",
        "E.b = 2",
        "E.b = 3",
    ),
    "put into a member": (
        "import enum\nclass E(enum.Enum):\n    a = 1\nE.a.b = 2\ndef task(x): return E.a.b",
        "a.b = 2",
        "a.b = 3",
    ),
    "memoised helper": (
        "import functools\n@functools.cache\ndef h(x): return x + 1\ndef task(x): return h(x)",
        "+ 1",
        "+ 2",
    ),
    "cache of a method": (
        "import functools\nclass A:\n    @functools.lru_cache(4)\n    def h(self, x): return x + 1\n"
        "a = A()\ndef task(x): return a.h(x)",
        "+ 1",
        "+ 2",
    ),
    "dispatch of methods": (
        "import functools\nclass A:\n    @functools.singledispatchmethod\n"
        "    def h(self, x): return x\n    @h.register\n    def _(self, x: int): return x + 1\n"
        "a = A()\ndef task(x): return a.h(x)",
        "+ 1",
        "+ 2",
    ),
    "decorator of a class": (
        "def d(c):\n    c.k = 1\n    return c\n@d\nclass A: pass\ndef task(x): return A.k",
        "k = 1",
        "k = 2",
    ),
    "argument of a subclass": (
        "class B:\n    def __init_subclass__(cls, k): cls.k = k\nclass A(B, k=1): pass\n"
        "def task(x): return A.k",
        "k=1",
        "k=2",
    ),
    "function put into a library": (
        "import colorsys\ncolorsys.fp_f = lambda x: 'one'\ndef task(x): return colorsys.fp_f(x)",
        "'one'",
        "'two'",
    ),
    "seed at the top": (
        "import numpy as np\nnp.random.seed(1)\nR = np.random.rand(3)\ndef task(x): return R",
        "seed(1)",
        "seed(2)",
    ),
    "generator of random numbers": (
        "import numpy as np\nr = np.random.default_rng(1)\ndef task(x): return r.random()",
        "rng(1)",
        "rng(2)",
    ),
    "seed sequence": (
        "import numpy as np\ns = np.random.SeedSequence(1)\n"
        "def task(x): return np.random.default_rng(s).random()",
        "(1)",
        "(2)",
    ),
    "categories": (
        "import pandas as pd\nd = pd.Series(['a'], dtype=pd.CategoricalDtype(['a', 'b']))\n"
        "def task(x): return list(d.cat.categories)",
        "'b']",
        "'c']",
    ),
    "time zone of a series": (
        "import pandas as pd\nd = pd.Series(pd.to_datetime([0]).tz_localize('UTC'))\n"
        "def task(x): return str(d[0])",
        "'UTC'",
        "'Asia/Tokyo'",
    ),
    "what pickle doesn't see": (
        "class A:\n    def __init__(self, k): self.k = k\n    def __getstate__(self): return {}\n"
        "a = A(1)\ndef task(x): return a.k",
        "A(1)",
        "A(2)",
    ),
    "closures of a loop": (
        "fs = []\nfor i in range(3):\n    fs.append(lambda x, i=i: x * i)\ntask = fs[-1]",
        "range(3)",
        "range(4)",
    ),
    "loop that a closure sees the end of": (
        "def make(): return [lambda x: x * i for i in range(3)][0]\ntask = make()",
        "range(3)",
        "range(4)",
    ),
    "generator": ("def g():\n    yield 1\ndef task(x): return list(g())", "yield 1", "yield 2"),
    "registered class": (
        "import abc\nclass P(abc.ABC): pass\nclass A: pass\nclass B: pass\nP.register(A)\n"
        "def task(x): return issubclass(A, P)",
        "register(A)",
        "register(B)",
    ),
    "hook of subclasses": (
        "import abc\nclass P(abc.ABC):\n    @classmethod\n"
        "    def __subclasshook__(cls, c): return True\ndef task(x): return issubclass(int, P)",
        "return True",
        "return False",
    ),
    "name that is resolved": (
        "import pkgutil\nh = 1\ndef task(x): return pkgutil.resolve_name('__main__:h')",
        "h = 1",
        "h = 2",
    ),
    "class of what is unpickled": (
        "import pickle\nclass A:\n    def f(self): return 1\n"
        "def task(x): return pickle.loads(x).f()",
        "return 1",
        "return 2",
    ),
    "class of what is unpickled by an import within": (
        "class A:\n    def f(self): return 1\n"
        "def task(x):\n    import pickle\n    return pickle.loads(x).f()",
        "return 1",
        "return 2",
    ),
    "module by an import within": (
        "h = 1\ndef task(x):\n    import importlib\n    return importlib.import_module(x).h",
        "h = 1",
        "h = 2",
    ),
    "eval by an import within": (
        "h = 1\ndef task(x):\n    import builtins\n    return builtins.eval('h')",
        "h = 1",
        "h = 2",
    ),
    "factory of missing keys": (
        "import collections\nc = collections.defaultdict(lambda: 1)\ndef task(x): return c[x]",
        "lambda: 1",
        "lambda: 2",
    ),
    "method of one object": (
        "class A: pass\na = A()\na.f = lambda x: x + 1\ndef task(x): return a.f(x)",
        "+ 1",
        "+ 2",
    ),
    "globals of a function that is made": (
        "import types\ndef a(x): return x + K\nh = types.FunctionType(a.__code__, {'K': 1})\n"
        "def task(x): return h(x)",
        "'K': 1",
        "'K': 2",
    ),
    "name put among the builtins": (
        "import builtins\nbuiltins.fp_k = 1\ndef task(x): return fp_k",
        "fp_k = 1",
        "fp_k = 2",
    ),
    "order of bases": (
        "class B:\n    def f(self): return 1\nclass C:\n    def f(self): return 2\n"
        "class A(B, C): pass\ndef task(x): return A().f()",
        "(B, C)",
        "(C, B)",
    ),
    "what a pattern takes": (
        "class A:\n    __match_args__ = ('a',)\n    a = 1; b = 2\ndef task(x):\n    match A():\n"
        "        case A(k): return k",
        "('a',)",
        "('b',)",
    ),
    "new type": (
        "import typing\nN = typing.NewType('N', int)\ndef task(x): return N.__supertype__(x)",
        "int)",
        "str)",
    ),
    "bound of a type variable": (
        "import typing\nT = typing.TypeVar('T', bound=int)\ndef task(x): return T.__bound__",
        "=int",
        "=str",
    ),
    "object that is pickled by its name": (
        "class S:\n    def __reduce__(self): return 'ONE'\n"
        "    def m(self, x): return self.k\nONE = S()\nONE.k = 1\ntask = ONE.m",
        "k = 1",
        "k = 2",
    ),
    "slots of one": (
        "class S:\n    __slots__ = ('k',)\n    def __reduce__(self): return 'ONE'\n"
        "ONE = S()\nONE.k = 1\ndef task(x): return [ONE][0].k",
        "k = 1",
        "k = 2",
    ),
    "one of copyreg's": (
        "import copyreg\nclass S: pass\ncopyreg.pickle(S, lambda s: 'ONE')\nONE = S()\nONE.k = 1\n"
        "def task(x, one=ONE): return one.k",
        "k = 1",
        "k = 2",
    ),
    "name mangling": (
        "class A:\n    def m(self, x): return self.__p\n    _A__p = 1\n    _B__p = 2\n"
        "def task(x): return C().m(x)\nC = A",
        "class A:",
        "class B: pass\nclass A(B):",
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_functions_that_differ(name, run):  # noqa: F811
    text, old, new = KINDS[name]
    before = fingerprint(run(text=text))
    assert fingerprint(run(text=f"# A comment.\n\n{text}  # Another.\n")) == before
    assert fingerprint(run(("script.py", old, new), text=text)) != before


@pytest.mark.parametrize(
    "text",
    [
        "import sys\ndef task(x): return sys.modules['fp' + x].NEW",
        "def task(x):\n    import sys\n    return sys.modules['fp' + x].NEW",
        "def task(x):\n    from sys import modules\n    return modules['fp' + x].NEW",
    ],
)
def test_modules_that_are_looked_up_by_a_name_that_is_made(text, run, monkeypatch):  # noqa: F811
    for name in list(sys.modules):  # so that modules of the tests aren't looked up
        if is_own_module(name) and name != "__main__":
            monkeypatch.delitem(sys.modules, name)
    text = f"import fphelpers\nfphelpers.NEW = 1\n{text}"
    before = fingerprint(run(text=text))
    assert fingerprint(run(text=text)) == before
    assert fingerprint(run(("script.py", "NEW = 1", "NEW = 2"), text=text)) != before
