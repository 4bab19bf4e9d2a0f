"""Calls of the script's objects by workers on other nodes.

Each thread that calls has a connection of its own, with a thread of the script's at the other end:
what holds a lock here holds it there::

    worker on another node                                 script
    ask(where, call) ───── token, method, arguments ────▶ a thread calls the object's method
                     ◀──── result, or exception ─────────

Such a thread waits a little at a time, and looks whether the worker is still there: a lock or an
item of a queue is not for one that has been killed.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import threading
import time
from collections.abc import Callable
from multiprocessing import AuthenticationError, connection, process
from multiprocessing.reduction import ForkingPickler
from queue import Empty, Full
from typing import Any, NamedTuple, TypeAlias

from mpipar.runtime.interfaces import connect_without_delay

Where: TypeAlias = tuple[str, int]
"""Address and port."""
HasLeft: TypeAlias = Callable[[], bool]

_BACKLOG = 512
_SECONDS = 0.05  # between looks whether the worker is still there


class Call(NamedTuple):
    """What is to be done with an object.

    Attributes
    ----------
    token : str
        The object.
    method : str
    arguments : tuple
    options : dict
    is_patient : bool
        Whether the worker may be killed while it waits for the result.
    """

    token: str
    method: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012 (nobody changes it)
    is_patient: bool = False


# In the script.


class Server:
    """Listens for calls, and does them, in threads of its own.

    Parameters
    ----------
    address : str
        Of this node.
    find : callable
        ``find(token)`` returns an object, or None if it is there no longer.

    Attributes
    ----------
    where : (str, int)
        Where workers are to call.
    """

    def __init__(self, address: str, find: Callable[[str], Any]) -> None:
        self._find = find
        self._listener = connection.Listener((address, 0), backlog=_BACKLOG)
        host, port = self._listener.address
        self.where: Where = (host, port)
        _start(self._serve)

    def _serve(self) -> None:
        while True:
            try:
                asker = self._listener.accept()
            except OSError:  # too many open files, for now
                threading.Event().wait(0.01)
                continue
            _start(self._answer, asker)

    def _answer(self, asker: Any) -> None:
        key = process.current_process().authkey
        with asker, contextlib.suppress(OSError, EOFError, AuthenticationError):
            connection.deliver_challenge(asker, key)
            connection.answer_challenge(asker, key)
            while True:
                asker.send_bytes(self._outcome(asker.recv_bytes(), asker.poll))

    def _outcome(self, request: bytes, has_left: HasLeft) -> Any:
        try:
            call = Call(*pickle.loads(request))
            return _pickled(self._result(call, has_left), None)
        except Exception as error:
            return _failure(error)

    def _result(self, call: Call, has_left: HasLeft) -> Any:
        value = self._find(call.token)
        if value is None:
            raise OSError("the script has it no longer")
        if call.is_patient:
            return _PATIENT[call.method](value, has_left, *call.arguments, **call.options)
        return getattr(value, call.method)(*call.arguments, **call.options)


def _start(function: Callable[..., None], *arguments: Any) -> None:
    name = "mpipar remote calls"
    threading.Thread(target=function, args=arguments, name=name, daemon=True).start()


def _pickled(result: Any, error: BaseException | None) -> Any:
    return ForkingPickler.dumps((result, error))


def _failure(error: Exception) -> Any:
    try:
        return _pickled(None, error)
    except Exception:
        return _pickled(None, RuntimeError(repr(error)))


def _repeated(attempt: Callable[[float], Any], timeout: float | None, has_left: HasLeft) -> Any:
    """Return what comes of attempts that take some seconds at most, until one succeeds."""
    deadline = math.inf
    if timeout is not None:
        deadline = time.monotonic() + timeout
    while True:
        left = deadline - time.monotonic()
        is_last = left <= _SECONDS
        done = attempt(max(0.0, min(left, _SECONDS)))
        if done or is_last:
            return done
        if has_left():
            raise EOFError


def _acquire(
    lock: Any, has_left: HasLeft, block: bool = True, timeout: float | None = None
) -> bool:
    if not block:
        return bool(lock.acquire(False))
    has_it = bool(_repeated(lambda seconds: lock.acquire(True, seconds), timeout, has_left))
    if has_it and has_left():
        lock.release()
    return has_it


def _wait(event: Any, has_left: HasLeft, timeout: float | None = None) -> bool:
    return bool(_repeated(event.wait, timeout, has_left))


def _get(queue: Any, has_left: HasLeft, block: bool = True, timeout: float | None = None) -> Any:
    if not block:
        return queue.get(False)

    def attempt(seconds: float) -> list[Any]:
        with contextlib.suppress(Empty):
            return [queue.get(True, seconds)]
        return []

    got = _repeated(attempt, timeout, has_left)
    if not got:
        raise Empty
    return got[0]


def _put(
    queue: Any, has_left: HasLeft, item: Any, block: bool = True, timeout: float | None = None
) -> None:
    if not block:
        queue.put(item, False)
        return

    def attempt(seconds: float) -> bool:
        with contextlib.suppress(Full):
            queue.put(item, True, seconds)
            return True
        return False

    if not _repeated(attempt, timeout, has_left):
        raise Full


def _receive(pipe: Any, has_left: HasLeft) -> Any:
    _repeated(pipe.poll, None, has_left)
    return pipe.recv()


def _receive_bytes(pipe: Any, has_left: HasLeft, *limit: Any) -> bytes:
    _repeated(pipe.poll, None, has_left)
    return bytes(pipe.recv_bytes(*limit))


_PATIENT: dict[str, Callable[..., Any]] = {
    "acquire": _acquire,
    "get": _get,
    "poll": lambda pipe, has_left, timeout=0.0: _repeated(pipe.poll, timeout, has_left),
    "put": _put,
    "recv": _receive,
    "recv_bytes": _receive_bytes,
    "wait": _wait,
}


# In a worker.

_of_thread = threading.local()


def ask(where: Where, call: Call) -> Any:
    """Have the script do something with an object of its own; return or raise what comes of it.

    Raises
    ------
    ConnectionError
        If the script has ended, or can't be reached.
    """
    request = ForkingPickler.dumps(tuple(call))
    connections = vars(_of_thread).setdefault("connections", {})
    try:
        if where not in connections:
            connections[where] = _connected(where)
        connections[where].send_bytes(request)
        reply = connections[where].recv_bytes()
    except BaseException as error:  # what comes later would be the reply to something else
        connections.pop(where, None)
        if isinstance(error, EOFError):
            raise ConnectionResetError("the script has ended") from None
        raise
    result, raised = pickle.loads(reply)
    if raised is not None:
        raise raised
    return result


def _connected(where: Where) -> Any:
    connect_without_delay()
    return connection.Client(where, authkey=process.current_process().authkey)


def _forget() -> None:
    """Forget the connections in a forked child: they are its parent's."""
    global _of_thread
    _of_thread = threading.local()


os.register_at_fork(after_in_child=_forget)
