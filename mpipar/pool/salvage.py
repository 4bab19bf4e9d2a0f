"""What can be had of a pickled list of which not all can be unpickled.

The unpickler of the standard library that is written in Python does it step by step. A step that
fails leaves a
:class:`Broken` in place of its object, and so does each step that makes something of one: what is
broken in the end is the items of the list that need what failed, and no other.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable
from typing import Any, ClassVar


class Broken:
    """What stands for an object that can't be unpickled.

    Parameters
    ----------
    error : Exception
        Why.
    """

    made = 0
    """How many there have been: who unpickles a list looks whether it grows."""

    def __init__(self, error: Exception) -> None:
        Broken.made += 1
        self.error = error


def checked(item: Any) -> Any:
    """Return an item, or raise why it can't be unpickled."""
    if type(item) is Broken:
        raise item.error
    return item


def salvage(pickled: Any, buffers: Iterable[Any]) -> list[Any]:
    """Return the items of a pickled list; those that can't be unpickled are Broken.

    Raises
    ------
    Exception
        If the list itself can't.
    """
    found = _Salvager(io.BytesIO(pickled), buffers=buffers).load()
    if type(found) is not list:
        raise pickle.UnpicklingError("this is no list")
    return found


_Unpickler: Any = pickle._Unpickler
_Step = Callable[[Any], None]


class _Salvager(_Unpickler):  # type: ignore[misc]
    dispatch: ClassVar[dict[int, _Step]] = dict(_Unpickler.dispatch)

    def _replace(self, old: Any, broken: Broken) -> None:
        """Let an object be broken, also where it is referred to later."""
        self.stack[-1] = broken
        for key, value in list(self.memo.items()):
            if value is old:
                self.memo[key] = broken


def _first_broken(values: Iterable[Any]) -> Broken | None:
    return next((value for value in values if type(value) is Broken), None)


def _made_of(count: int, step: _Step) -> _Step:
    """Return a step that makes an object of the last ones on the stack."""

    def careful(self: Any) -> None:
        depth = len(self.stack) - count
        operands = self.stack[depth:]
        broken = _first_broken(operands)
        if broken is None:
            try:
                step(self)
                return
            except Exception as error:
                broken = Broken(error)
        self.stack[depth:] = [broken]

    return careful


def _put_into(count: int, step: _Step) -> _Step:
    """Return a step that puts the last ones on the stack into the object before them."""

    def careful(self: Any) -> None:
        depth = len(self.stack) - count
        values = self.stack[depth:]
        target = self.stack[depth - 1]
        is_root = depth == 1 and not self.metastack and type(target) is list
        broken = None if is_root else _first_broken((target, *values))
        if broken is None:
            try:
                step(self)
                return
            except Exception as error:
                broken = Broken(error)
        del self.stack[depth:]
        self._replace(target, broken)

    return careful


def _marked_made(step: _Step) -> _Step:
    """Return a step that makes an object of what is on the stack since the mark."""

    def careful(self: Any) -> None:
        broken = _first_broken(self.stack)
        if broken is None:
            step(self)
            return
        self.pop_mark()
        self.append(broken)

    return careful


def _marked_put(step: _Step) -> _Step:
    """Return a step that puts what is on the stack since the mark into the object before it."""

    def careful(self: Any) -> None:
        target = self.metastack[-1][-1]
        is_root = len(self.metastack) == 1 and len(self.metastack[0]) == 1 and type(target) is list
        broken = None if is_root else _first_broken((target, *self.stack))
        if broken is None:
            outer = self.metastack[-1]
            try:
                step(self)
                return
            except Exception as error:
                broken = Broken(error)
                if self.stack is not outer:
                    self.pop_mark()
        else:
            self.pop_mark()
        self._replace(target, broken)

    return careful


_KINDS: dict[Callable[[_Step], _Step], tuple[bytes, ...]] = {
    lambda step: _made_of(0, step): (pickle.GLOBAL,),
    lambda step: _made_of(1, step): (pickle.TUPLE1,),
    lambda step: _made_of(2, step): (
        pickle.TUPLE2,
        pickle.STACK_GLOBAL,
        pickle.REDUCE,
        pickle.NEWOBJ,
    ),
    lambda step: _made_of(3, step): (pickle.TUPLE3, pickle.NEWOBJ_EX),
    lambda step: _put_into(1, step): (pickle.APPEND, pickle.BUILD),
    lambda step: _put_into(2, step): (pickle.SETITEM,),
    _marked_made: (pickle.TUPLE, pickle.LIST, pickle.DICT, pickle.FROZENSET),
    _marked_put: (pickle.APPENDS, pickle.SETITEMS, pickle.ADDITEMS),
}
for _careful, _codes in _KINDS.items():
    for _code in _codes:
        _Salvager.dispatch[_code[0]] = _careful(_Unpickler.dispatch[_code[0]])
