"""Views of memory that processes share, as arrays of NumPy: in a worker, they are of the same
memory.

``numpy.frombuffer`` of a RawArray, or an ndarray over a block of
:mod:`multiprocessing.shared_memory` is no more than a view. A copy in its place would take in what
tasks write, and nobody would see it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import mmap
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from mpipar.pool.arrivals import on_arrival

_blocks: weakref.WeakSet[Any] = weakref.WeakSet()  # of shared memory, which this process has
_made: weakref.WeakSet[Any] = weakref.WeakSet()  # those of them that it has made, and no parent
_used: dict[int, Any] = {}  # {id: owner of memory} that arrays made here are over


def install() -> None:
    """Note the blocks of shared memory that this process makes or opens from now on."""
    on_arrival("multiprocessing.shared_memory", _note_blocks)


def _note_blocks(shared_memory: ModuleType) -> None:
    begin = shared_memory.SharedMemory.__init__
    if getattr(begin, "notes_blocks", False):
        return

    @functools.wraps(begin)
    def __init__(self: Any, *arguments: Any, **options: Any) -> None:  # noqa: N807
        begin(self, *arguments, **options)
        _blocks.add(self)
        if options.get("create", len(arguments) > 1 and arguments[1]):
            _made.add(self)

    __init__.notes_blocks = True  # type: ignore[attr-defined]
    shared_memory.SharedMemory.__init__ = __init__


def drop(block: Any, other: Any) -> None:
    """Remove a block that the import of a module has made here, as another takes its place."""
    if not is_block(type(block)):
        return
    _used[id(block)] = block  # there may be views of it, so it can't be closed
    if block in _made and block.name != getattr(other, "name", None):
        with contextlib.suppress(FileNotFoundError):
            block.unlink()


def is_block(kind: type) -> bool:
    """Return whether objects of a class are blocks of shared memory, or lists in one."""
    return any(base.__module__ == "multiprocessing.shared_memory" for base in kind.__mro__)


def is_over_shared(value: Any) -> bool:
    """Return whether a value is a view of memory that processes share."""
    if not is_view(value):
        return False
    return _owner(value) is not None or _is_over_anonymous(value)


def is_view(value: Any) -> bool:
    """Return whether a value is a view of memory that isn't NumPy's own."""
    if type(value) is memoryview:
        return not value.readonly and value.nbytes > 0
    numpy = sys.modules.get("numpy")
    if numpy is None or not issubclass(type(value), getattr(numpy, "ndarray", ())):
        return False
    return value.base is not None and isinstance(_base(value), _FOREIGN)


_FOREIGN = (memoryview, mmap.mmap, ctypes.Array, ctypes.Structure, ctypes._SimpleCData)


def _base(array: Any) -> Any:
    """Return what the memory of an array, or of what it is a view of, belongs to."""
    base = array.base
    while base is not None and hasattr(base, "__array_interface__") and hasattr(base, "base"):
        base = base.base
    return base


def reduced(view: Any, lent: list[Any] | None) -> Any:
    """Reduce a view of shared memory to that memory and where it is in it; a block of it to its
    name.

    Parameters
    ----------
    view : ndarray, memoryview, SharedMemory or ShareableList
    lent : list or None
        Takes in what must be kept as long as the pickle may be unpickled.

    Returns
    -------
    tuple or None
        None if it is over no such memory.

    Raises
    ------
    TypeError
        If the memory can't be found by other processes.
    """
    if is_block(type(view)):
        return _attached, (type(view), getattr(view, "shm", view).name)
    if not is_view(view):
        return None
    owner = _owner(view)
    if owner is None:
        if _is_over_anonymous(view):
            raise TypeError(
                "it is a view of an anonymous mmap, which only forked processes share:"
                " take multiprocessing.shared_memory"
            )
        return None
    kind = type(view)
    if kind is not memoryview and kind is not sys.modules["numpy"].ndarray:
        raise TypeError(f"it is a {kind.__name__} over shared memory: take a plain ndarray")
    if lent is not None:
        lent.append(view)  # else its place in memory may soon be another's
    offset = _address(view) - _address_of_buffer(_buffer(owner))
    if kind is not memoryview:
        return _array, (owner, offset, view.shape, view.dtype, view.strides)
    if not view.c_contiguous:
        raise TypeError("it is a view of shared memory with steps: take an ndarray")
    return _view, (owner, offset, view.nbytes, view.format, view.shape)


def _attached(kind: Any, name: str) -> Any:
    """Return a block of shared memory, or the list in it, that is another process's to remove.

    The resource tracker of another rank would remove it at the end of that rank.
    """
    from multiprocessing import resource_tracker

    register = resource_tracker.register
    thread = threading.get_ident()

    def register_others(name: Any, rtype: str) -> None:
        if threading.get_ident() != thread:
            register(name, rtype)

    resource_tracker.register = register_others
    try:
        return kind(name=name)
    finally:
        resource_tracker.register = register


def _view(
    owner: Any,
    offset: int,
    size: int,
    kind: str,
    shape: tuple[int, ...],
) -> memoryview:
    """Return a view of shared memory: what such a pickle calls."""
    _used[id(owner)] = owner
    view = memoryview(_buffer(owner))[offset : offset + size]
    if kind == "B" and shape == (size,):
        return view
    return view.cast("B").cast(kind, shape)  # type: ignore[call-overload, no-any-return]


def _array(
    owner: Any,
    offset: int,
    shape: Any,
    dtype: Any,
    strides: Any,
) -> Any:
    """Return an array over memory that is shared: what such a pickle calls."""
    numpy = sys.modules.get("numpy") or __import__("numpy")
    _used[id(owner)] = owner  # a block that nobody refers to would be closed
    return numpy.ndarray(shape, dtype, _buffer(owner), offset, strides)


def _owner(view: Any) -> Any:
    """Return the arena or block of shared memory that a view is of; None if it is of none."""
    address = _address(view)
    for owner in _owners():
        buffer = _buffer(owner)
        if buffer is None or not len(buffer):  # it is closed
            continue
        start = _address_of_buffer(buffer)
        if start <= address < start + len(buffer):
            return owner
    return None


def _owners() -> Iterator[Any]:
    heap = sys.modules.get("multiprocessing.heap")
    if heap is not None:
        yield from list(heap.BufferWrapper._heap._arenas)
        yield from [each for each in _used.values() if isinstance(each, heap.Arena)]
    yield from list(_blocks)


def _buffer(owner: Any) -> Any:
    """Return the memory of an arena, or of a block."""
    if hasattr(owner, "buffer"):
        return owner.buffer
    return owner.buf


def _address(view: Any) -> int:
    if type(view) is memoryview:
        return _address_of_buffer(view)
    return int(view.__array_interface__["data"][0])


def _address_of_buffer(buffer: Any) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def _is_over_anonymous(view: Any) -> bool:
    base = view
    if type(view) is not memoryview:
        base = _base(view)
    if isinstance(base, memoryview):
        base = base.obj
    return isinstance(base, mmap.mmap) and is_anonymous(base)


def is_anonymous(mapping: mmap.mmap) -> bool:
    """Return whether a mapping is of no file, and shared by forked processes alone."""
    try:
        address = _address_of_buffer(mapping)
    except (TypeError, ValueError):  # it is read-only, or closed: nothing comes through it
        return False
    with open("/proc/self/maps") as maps:
        for line in maps:
            start, _, end = line.partition(" ")[0].partition("-")
            if int(start, 16) <= address < int(end, 16):
                return "/dev/zero" in line
    return False


os.register_at_fork(after_in_child=_made.clear)
