"""Results and exceptions as bytes and back."""

import json

import pytest

from mpipar.base.errors import ItemFailed, UnfitResult
from mpipar.store.outcomes import exception_as_bytes, outcomes_of, result_as_bytes


class OwnError(Exception):
    def __init__(self, code, *, where):
        super().__init__(code)
        self.where = where

    def __str__(self):
        return f"{self.args[0]} at {self.where}"


class OddFileError(OSError):
    def __init__(self, path):
        super().__init__(f"odd: {path}")
        self.path = path


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


def back(error):
    [(item, made, is_exception)] = outcomes_of(exception_as_bytes(7, raised(error), below=0))
    assert item == 7
    assert is_exception
    return made


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        KeyError("a"),
        FileNotFoundError(2, "No such file", "x.csv"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
        SystemExit(3),
        ZeroDivisionError(),
        OwnError(5, where="home"),
        OddFileError("p"),
        json.JSONDecodeError("odd", "{", 1),
        OwnError((1, [2]), where={"a": 1}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_comes_back_as_it_was(error):
    made = back(error)
    assert type(made) is type(error)
    assert made.args == error.args
    assert str(made) == str(error)
    assert getattr(made, "__dict__", {}) == getattr(error, "__dict__", {})
    assert "in raised" in str(made.__cause__)


def test_a_note_and_the_name_of_a_file_come_back():
    error = FileNotFoundError(2, "No such file", "x.csv")
    error.add_note("while looking")
    made = back(error)
    assert made.filename == "x.csv"
    assert made.__notes__ == ["while looking"]


def test_what_an_exception_has_that_cant_be_stored_is_text():
    made = back(ValueError("bad", object))
    assert type(made) is ValueError
    assert made.args == ("('bad', <class 'object'>)",)


def test_a_class_that_isnt_there_is_told_by_name():
    kind = type("Gone", (Exception,), {"__module__": "a_module_that_is_gone"})
    made = back(kind("why"))
    assert type(made) is ItemFailed
    assert str(made) == "Gone: why"


def test_no_code_of_a_class_runs_when_it_is_made_again():
    calls = []

    class Calls(Exception):
        def __init__(self, *args):
            calls.append(args)

    Calls.__qualname__ = "Calls"
    globals()["Calls"] = Calls
    error = raised(Calls(1))
    data = exception_as_bytes(0, error)
    calls.clear()
    [(_, made, _)] = outcomes_of(data)
    assert type(made) is Calls
    assert calls == []


def test_a_result_that_cant_be_stored_names_item_and_type():
    with pytest.raises(UnfitResult, match="the result of item 3: a set_iterator can't be stored"):
        result_as_bytes(3, iter({1}))


def test_every_flipped_bit_is_noticed():
    data = result_as_bytes(0, [1.5, "text"]) + result_as_bytes(1, 2)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 4
        with pytest.raises(ValueError, match=r"damaged|in the middle"):
            list(outcomes_of(bytes(damaged)))
    with pytest.raises(ValueError, match=r"damaged|in the middle"):
        list(outcomes_of(data[:-1]))
