"""What killed runs have left on this node, and no process has any more.

MPI libraries and multiprocessing keep segments of shared memory and folders under names of their
own, and remove them as they end: not so if they are killed. One is left over if it is this user's,
has been for a while, and

* a segment: no process has it open or mapped. Whoever opens one by its name does so while another
  has it.
* a folder: no process has anything in it, and none of the kind that makes such folders is as old as
  it is.

Where a process can't be looked into, nothing is taken for left over; nor is anything in a folder
that processes out of sight may use: those of other nodes, or those outside of a container.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from mpipar.runtime.launcher_words import DAEMONS

SEGMENTS = (
    "mpich_shm_*",
    "mpich_shar_tmp*",
    "Intel_MPI_*",
    "sm_segment.*",
    "vader_segment.*",
    "ucx_shm_posix_*",
    "sem.mp-*",
    "sem.loky-*",
)
"""Names in /dev/shm, of MPICH, Intel MPI, Open MPI, UCX, multiprocessing and loky."""

FOLDERS_OF_MPI = ("ompi.*", "prte.*", "openmpi-sessions-*")
FOLDERS_OF_PYTHON = ("pymp-*",)
"""Names in the folder of temporary files."""

YOUNGEST = 60.0
"""Seconds: what is younger may be of a run that is just starting."""

_OF_ONE_NODE = ("tmpfs", "ramfs", "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "overlay", "zfs")
_FIRST_NAMESPACES = {
    "pid": "pid:[4026531836]",
    "ipc": "ipc:[4026531839]",
}  # as Linux numbers those of the machine
_CLOCKS_DIFFER = 60.0
_OF_MPI = re.compile(r"/lib(mpi|pmix|prrte|open-rte|open-pal)[\w.-]*\.so")
_KEPT_TO_THEMSELVES = (
    "ssh",
    "gpg-agent",
    "(sd-pam)",
    "systemd",
    "su",
    "sudo",
    "login",
    "dbus",
    "polkit",
    "fusermount",
)


class Leftover(NamedTuple):
    """A segment or a folder that nobody has.

    Attributes
    ----------
    path : Path
    size : int
        Bytes.
    """

    path: Path
    size: int


class _Process(NamedTuple):
    """What is known of a process.

    Attributes
    ----------
    name : str
    began : float
        When, as time.time has it.
    files : set of int
        The inodes of what it has open or mapped.
    paths : set of str
        The names of these, and the folder that it is in.
    maps : str
    can_be_seen : bool
        Whether that is all.
    """

    name: str
    began: float
    files: set[int]
    paths: set[str]
    maps: str
    can_be_seen: bool


Candidates: TypeAlias = list[tuple[Path, os.stat_result]]


def leftovers(
    shm: Path = Path("/dev/shm"),
    temporary: Path | None = None,
    proc: Path = Path("/proc"),
) -> list[Leftover]:
    """Return what killed runs of this user have left on this node."""
    if temporary is None:
        temporary = Path(tempfile.gettempdir())
    segments: Candidates = []
    of_mpi: Candidates = []
    of_python: Candidates = []
    if all_users_are_seen(shm):
        segments = list(_own(shm, SEGMENTS, stat.S_ISREG))
    if all_users_are_seen(temporary):
        of_mpi = list(_own(temporary, FOLDERS_OF_MPI, stat.S_ISDIR))
        of_python = list(_own(temporary, FOLDERS_OF_PYTHON, stat.S_ISDIR))
    if not (segments or of_mpi or of_python):
        return []
    processes = list(_processes(proc))
    if not all(process.can_be_seen for process in processes):
        return []
    used = _names_used(temporary, processes, proc)
    return sorted(
        [
            *_without_holder(segments, processes),
            *_without_user(of_mpi, used, _oldest(processes, _makes_folders_of_mpi)),
            *_without_user(of_python, used, _oldest(processes, _makes_folders_of_python)),
        ]
    )


def _without_holder(segments: Candidates, processes: list[_Process]) -> Iterator[Leftover]:
    """Yield the segments that no process has open or mapped."""
    held: set[int] = set()
    for process in processes:
        held |= process.files
    for path, about in segments:
        if about.st_ino not in held:
            yield Leftover(path, about.st_size)


def _without_user(
    folders: Candidates,
    used: set[str],
    oldest: float,
) -> Iterator[Leftover]:
    """Yield the folders that nobody uses, and that are older than the oldest process that makes
    such ones.
    """
    for path, about in folders:
        is_older = about.st_mtime + _CLOCKS_DIFFER < oldest
        if is_older and path.name not in used:
            yield Leftover(path, _size(path))


def _names_used(
    folder: Path,
    processes: list[_Process],
    proc: Path,
) -> set[str]:
    """Return the names in a folder that some process or socket uses, or something in them."""
    paths = set(_sockets(proc))
    for process in processes:
        paths |= process.paths
    start = f"{folder}/"
    names = set()
    for path in paths:
        if path.startswith(start):
            name, _, _ = path.removeprefix(start).partition("/")
            names.add(name)
    return names


def _oldest(processes: list[_Process], makes: Callable[[_Process], bool]) -> float:
    """Return when the first of the processes began that make such folders."""
    return min((process.began for process in processes if makes(process)), default=math.inf)


def all_users_are_seen(folder: Path, proc: Path = Path("/proc")) -> bool:
    """Return whether all processes that can use a folder are seen in ``/proc``: those of this node,
    and outside.
    """
    try:
        device = os.stat(folder).st_dev
        kind = _kind_of_mount(proc, f"{os.major(device)}:{os.minor(device)}")
        sees_all = os.readlink(proc / "self" / "ns" / "pid") == _FIRST_NAMESPACES["pid"]
        shares_memory = os.readlink(proc / "self" / "ns" / "ipc") == _FIRST_NAMESPACES["ipc"]
        is_ours = device == os.stat("/").st_dev or (kind == "tmpfs" and not shares_memory)
    except OSError:
        return False
    return kind in _OF_ONE_NODE and (sees_all or is_ours)


def _kind_of_mount(proc: Path, device: str) -> str | None:
    """Return the kind of file system of a device."""
    for line in (proc / "self" / "mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == device:
            return after.split()[0]
    return None


def remove(found: list[Leftover], look: Callable[[], list[Leftover]] = leftovers) -> list[Leftover]:
    """Remove what has been found, if a second look finds it, too; return what is gone."""
    still = {leftover.path for leftover in look()}
    gone = []
    for leftover in found:
        if leftover.path not in still:
            continue
        try:
            if leftover.path.is_dir():
                shutil.rmtree(leftover.path)
            else:
                leftover.path.unlink()
        except OSError:
            continue
        gone.append(leftover)
    return gone


def _own(
    folder: Path,
    patterns: tuple[str, ...],
    kind: Callable[[int], bool],
) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield what is this user's in a folder, of some names and one kind, and isn't young."""
    for pattern in patterns:
        for path in folder.glob(pattern):
            try:
                about = path.lstat()
            except OSError:
                continue
            changed = about.st_mtime
            if pattern not in FOLDERS_OF_PYTHON:
                changed = max(changed, about.st_ctime)
            is_young = time.time() - changed <= YOUNGEST
            is_ours = about.st_uid == os.geteuid()
            if kind(about.st_mode) and is_ours and not is_young:
                yield path, about


def _processes(proc: Path) -> Iterator[_Process]:
    """Yield all processes that may have something of this user's."""
    booted = _booted(proc)
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name = (entry / "comm").read_text().strip()
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            owner = entry.stat().st_uid
        except OSError:  # it has ended
            continue
        if fields[0] in "ZX":
            continue
        began = booted + int(fields[19]) / os.sysconf("SC_CLK_TCK")
        process = _Process(name, began, set(), set(), "", True)
        try:
            yield _looked_into(entry, process)
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        except OSError:
            is_innocent = owner != os.geteuid() or name.startswith(_KEPT_TO_THEMSELVES)
            is_init = entry.name == "1" and not name.startswith((*DAEMONS, "python"))
            yield process._replace(can_be_seen=is_innocent or is_init)


def _looked_into(entry: Path, process: _Process) -> _Process:
    maps = (entry / "maps").read_text(errors="replace")
    for line in maps.splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6:
            process.files.add(int(fields[4]))
            process.paths.add(fields[5].removesuffix(" (deleted)"))
    for descriptor in (*(entry / "fd").iterdir(), entry / "cwd"):
        try:
            process.files.add(descriptor.stat().st_ino)
            process.paths.add(os.readlink(descriptor))
        except FileNotFoundError:  # it has been closed
            continue
    return process._replace(maps=maps)


def _booted(proc: Path) -> float:
    for line in (proc / "stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0


def _sockets(proc: Path) -> Iterator[str]:
    """Yield the names of sockets that somebody has."""
    try:
        lines = (proc / "net" / "unix").read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines[1:]:
        fields = line.split(None, 7)
        if len(fields) == 8:
            yield fields[7]


def _makes_folders_of_mpi(process: _Process) -> bool:
    return process.name.startswith(DAEMONS) or _OF_MPI.search(process.maps) is not None


def _makes_folders_of_python(process: _Process) -> bool:
    """Return whether a process may have loaded multiprocessing; some Pythons have that built in."""
    maps = process.maps
    is_python = "python" in process.name or "/python" in maps or "libpython" in maps
    is_known = "/lib-dynload/" in process.maps
    return is_python and (not is_known or "/_multiprocessing." in process.maps)


def _size(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_size
            except OSError:
                continue
    return total
