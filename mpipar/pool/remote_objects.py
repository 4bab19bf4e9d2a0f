"""Locks, values, queues and pipes of the script, in its workers on other nodes.

A semaphore and a piece of memory are of one node. So workers of other nodes get objects that have
the same methods, and ask the script for all they do.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn

from mpipar.pool import remote_calls
from mpipar.pool.remote_calls import Call, Where

ELSEWHERE = "that is on the script's node, and this worker on another"
"""Why something isn't to be had."""


class Offer(NamedTuple):
    """What a worker on another node gets in place of an object.

    Attributes
    ----------
    where : (str, int)
        Where to ask.
    kind : str
        A key of the table of classes.
    fields : tuple of str
        Attributes of the object that can be read and set.
    """

    where: Where
    kind: str
    fields: tuple[str, ...] = ()


class _Remote:
    """An object of the script's."""

    def __init__(self, offer: Offer, token: str) -> None:
        vars(self).update(_offer=offer, _token=token)

    def _ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        return remote_calls.ask(
            self._offer.where,
            Call(self._token, method, arguments, options),
        )

    def _wait_for(self, method: str, *arguments: Any, **options: Any) -> Any:
        return remote_calls.ask(
            self._offer.where,
            Call(self._token, method, arguments, options, is_patient=True),
        )

    def __getattr__(self, name: str) -> Any:
        if name in self._offer.fields:
            return self._ask("__getattribute__", name)
        kind = self._offer.kind
        raise AttributeError(f"{kind} of a script on another node has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._offer.fields:
            self._ask("__setattr__", name, value)
        else:
            super().__setattr__(name, value)

    def __reduce__(self) -> Any:
        name = self._offer.kind.rpartition(".")[2]
        raise RuntimeError(
            f"{name} objects should only be shared between processes through inheritance"
        )


def _method(name: str, *, is_patient: bool = False) -> Callable[..., Any]:
    """Return a method that asks for the one of this name."""

    def asks(self: _Remote, *arguments: Any, **options: Any) -> Any:
        if is_patient:
            return self._wait_for(name, *arguments, **options)
        return self._ask(name, *arguments, **options)

    asks.__name__ = name
    return asks


_patient_method = functools.partial(_method, is_patient=True)


class _Lock(_Remote):
    """A lock or a semaphore, or what has one."""

    acquire = _patient_method("acquire")
    release = _method("release")
    locked = _method("locked")
    get_value = _method("get_value")

    def __enter__(self) -> bool:
        return bool(self.acquire())

    def __exit__(self, *_: object) -> None:
        self.release()


class _Condition(_Lock):
    wait = _patient_method("wait")
    notify = _method("notify")
    notify_all = _method("notify_all")

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Wait until a condition holds, which is looked at here."""
        end = None
        if timeout is not None:
            end = time.monotonic() + timeout
        left = timeout
        while not (result := predicate()):
            if end is not None:
                left = end - time.monotonic()
                if left <= 0:
                    break
            self.wait(left)
        return result


class _Event(_Remote):
    is_set = _method("is_set")
    set = _method("set")
    clear = _method("clear")
    wait = _patient_method("wait")


class _Barrier(_Remote):
    wait = _method("wait")
    reset = _method("reset")
    abort = _method("abort")


class _Queue(_Remote):
    get = _patient_method("get")
    put = _patient_method("put")
    qsize = _method("qsize")
    empty = _method("empty")
    full = _method("full")
    task_done = _method("task_done")
    join = _method("join")

    def get_nowait(self) -> Any:
        return self.get(False)

    def put_nowait(self, item: Any) -> None:
        self.put(item, False)

    def close(self) -> None:
        """Do nothing: nothing waits here to be sent."""

    join_thread = cancel_join_thread = close


class _SimpleQueue(_Remote):
    get = _method("get")
    put = _method("put")
    empty = _method("empty")

    def close(self) -> None:
        """Do nothing: the script has it open."""


class _Items(_Remote):
    __len__ = _method("__len__")
    __getitem__ = _method("__getitem__")
    __setitem__ = _method("__setitem__")

    def __iter__(self) -> Iterator[Any]:
        return iter(self[:])


class _RawValue(_Remote):
    """A number or a structure; what takes it for memory gets none, rather than a copy."""

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise OSError(ELSEWHERE)

    def __bytes__(self) -> NoReturn:
        raise OSError(ELSEWHERE)


class _RawArray(_Items, _RawValue):
    """An array."""


class _Value(_Lock):
    """A number or a structure, with a lock."""

    def get_lock(self) -> _Lock:
        """Return the lock, which is held by those alone who hold the value's."""
        return _Lock(self._offer, self._token)

    def get_obj(self) -> NoReturn:
        raise OSError(ELSEWHERE)


class _Array(_Items, _Value):
    """An array, with a lock."""


class _Pipe(_Remote):
    """An end of a pipe; what waits for several at once takes none of another node."""

    send = _method("send")
    send_bytes = _method("send_bytes")
    recv = _patient_method("recv")
    recv_bytes = _patient_method("recv_bytes")
    poll = _patient_method("poll")

    def close(self) -> None:
        """Do nothing: the script has it open."""

    def fileno(self) -> int:
        raise OSError(ELSEWHERE)

    def __enter__(self) -> _Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_OF_SYNCHRONIZE = {
    "Barrier": _Barrier,
    "Condition": _Condition,
    "Event": _Event,
    "SemLock": _Lock,
}
_OF_QUEUES = {"Queue": _Queue, "SimpleQueue": _SimpleQueue}
_OF_SHAREDCTYPES = {"SynchronizedArray": _Array, "SynchronizedBase": _Value}
_OF_CTYPES = {
    "Array": _RawArray,
    "Structure": _RawValue,
    "Union": _RawValue,
    "_SimpleCData": _RawValue,
}
_CLASSES: dict[str, type[_Remote]] = {
    **{f"multiprocessing.synchronize.{name}": kind for name, kind in _OF_SYNCHRONIZE.items()},
    **{f"multiprocessing.queues.{name}": kind for name, kind in _OF_QUEUES.items()},
    **{f"multiprocessing.sharedctypes.{name}": kind for name, kind in _OF_SHAREDCTYPES.items()},
    **{f"_ctypes.{name}": kind for name, kind in _OF_CTYPES.items()},
    "multiprocessing.connection.Connection": _Pipe,
}
_FIELDS = {
    _Barrier: ("parties", "n_waiting", "broken"),
    _Pipe: ("readable", "writable", "closed"),
}


def offered(value: Any, where: Where) -> Offer | None:
    """Return what workers on other nodes get in place of an object; None if they can't have it."""
    for base in type(value).__mro__:
        name = f"{base.__module__}.{base.__name__}"
        if name in _CLASSES:
            return _offer(value, where, name)
    return None


def _offer(value: Any, where: Where, name: str) -> Offer | None:
    kind = _CLASSES[name]
    if not issubclass(kind, _RawValue | _Value):
        return Offer(where, name, _FIELDS.get(kind, ()))
    memory = value
    if issubclass(kind, _Value):
        memory = value.get_obj()
    if not all(map(_is_number, _parts(memory))):
        return None  # who asks for a part would get a copy, and change that
    return Offer(where, name, _names(memory))


def _parts(memory: Any) -> list[type]:
    """Return the types of what is in a structure or an array."""
    if hasattr(memory, "_fields_"):
        return [kind for _, kind, *_ in memory._fields_]
    if hasattr(memory, "_length_"):
        return [memory._type_]
    return []


def _is_number(kind: type) -> bool:
    return isinstance(getattr(kind, "_type_", None), str)


def _names(memory: Any) -> tuple[str, ...]:
    if hasattr(memory, "_fields_"):
        return tuple(name for name, *_ in memory._fields_)
    return tuple(name for name in ("value", "raw") if hasattr(memory, name))


def remote(offer: Offer, token: str) -> Any:
    """Return what stands in this process for an object of the script's."""
    return _CLASSES[offer.kind](offer, token)
