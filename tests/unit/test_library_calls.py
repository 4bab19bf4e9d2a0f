"""What a script has called to set something in a library, by its text and where it is."""

import sys
import types

import pytest

from mpipar.pool.call_arguments import Making
from mpipar.pool.library_calls import states


@pytest.fixture
def called(tmp_path, monkeypatch):
    """Run a script; return the calls that it has done when it looks."""

    def run(text):
        found = []
        main = types.ModuleType("__main__")
        vars(main)["look"] = lambda: found.extend(states())
        monkeypatch.setitem(sys.modules, "__main__", main)
        file = tmp_path / "script.py"
        file.write_text(text)
        exec(compile(text, str(file), "exec"), vars(main))
        return dict(found)

    return run


def test_what_has_been_done_on_the_way_here(called):
    text = """
import calendar, codecs, sys
calendar.setfirstweekday(1)
if len(sys.path) < 0:
    calendar.setfirstweekday(2)
if __name__ == "__main__":
    calendar.setfirstweekday(3)
try:
    calendar.setfirstweekday(4)
except ValueError:
    calendar.setfirstweekday(5)

def other():
    calendar.setfirstweekday(6)

def main(day):
    from calendar import setfirstweekday
    setfirstweekday(day)
    for _ in "a":
        codecs.register_error("mine",
            lambda *_: 7)
        look()
        calendar.setfirstweekday(0)

main(2)
calendar.setfirstweekday(1)
"""
    found = called(text)
    (_, handler), _ = found.pop("codecs.register_error('mine', lambda *_: 7)")
    assert handler() == 7
    assert found == {
        "calendar.setfirstweekday(1)": ((1,), {}),
        "calendar.setfirstweekday(3)": ((3,), {}),
        "calendar.setfirstweekday(4)": ((4,), {}),
        "setfirstweekday(day)": ((2,), {}),
    }


@pytest.mark.parametrize(
    "statement",
    [
        "sys.setrecursionlimit(1000)",
        "atexit.register(print)",
        "random.setstate(random.getstate())",
        "np.random.set_state(np.random.get_state())",
        "np.add(1, 2)",
        "mine.set_size(3)",
        "set(mine.sizes)",
        "calendar.setfirstweekday(input())",
        "calendar.setfirstweekday(*days)",
        "calendar.month_name",
    ],
)
def test_what_is_not_done_again(called, statement):
    text = f"""
import atexit, calendar, random, sys
import numpy as np
class Mine:
    sizes = []
    def set_size(self, size):
        self.sizes.append(size)
mine, days = Mine(), [1]
input = lambda: 3
{statement}
look()
"""
    atexit_register = sys.modules["atexit"].unregister
    assert called(text) == {}
    atexit_register(print)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("-1 + 2 * size", 5),
        ("collections.Counter('a', b=1)", Making(None, ("a",), {"b": 1})),
        ("[dict(a=size)]", Making(list, ((Making(dict, (), {"a": 3}),),), {})),
        ("{'a': (1, size)}", Making(dict, ((("a", Making(tuple, ((1, 3),), {})),),), {})),
        ("parse.get_type()", Making(None, (), {})),
    ],
)
def test_arguments_are_values_or_what_makes_them(called, argument, value):
    text = f"""
import calendar, collections, types
size = 3
parse = types.SimpleNamespace(get_type=lambda: 1)
parse.get_type.__name__ = "get_type"
calendar.set_it = lambda *_: None
calendar.set_it({argument})
del calendar.set_it
look()
"""
    [(arguments, keywords)] = called(text).values()
    [found] = arguments
    assert keywords == {}
    if isinstance(value, Making) and value.function is None:
        found = found._replace(function=None)
    assert found == value
