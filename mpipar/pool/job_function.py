"""The function of a job, as a worker has it: anew for each chunk of tasks, if it has a state.

A method may change its object, a ``partial`` its arguments: with multiprocessing this reaches the
other tasks of the chunk, but no further, as each chunk comes with a pickle of its own.
"""

from __future__ import annotations

import functools
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from mpipar.pool import by_value
from mpipar.pool.node_memory import Held, opened
from mpipar.runtime.channel import Message

# each pickle of them stands for the same
_BY_NAME = (FunctionType, type(functools.lru_cache(repr)), type(None))
_UNCHANGING = (int, float, complex, bool, str, bytes, type)


class JobFunction:
    """The function of a job.

    Parameters
    ----------
    frames : list of bytes
        Its pickle.

    Attributes
    ----------
    error : Exception or None
        Why it can't be unpickled here.
    has_state : bool
        Whether a call may change what the next one does.
    """

    def __init__(self, frames: Message) -> None:
        self.error: Exception | None = None
        self.has_state = False
        self._pickle, *buffers = frames
        self._arrays = Held(buffers)
        self._chunk: int | None = None
        self._function: Any = None
        self._load()
        if self.error is None:
            self.has_state = has_state(self._function)
        if not self.has_state:  # it is loaded once
            self._pickle = bytearray()
            self._arrays = Held(())

    def _load(self) -> None:
        """Unpickle it, with memory of its own for what it writes to its arrays."""
        try:
            self._function = by_value.loads([self._pickle, *opened(self._arrays.ticket)])
        except Exception as error:
            self.error = error

    @property
    def current(self) -> Any:
        """Return what to call for each task."""
        if self.has_state:
            return self._call
        return self._function

    def begin(self, chunk: int) -> None:
        """Note which chunk the next task is of."""
        if self._chunk not in (None, chunk):
            self._function = None  # two of them might not fit into the memory
            self._load()
        self._chunk = chunk

    def _call(self, *arguments: Any) -> Any:
        if self.error is not None:
            raise self.error
        return self._function(*arguments)


def has_state(function: Any) -> bool:
    """Return whether a call of a function may change the function itself.

    Global variables don't count, nor what a closure holds: workers keep both.
    """
    kind = type(function)
    if kind in _BY_NAME or isinstance(function, type):
        return False
    if kind is functools.partial:
        held = [*function.args, *function.keywords.values()]
        return has_state(function.func) or not all(map(_is_unchanging, held))
    if kind in (MethodType, BuiltinFunctionType):
        return not _is_unchanging(function.__self__)
    return True


def _is_unchanging(value: Any) -> bool:
    return isinstance(value, (*_UNCHANGING, *_BY_NAME, ModuleType))
