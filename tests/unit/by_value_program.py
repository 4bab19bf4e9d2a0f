"""A script whose tasks use what it defines, in many ways. Prints {case: [value in a worker, value
here]}, as JSON.
"""

import abc
import collections
import dataclasses
import enum
import functools
import io
import json
import os
import threading
import typing

from mpipar import Pool

FACTOR = 3
TABLE = {"a": 1}
LOCK = threading.Lock()
LOCK.acquire()
CASES = {}


def case(*arguments):
    def keep(function):
        CASES[function.__name__] = function, arguments
        return function

    return keep


@case(5)
def a_global_variable(x):
    return FACTOR * x + TABLE["a"]


def helper(x):
    return other_helper(x) + 1


def other_helper(x):
    return FACTOR * x


@case(5)
def functions_that_use_functions(x):
    return helper(x)


@case(6)
def recursion(n):
    return 1 if n < 2 else n * recursion(n - 1)


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


@case(7)
def functions_that_call_each_other(n):
    return even(n), odd(n)


@functools.lru_cache
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


CASES["a_cached_function"] = fibonacci, (20,)


@case(20)
def a_function_that_uses_a_cached_one(n):
    return fibonacci(n) + fibonacci(n + 1)


def counted(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        wrapper.calls += 1
        return function(*arguments), wrapper.__name__

    wrapper.calls = 0
    return wrapper


@case(4)
@counted
def a_decorated_function(x):
    return x + FACTOR


def one(x):
    return x


def two(x):
    return -x


one.other, two.other = two, one


@case(4)
def functions_that_refer_to_each_other_in_attributes(x):
    return one.other(x), two.other(x), one.other.other is one


class Shape(abc.ABC):
    registry: typing.ClassVar = {}

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        Shape.registry[cls.__name__] = cls

    @abc.abstractmethod
    def area(self): ...


class Square(Shape):
    __slots__ = ("side",)

    def __init__(self, side):
        self.side = side

    def area(self):
        return self.side**2

    @classmethod
    def of(cls, side):
        return cls(side)

    @staticmethod
    def corners(_):
        return 4

    def __eq__(self, other):
        return type(other) is type(self) and other.side == self.side

    def __hash__(self):
        return hash(self.side)

    def __repr__(self):
        return f"{type(self).__name__}({self.side})"


class Cube(Square):
    def area(self):
        return 6 * super().area()


@case(2)
def classes_in_a_registry(side):
    return sorted(Shape.registry), Shape.registry["Cube"](side).area(), isinstance(Cube(1), Shape)


@case(Cube(2))
def an_object_of_a_class(shape):
    return shape.area(), type(shape) is Cube, shape == Cube(2)


CASES["a_method"] = Cube(3).area, ()
CASES["a_method_of_a_class"] = lambda side: Cube.of(side).area(), (4,)
CASES["a_bound_method_of_a_class"] = Square.of, (4,)
CASES["a_static_method"] = Square.corners, (4,)
CASES["a_class"] = Square, (5,)


class Parent:
    children: typing.ClassVar = []


class Child(Parent):
    parent = Parent


Parent.children.append(Child)


@case(0)
def classes_that_refer_to_each_other(_):
    return (
        Child.parent is Parent,
        Parent.children[0] is Child,
        Parent.children[0].__mro__[1] is Parent,
    )


class Lazy:
    def __init__(self, x):
        self.x = x

    @functools.cached_property
    def double(self):
        return 2 * self.x

    @property
    def triple(self):
        return 3 * self.x

    @functools.lru_cache  # noqa: B019
    def scaled(self, factor):
        return factor * self.x

    @functools.singledispatchmethod
    def kind(self, x):
        return "thing"

    @kind.register
    def _(self, x: int):
        return "number"


@case(Lazy(3))
def properties(lazy):
    return lazy.double, lazy.triple, lazy.scaled(5), lazy.kind(1), lazy.kind("")


@functools.singledispatch
def dispatched(x):
    return "thing"


@dispatched.register
def _(x: int):
    return "number"


@case(0)
def single_dispatch(_):
    return dispatched(1), dispatched("")


@dataclasses.dataclass(frozen=True, order=True)
class Point:
    x: int
    tags: list = dataclasses.field(default_factory=list)


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Flags(enum.IntFlag):
    A = 1
    B = 2


Pair = collections.namedtuple("Pair", "left right")


class Typed(typing.NamedTuple):
    left: int
    right: str = "r"


T = typing.TypeVar("T")


class Box(typing.Generic[T]):
    def __init__(self, content):
        self.content = content


class Named(type):
    def __call__(cls, *arguments):
        made = super().__call__(*arguments)
        made.name = cls.__name__
        return made


class Meta(metaclass=Named):
    pass


@case(Point(1, ["t"]))
def a_dataclass(point):
    return (
        repr(dataclasses.replace(point, x=point.x + 1)),
        point == Point(1, ["t"]),
        point < Point(2),
    )


@case(Color.RED, Flags.A)
def an_enumeration(color, flag):
    return color is Color.RED, Color(2).name, repr(flag | Flags.B), color in {Color.RED: 1}


def default_of_an_enumeration(color=Color.BLUE):
    return color is Color.BLUE


CASES["a_default"] = default_of_an_enumeration, ()


@case(Pair(1, 2), Typed(3), Box[int](4))
def named_tuples_and_generics(pair, typed, box):
    return (
        repr(pair._replace(left=5)),
        isinstance(pair, Pair),
        repr(typed),
        typed == Typed(3),
        box.content,
        type(box) is Box,
    )


@case(0)
def a_metaclass(_):
    return Meta().name, type(Meta) is Named


@case(0)
def values_come_back_as_they_are(_):
    return [Point(2), Color.RED, Pair(1, 2), Typed(1), Cube(3), Flags.B, Square]


def adder(n):
    def add(x):
        return x + n * FACTOR

    return add


CASES["a_closure"] = adder(10), (1,)
CASES["another_closure"] = adder(20), (1,)
CASES["a_lambda"] = (lambda x: x * FACTOR), (7,)
CASES["a_closure_that_calls_itself"] = (lambda: (rec := lambda n: n and n + rec(n - 1)))(), (4,)
CASES["a_partial"] = functools.partial(helper, 8), ()
CASES["a_builtin"] = pow, (2, 5)


class Callable:
    def __init__(self, n):
        self.n = n

    def __call__(self, x):
        return self.n * x * FACTOR


CASES["an_object_that_can_be_called"] = Callable(3), (4,)


@case(0)
def a_function_made_in_the_task(_):
    return [adder(n)(1) for n in range(3)]


@case(5)
def names_in_nested_functions(x):
    return [y for y in map(lambda z: helper(z) + FACTOR, [x])], {
        k: (lambda: FACTOR)() for k in "ab"
    }


@case(5)
def a_generator(x):
    def items():
        yield from (helper(y) for y in range(x))

    return list(items())


@case(0)
def exceptions_of_the_script(_):
    try:
        raise Trouble("x", 2)
    except Trouble as error:
        return repr(error), isinstance(error, Trouble)


class Trouble(Exception):
    pass


@case(0)
def imports_in_the_task(_):
    import math

    return math.floor(2.5), os.path.join("a", "b"), json.dumps([1])


@case(0)
def the_name_of_the_module(_):
    return __name__


LATE_NAMES = {
    "through_eval": lambda: eval("helper(FACTOR)"),
    "through_globals": lambda: globals()["helper"](2),
}


def set_up(value):
    global STATE
    STATE = [value]


def changed_state(x):
    STATE.append(x)
    return len(STATE), STATE[0]


def with_lock(x):
    with LOCK:
        return x


def value_of_factor(_):
    return FACTOR


def table(_):
    return TABLE


def outcome(call):
    try:
        return call()
    except Exception as error:
        return [type(error).__name__, str(error), getattr(error, "__notes__", [])]


ARRIVED = []


def arrive(size):
    ARRIVED.append(size)
    return bytes(size)


def arrived():
    return len(ARRIVED)


class Counting(io.BytesIO):
    """Large, and its arrivals in a worker are counted."""

    def __reduce__(self):
        return arrive, (10,)


def main():
    global FACTOR, TABLE
    found = {}
    with Pool(1) as pool:
        for name, (function, arguments) in CASES.items():
            value = outcome(lambda f=function, a=arguments: pool.apply_async(f, a).get(20))
            expected = function(*arguments)
            found[name] = [value, expected]
        made, values = (
            values_come_back_as_they_are(0),
            pool.apply(values_come_back_as_they_are, (0,)),
        )
        found["values_keep_their_types"] = [
            [values == made, *map(type, values)],
            [True, *map(type, made)],
        ]
        for name, function in LATE_NAMES.items():
            found[name] = [outcome(lambda f=function: pool.apply_async(f).get(20)), function()]
        found["an_unpicklable_global"] = [
            outcome(lambda: pool.apply_async(with_lock, (1,)).get(20)),
            None,
        ]
        before = pool.map(value_of_factor, [0])
        FACTOR = 30
        found["a_name_bound_again"] = [[before, pool.map(value_of_factor, [0])], [[3], [30]]]
        FACTOR = 3
        pool.map(table, [0])
        TABLE["b"] = 2
        found["changed_in_place"] = [pool.map(table, [0]), [{"a": 1}]]
        TABLE = {"c": 3}
        found["an_object_bound_again"] = [pool.map(table, [0]), [{"c": 3}]]
        heavy = Counting()
        task = (lambda h: lambda x: (len(h if isinstance(h, bytes) else b""), x))(heavy)
        values = [pool.map(task, range(3)) for _ in range(4)] + [
            [pool.apply(task, (n,)) for n in range(3)]
        ]
        found["a_closure_is_sent_once"] = [[values[-1][-1], pool.apply(arrived)], [(10, 2), 1]]
    with Pool(1) as pool:
        found["a_new_pool_sees_what_was_changed"] = [pool.map(table, [0]), [TABLE]]
    with Pool(1, set_up, (5,)) as pool:
        states = [pool.apply(changed_state, (n,)) for n in range(3)]
        found["globals_of_an_initializer_stay"] = [states, [(2, 5), (3, 5), (4, 5)]]
    print(json.dumps(found, default=repr))


main()
