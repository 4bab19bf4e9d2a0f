"""Plugins that register themselves, each once, and by decorators; and handlers that are compared by identity."""

import functools
from concurrent.futures import ProcessPoolExecutor

HANDLERS = {}
MISSING = object()


def handler(name, *, flag=MISSING):
    def keep(function):
        HANDLERS[name] = function

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            wrapper.calls += 1
            return function(*args, **kwargs), flag is MISSING

        wrapper.calls = 0
        return wrapper

    return keep


@handler("double")
def double(x):
    return 2 * x


@handler("square", flag=None)
def square(x):
    return x * x


@functools.singledispatch
def kind(x):
    return "object"


@kind.register
def _(x: int):
    return "int"


@kind.register(str)
def _(x):
    return "str"


@functools.lru_cache(maxsize=8)
def cached(x):
    return x + 1


def look(x):
    return (
        sorted(HANDLERS),
        HANDLERS["double"](x),
        double(x),
        double.__wrapped__ is HANDLERS["double"],
        square(x),
        kind(x),
        kind("a"),
        cached(x),
    )


if __name__ == "__main__":
    HANDLERS["late"] = abs
    with ProcessPoolExecutor(2) as executor:
        print(list(executor.map(look, range(3))))
