"""Fingerprints of functions and items: what tells whether a task is one that was done before.

What has the same fingerprint does the same, whatever the process: of a function, its code and all
of the user's own that it uses, as it is now; of an item, what pickle would make of it, with the
classes of the user's that are in it. When in doubt, fingerprints differ: a task is evaluated again,
but no outcome is that of another.
"""

from __future__ import annotations

import hashlib
import itertools
import marshal
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from mpipar.store.checks import Checks, held
from mpipar.store.data_writer import glance, write_name
from mpipar.store.function_writer import FunctionWriter
from mpipar.store.own_code import OwnCode, is_class, is_function
from mpipar.store.pickling import Unfingerprintable
from mpipar.store.reach import reaches_pictures
from mpipar.store.value_writer import DEFINED, OTHER, PLAIN, SCALAR, ValueWriter, digest

__all__ = ["VERSION", "Fingerprints", "Unfingerprintable"]

VERSION = 2
"""Of fingerprints: to be raised when the same gets another one than before."""

_MOST_KNOWN = 64  # functions and classes; those made anew for each call are many
_SPARE = 8
_LONGEST_REASON = 200
_SIZE = 16
_WORDS = range(-(2**31), 2**31)
_WORD = np.dtype([("mark", "S1"), ("number", "<i4")])
_SCALARS: dict[type, tuple[str, str]] = {
    kind: (kind.__name__, np.dtype(kind).str)
    for kind in (np.float64, np.float32, np.int64, np.int32)
}


_LookedAt: TypeAlias = dict[int, tuple[Any, bytes]]
"""{identity of a function or class: that, so that no other gets it, and its digest}."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A function or class that was looked at: its digest, without the salt and with it."""

    value: Any
    digest: bytes
    salted: bytes
    checks: Checks


class Fingerprints:
    """Fingerprints of what is handed to a pool.

    Parameters
    ----------
    salt : bytes
        What all tasks of the pool depend on beside their functions: settings, an initializer.
    pictures : bytes
        What those that may draw pictures depend on, too: settings of libraries for that.

    Attributes
    ----------
    packages : dict of str to str
        {installed package that a function used: version}, so far.
    """

    def __init__(self, salt: bytes = b"", pictures: bytes = b"") -> None:
        if not __debug__:  # Python's -O leaves assertions out
            salt += b"-O"
        self._salt = salt
        self._pictures = pictures
        self._own = OwnCode()
        self._known: dict[int, _Known] = {}
        self._first: dict[int, tuple[Callable[[], Any], bytes]] = {}
        self._most = _SPARE

    @property
    def packages(self) -> dict[str, str]:  # noqa: D102 (documented above)
        return self._own.packages

    def function(self, function: Any) -> bytes:
        """Return the fingerprint of a function, or of anything that can be called, with all of the
        user's own that it uses, as that is now.

        Global data that was changed in place since this first saw it has another fingerprint than
        new data like it, as workers may have it as it was. Where nothing else has changed, large
        data is only looked at in samples again.

        Returns
        -------
        bytes
            16 of them.

        Raises
        ------
        Unfingerprintable
            If something that it uses can't be told from others.
        """
        try:
            if is_function(function) or is_class(function):
                return self._looked_at(function).salted
            return digest(self._salt + self._of_item(function, {}))
        except Unfingerprintable:
            raise
        except Exception as error:
            raise _unfingerprintable(function, error) from error

    def item(self, item: Any) -> bytes:
        """Return the fingerprint of an item, 16 bytes. Raises Unfingerprintable."""
        return _of_plain(item) or self._guarded(item, {})

    def _guarded(self, item: Any, looked_at: _LookedAt) -> bytes:
        try:
            return self._of_item(item, looked_at)
        except Unfingerprintable:
            raise
        except Exception as error:
            raise _unfingerprintable(item, error) from error

    def items(self, items: Sequence[Any]) -> list[bytes]:
        """Return the fingerprints of items. Raises Unfingerprintable."""
        found = []
        looked_at: _LookedAt = {}
        for item in items:
            found.append(_of_plain(item) or self._guarded(item, looked_at))
        return found

    def block(self, items: Sequence[Any]) -> bytes | None:
        """Return one fingerprint of many items, or None if that takes as long as one of each."""
        if type(items) is range and _are_words(items):
            return digest(_marshalled(items))
        kinds = set(map(type, items))
        if kinds <= PLAIN:
            return digest(marshal.dumps(_as_list(items), 2))
        if len(kinds) > 1:
            return None
        kind = kinds.pop()
        if kind is tuple:
            return _of_tuples(items)
        return _of_scalars(items, kind)

    def _of_item(self, item: Any, looked_at: _LookedAt) -> bytes:
        writer = _ItemWriter(self, self._own, looked_at)
        return self._written(writer, lambda: writer.write(item))

    def _written(self, writer: ValueWriter, write: Callable[[], None]) -> bytes:
        """Return the digest of what is written, with the settings that count for that alone."""
        outer = self._own.met
        self._own.met = set()
        try:
            write()
            if reaches_pictures(self._own.met):
                writer.put(OTHER, self._pictures)
        finally:
            self._own.met = outer
        return writer.digest()

    def definition(self, value: Any) -> bytes:
        """Return the digest of a function or class, without the salt."""
        return self._looked_at(value).digest

    def _looked_at(self, value: Any) -> _Known:
        known = self._known.get(id(value))
        if known is None or known.value is not value:
            return self._look_at(value)
        if not known.checks.hold(self._glance):
            return self._look_at(value)
        return known

    def _look_at(self, value: Any) -> _Known:
        writer = FunctionWriter(self._own, self._first_digest)
        found = self._written(writer, lambda: writer.write_all(value))
        known = _Known(value, found, digest(self._salt + found), writer.checks)
        self._known.pop(id(value), None)
        if len(self._known) >= _MOST_KNOWN:
            self._known.pop(next(iter(self._known)), None)
        self._known[id(value)] = known
        self._forget()
        return known

    def _forget(self) -> None:
        """Forget what data was that no function uses any more."""
        if len(self._first) <= self._most:
            return
        used: set[int] = set()
        for known in list(self._known.values()):
            used.update(map(id, known.checks.objects()))
        for number in list(self._first):
            if number not in used:
                self._first.pop(number, None)
        self._most = 2 * len(self._first) + _SPARE

    def _glance(self, value: Any) -> bytes:
        return glance(self._own, value)

    def _first_digest(self, value: Any, now: bytes) -> bytes:
        """Return the digest that data had when this first saw it."""
        known = self._first.get(id(value))
        if known is not None and known[0]() is value:
            return known[1]
        self._first[id(value)] = held(value), now
        return now


class _ItemWriter(ValueWriter):
    """Writes an item, with digests of functions and classes in it: those that have been looked at
    for the items before are the same for this one.
    """

    def __init__(
        self,
        fingerprints: Fingerprints,
        own: OwnCode,
        looked_at: _LookedAt,
    ) -> None:
        super().__init__()
        self._fingerprints = fingerprints
        self._own = own
        self._looked_at = looked_at

    def define(self, value: Any) -> None:
        known = self._looked_at.get(id(value))
        if known is None:
            if write_name(self, self._own, value):
                return
            known = value, self._fingerprints.definition(value)
            self._looked_at[id(value)] = known
        self.put(DEFINED, known[1])

    def inner(self) -> ValueWriter:
        return _ItemWriter(self._fingerprints, self._own, self._looked_at)


def _of_plain(item: Any) -> bytes | None:
    """Return the fingerprint of what is plain, which is most items."""
    kind = type(item)
    if kind in PLAIN or (kind is tuple and PLAIN.issuperset(map(type, item))):
        return hashlib.blake2b(marshal.dumps(item, 2), digest_size=_SIZE).digest()
    if kind in _SCALARS:
        parts = *_SCALARS[kind], item.tobytes()
        return digest(SCALAR + marshal.dumps(parts, 2))
    return None


def _unfingerprintable(value: Any, error: Exception) -> Unfingerprintable:
    """Return what to raise for whatever an object's own code raises when it is pickled."""
    try:
        reason = " ".join(repr(error).split())
    except Exception:  # of an error that can't even say what it is
        reason = type(error).__qualname__
    return Unfingerprintable(type(value), f": {reason[:_LONGEST_REASON]}")


def _of_tuples(items: Sequence[Any]) -> bytes | None:
    """Return the fingerprint of tuples, if what is in them is plain."""
    kinds = set(map(type, itertools.chain.from_iterable(items)))
    if kinds <= PLAIN:
        return digest(marshal.dumps(_as_list(items), 2))
    return None


def _as_list(items: Sequence[Any]) -> list[Any]:
    if type(items) is list:
        return items
    return list(items)


def _are_words(numbers: range) -> bool:
    """Return whether there are numbers, and each has 32 bits."""
    return len(numbers) > 0 and numbers[0] in _WORDS and numbers[-1] in _WORDS


def _marshalled(numbers: range) -> bytes:
    """Return what marshal makes of a list of such numbers, each of 32 bits."""
    words = np.empty(len(numbers), _WORD)
    words["mark"] = b"i"
    words["number"] = np.arange(numbers.start, numbers.stop, numbers.step)
    return b"[" + struct.pack("<I", len(numbers)) + words.tobytes()


def _of_scalars(items: Sequence[Any], kind: type) -> bytes | None:
    """Return the fingerprint of scalars of NumPy of one kind, as an array gives them."""
    if kind not in _SCALARS:
        return None  # those that NumPy makes arrays of without a look at each
    return digest(f"{kind.__name__} ".encode() + np.array(items).tobytes())
