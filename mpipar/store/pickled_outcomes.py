"""Outcomes that take pickle, in a file of the user's own beside the output: ``--keep-pickled``.

To unpickle is to run what the bytes say. So each record is signed with a key that the user alone
can read, and nothing is unpickled of a file that isn't the user's own, or that others may write to.

::

    ~/.config/mpipar/key     32 random bytes, made when they are first needed
    run.h5.pickled           records: signature, which task, its outcome
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import pickle
import secrets
import stat
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mpipar.base.errors import BadInput
from mpipar.store.outcome_codec import ABSENT
from mpipar.store.record_file import RecordFile, records

_MARK = b"mpipar-p"
_OWN = 0o600
_KEY_BYTES = 32
_SIGNATURE_BYTES = hashlib.sha256().digest_size
_TASK = struct.Struct("<IQ")  # call, index
_OPTION = "--keep-pickled"


class PickledTask(NamedTuple):
    """A pickled outcome, and whose it is."""

    call: int
    task: int
    data: bytes


class PickledLog:
    """Pickled outcomes of one run of a script.

    Parameters
    ----------
    path : Path
        A new file.
    run : str
        Name of the run, without which no signature is right.

    Raises
    ------
    BadInput
        If there is no key, and none can be made.
    """

    def __init__(self, path: Path, run: str) -> None:
        self._file = RecordFile(path, _MARK, _OWN)
        self._sign = _Signer(_key(), run)

    def append(self, task: PickledTask) -> None:
        """Note an outcome. Raises OSError."""
        body = _TASK.pack(task.call, task.task) + task.data
        self._file.append(self._sign.of(body), body)

    def keep(self, call: int, task: int, outcome: Any) -> bool:
        """Note an outcome, if it can be pickled, and return whether it can. Raises OSError."""
        data = pickled(outcome)
        if data is None:
            return False
        self.append(PickledTask(call, task, data))
        return True

    def sync(self) -> None:
        """Wait until all is on the disk. Raises OSError."""
        self._file.sync()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def pickled(value: Any) -> bytes | None:
    """Return an outcome as bytes, or None if it can't be pickled."""
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception:  # whatever a class of the user's raises
        return None


def unpickled(data: bytes) -> Any:
    """Return an outcome of signed bytes; ABSENT, if that can't be made here."""
    try:
        return pickle.loads(data)
    except Exception:  # its class is gone, or is another one
        return ABSENT


def signed_outcomes(path: Path, run: str) -> Iterator[PickledTask]:
    """Yield the outcomes in a file, which aren't unpickled yet; none, if there is no file.

    Raises
    ------
    BadInput
        If the file, or the key, isn't the user's alone, or a signature is wrong.
    """
    if not os.path.lexists(path):
        return
    _check_own(path)
    sign = _Signer(_key(), run)
    for data in records(path, _MARK):
        signature, body = data[:_SIGNATURE_BYTES], data[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, sign.of(body)):
            raise BadInput(
                f"{str(path)!r} isn't signed with the key in {str(_key_path())!r} for this run:"
                " nothing of it is unpickled",
                option=_OPTION,
                remedy="remove it to have its tasks evaluated again",
            )
        call, index = _TASK.unpack_from(body)
        yield PickledTask(call, index, body[_TASK.size :])


def write_signed(folder: Path, path: Path, run: str, tasks: Iterable[PickledTask]) -> None:
    """Write outcomes to a file, aside in a folder first; if there are none, there is none. Raises
    OSError.
    """
    aside = folder / "pickled.part"
    aside.unlink(missing_ok=True)
    file = PickledLog(aside, run)
    try:
        for task in tasks:
            file.append(task)
        file.sync()
    finally:
        file.close()
    if aside.exists():
        os.replace(aside, path)
    else:
        path.unlink(missing_ok=True)


class _Signer:
    def __init__(self, key: bytes, run: str) -> None:
        self._begun = hmac.new(key, run.encode() + b"\0", hashlib.sha256)

    def of(self, body: bytes) -> bytes:
        """Return the signature of some bytes."""
        made = self._begun.copy()
        made.update(body)
        return made.digest()


def _key_path() -> Path:
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(folder):  # as its specification has it
        folder = os.path.expanduser("~/.config")
    return Path(folder, "mpipar", "key")


def _key() -> bytes:
    """Return the user's key, which is made if there is none. Raises BadInput."""
    path = _key_path()
    try:
        if not os.path.lexists(path):
            _make_key(path)
        _check_own(path)
        key = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{error.strerror}: {str(path)!r}", option=_OPTION) from None
    if len(key) != _KEY_BYTES:
        raise BadInput(
            f"{str(path)!r} has {len(key)} bytes, expected a key of {_KEY_BYTES}", option=_OPTION
        )
    return key


def _make_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f"key.{os.getpid()}")
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWN)
    try:
        os.write(file, secrets.token_bytes(_KEY_BYTES))
        os.fsync(file)
        with contextlib.suppress(FileExistsError):  # another process was faster
            os.link(aside, path)
    finally:
        os.close(file)
        os.unlink(aside)


def _check_own(path: Path) -> None:
    """Raise BadInput if others could have written a file, or put it there."""
    found = path.lstat()
    problem = ""
    if not stat.S_ISREG(found.st_mode):
        problem = "is no regular file"
    elif found.st_uid != os.geteuid():
        problem = "is another user's"
    elif found.st_mode & 0o077:
        problem = f"may be used by others (its mode is {found.st_mode & 0o777:o}, expected 600)"
    if problem:
        raise BadInput(f"{str(path)!r} {problem}: nothing is unpickled", option=_OPTION)
