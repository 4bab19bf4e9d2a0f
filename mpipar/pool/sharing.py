"""Locks, values, queues, pipes and sockets of the script, in its workers.

Processes that multiprocessing forks have these because they are copies of the script. Ours get
pickles, which the standard library makes of such objects only for a process that it is starting: so
it is told that it is. A semaphore is found by its name, all else by a descriptor that is lent. What
has come to a process once is the same object there whenever it comes again: who holds a lock by one
name holds it by all.
"""

from __future__ import annotations

import contextlib
import copyreg
import functools
import os
import secrets
import socket
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from multiprocessing import context, reduction
from types import MethodType, ModuleType
from typing import Any

from mpipar.pool import lending, remote_objects, shared_memory
from mpipar.pool.arrivals import on_arrival
from mpipar.pool.refused import Refused
from mpipar.pool.remote_calls import Server
from mpipar.pool.remote_objects import Offer

_MODULES = frozenset(
    f"multiprocessing.{name}"
    for name in ("connection", "heap", "queues", "sharedctypes", "synchronize")
)
_PIPES = frozenset(
    {"multiprocessing.connection", "multiprocessing.queues", "socket"}
)  # which may be closed

_REDUCERS: dict[type, Callable[[Any], Any]] = reduction.ForkingPickler._extra_reducers  # type: ignore[attr-defined]
_BY_VALUE = ("torch", "paddle")  # which register what puts data into the memory of one node
_LEFT = {
    MethodType,
    type(list.append),
    type(int.__add__),
    functools.partial,
}  # cloudpickle can do these better

_DEEPEST = 2  # lists of lists are looked through for what is shared
_LONGEST = 4096

_here: weakref.WeakValueDictionary[str, Any] = (
    weakref.WeakValueDictionary()
)  # {token: object}, in this process
_tokens: dict[int, str] = {}  # {id: token}
_named: weakref.WeakSet[Any] = weakref.WeakSet()  # semaphores that have a name in the file system


def is_shared(kind: type) -> bool:
    """Return whether objects of a class are pickled here: those that multiprocessing's pickler has
    a reducer for.
    """
    return (kind in _REDUCERS and _holds(kind)) or _is_multiprocessings(kind)


def _holds(kind: type) -> bool:
    """Return whether what is registered for a class is to be used."""
    return kind not in _LEFT and _package(_REDUCERS[kind]) not in _BY_VALUE


def _package(function: Any) -> str:
    return str(getattr(function, "__module__", "")).partition(".")[0]


def take_reducers(_: ModuleType) -> dict[Any, Any] | None:
    """Return the functions for pickling that the script and its libraries have registered with
    multiprocessing.
    """
    libraries = ("multiprocessing", *_BY_VALUE)
    return {
        kind: reduce
        for kind, reduce in list(_REDUCERS.items())
        if _package(reduce) not in libraries
    } or None


def put_reducers(_: ModuleType, reducers: dict[Any, Any]) -> None:
    """Register functions for pickling with multiprocessing."""
    _REDUCERS.update(reducers)


def _is_multiprocessings(kind: type) -> bool:
    # Remembering it would keep the script's classes, and so its objects.
    return any(base.__module__ in _MODULES for base in kind.__mro__)


def holds_shared(value: Any, depth: int = _DEEPEST) -> bool:
    """Return whether a value is shared between processes, or a container that has such values."""
    kind = type(value)
    if kind in (list, tuple, set, dict):
        if depth <= 0 or len(value) > _LONGEST:
            return False
        inner = value
        if kind is dict:
            inner = value.values()
        return any(holds_shared(each, depth - 1) for each in list(inner))
    return is_shared_by_itself(value)


def is_shared_by_itself(value: Any) -> bool:
    """Return whether a value, which is no container, is shared between processes."""
    kind = type(value)
    if kind is socket.socket or _is_multiprocessings(kind):
        return True
    if getattr(_REDUCERS.get(kind), "__name__", "") == "reduce_ctype":
        return hasattr(value, "_wrapper")
    return shared_memory.is_over_shared(value) or shared_memory.is_block(kind)


def reduced(value: Any, lent: list[Any] | None) -> Any:
    """Reduce an object that is shared, as for pickling.

    Parameters
    ----------
    value : object
    lent : list or None
        Takes in what must be kept as long as the pickle may be unpickled. If None, only what any
        process may have is pickled, as the standard library does.

    Raises
    ------
    Exception
        If it can't be pickled.
    """
    registered = _REDUCERS.get(type(value))
    if _is_alone(value, registered):
        return NotImplemented
    reduce = registered or copyreg.dispatch_table.get(type(value)) or _by_itself
    if lent is None:
        return reduce(value)
    with _as_if_starting(_Lender(lent)):
        made = reduce(value)
    is_scripts = registered is not None and _package(registered) != "multiprocessing"
    if isinstance(made, str) or is_scripts:
        return made
    if _PIPES.isdisjoint(base.__module__ for base in type(value).__mro__):
        lent.append(value)  # else its name, or its place in memory, may soon be another's
    return _made_once(value, made)


def _made_once(value: Any, made: tuple[Any, ...]) -> Any:
    """Return how a value is made such that it is one object where it arrives several times, if it
    can be kept track of.
    """
    make, arguments, *rest = made
    token = _token(value)
    if token is None or any(each is not None for each in rest[1:]):
        return made
    state = None
    if rest:
        state = rest[0]
    return _same, (lending.address(), token, make, arguments, state, _offer(value))


def _is_alone(value: Any, registered: Any) -> bool:
    """Return whether a value of ctypes isn't shared, though others of its class are."""
    return getattr(registered, "__name__", "") == "reduce_ctype" and not hasattr(value, "_wrapper")


def _by_itself(value: Any) -> Any:
    return value.__reduce_ex__(5)


class _Lender:
    """A process that is being started, as far as the standard library's reducers can see."""

    def __init__(self, lent: list[Any]) -> None:
        self._lent = lent

    def duplicate_for_child(self, descriptor: int) -> lending.Lent:
        lent = lending.lend(descriptor)
        self._lent.append(lent)
        return lent

    @staticmethod
    def DupFd(lent: lending.Lent) -> lending.Borrowable:  # noqa: N802 (as in multiprocessing)
        return lending.Borrowable(lending.address(), lent.key)


@contextlib.contextmanager
def _as_if_starting(process: Any) -> Iterator[None]:
    before = context.get_spawning_popen()
    context.set_spawning_popen(process)
    try:
        yield
    finally:
        context.set_spawning_popen(before)


def _token(value: Any) -> str | None:
    """Return the same for the same object, in whichever process; None if it can't be kept track
    of.
    """
    token = _tokens.get(id(value))
    if token is None or _here.get(token) is not value:
        token = secrets.token_hex(8)
        try:
            _note(token, value)
        except TypeError:  # there are no weak references to it
            return None
    return token


def _note(token: str, value: Any) -> None:
    _here[token] = value
    if len(_tokens) > 2 * len(_here) + 1000:
        for key, old in list(_tokens.items()):
            if old not in _here:
                del _tokens[key]
    _tokens[id(value)] = token


def _same(
    address: str,
    token: str,
    make: Callable[..., Any],
    arguments: tuple[Any, ...],
    state: Any,
    offer: Offer | None,
) -> Any:
    """Return what this process has of an object of the script's, or make it: what its pickle
    calls.
    """
    value = _here.get(token)
    if value is not None and not _is_closed(value):
        return value
    if _is_near(address):
        value = _made(make, arguments, state)
    elif offer is not None:
        value = remote_objects.remote(offer, token)
    else:
        return Refused(OSError(f"{remote_objects.ELSEWHERE}: take what a Manager() has"))
    with contextlib.suppress(TypeError):
        _note(token, value)
    return value


def _made(make: Callable[..., Any], arguments: tuple[Any, ...], state: Any) -> Any:
    value = make(*arguments)
    if state is None:
        return value
    if hasattr(value, "__setstate__"):
        value.__setstate__(state)
    else:
        vars(value).update(state)
    return value


# Workers on other nodes ask for what these are to do.

_address: str | None = None  # of this node, for others


def offer_at(address: str | None) -> None:
    """Offer what is shared to other nodes, at an address of this one; None if there are none."""
    global _address
    _address = address


def _offer(value: Any) -> Offer | None:
    if _address is None:
        return None
    return remote_objects.offered(value, _server(_address).where)


@functools.cache
def _server(address: str) -> Server:
    return Server(address, _here.get)


@functools.cache
def _is_near(address: str) -> bool:
    return lending.is_near(address)


def _is_closed(value: Any) -> bool:
    if isinstance(value, socket.socket):
        return value.fileno() == -1
    return getattr(value, "closed", False) is True


# Semaphores keep their names.


class _Named:
    """A context of multiprocessing in which processes start in such a way that semaphores must have
    names.
    """

    @staticmethod
    def get_start_method() -> str:
        return "forkserver"


def install() -> None:
    """Let the semaphores that this process makes from now on be found by others."""
    on_arrival("multiprocessing.synchronize", _keep_names)
    shared_memory.install()


def _keep_names(synchronize: ModuleType) -> None:
    begin = synchronize.SemLock.__init__
    if getattr(begin, "keeps_names", False):
        return

    @functools.wraps(begin)
    def __init__(self: Any, *arguments: Any, ctx: Any = None) -> None:  # noqa: N807
        begin(self, *arguments, ctx=_Named)
        _named.add(self)

    __init__.keeps_names = True  # type: ignore[attr-defined]
    synchronize.SemLock.__init__ = __init__
    remove = synchronize.SemLock._cleanup

    def _cleanup(name: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # the resource tracker has been ended before
            remove(name)

    synchronize.SemLock._cleanup = staticmethod(_cleanup)


def end() -> None:
    """Remove the names of all semaphores of this process, which ends without doing what else is
    done at its end.
    """
    synchronize = sys.modules.get("multiprocessing.synchronize")
    for lock in list(_named):
        name = lock._semlock.name
        if name is not None:
            with contextlib.suppress(OSError):
                synchronize.SemLock._cleanup(name)  # type: ignore[union-attr]
    _named.clear()


# Queues are written to by threads.

_stuck: weakref.WeakSet[Any] = weakref.WeakSet()
_FLUSH_SECONDS = 0.05


def flush_queues() -> None:
    """Wait until what tasks have put into queues is on its way; but not for long, as nobody may
    take it.
    """
    queues = sys.modules.get("multiprocessing.queues")
    if queues is None:
        return
    for queue in list(_here.values()):
        if isinstance(queue, queues.Queue) and queue._thread is not None:
            _flush(queue)


def has_unsent() -> bool:
    """Return whether tasks have put into queues what nobody has taken, so that it waits here."""
    queues = sys.modules.get("multiprocessing.queues")
    shared = list(_here.values())
    return queues is not None and any(
        isinstance(each, queues.Queue) and not _is_flushed(each) for each in shared
    )


def _flush(queue: Any) -> None:
    deadline = time.monotonic() + _FLUSH_SECONDS
    while not _is_flushed(queue):
        if queue in _stuck:
            return
        if time.monotonic() > deadline:
            _stuck.add(queue)
            return
        time.sleep(1e-4)
    _stuck.discard(queue)


def _is_flushed(queue: Any) -> bool:
    thread = queue._thread
    if thread is None or not thread.is_alive():
        return True
    return not queue._buffer and bool(queue._notempty._waiters)


def _reset() -> None:
    """Remove no names in a forked child, and offer nothing: these are its parent's."""
    _named.clear()
    offer_at(None)


os.register_at_fork(after_in_child=_reset)
