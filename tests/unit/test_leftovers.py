"""What killed runs have left: found, and removed, but never what a living process has."""

import contextlib
import mmap
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mpipar.runtime import leftovers as module
from mpipar.runtime.leftovers import leftovers, remove

HOLDS = """
import mmap, os, sys
how, path = sys.argv[1:]
file = os.open(path, os.O_RDWR)
if how == "mapped":
    held = mmap.mmap(file, 4096)
    os.close(file)
print("ready", flush=True)
sys.stdin.read()
"""


def old(path: Path) -> Path:
    """Let a path look as if it were of yesterday."""
    before = time.time() - 86_400
    os.utime(path, (before, before))
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return folders in the place of /dev/shm and /tmp, whose entries may have been made just
    now.
    """
    monkeypatch.setattr(module, "YOUNGEST", -1e9)
    for name in ("shm", "tmp"):
        (tmp_path / name).mkdir()
    return tmp_path


def found_in(here: Path) -> list[str]:
    return [leftover.path.name for leftover in leftovers(here / "shm", here / "tmp")]


def segment(here: Path, name: str) -> Path:
    path = here / "shm" / name
    path.write_bytes(bytes(4096))
    return old(path)


@contextlib.contextmanager
def held(how: str, path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, how, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            process.stdin.close()


NAMES = ["mpich_shm_ab12", "Intel_MPI_x", "sm_segment.vm.0.1.0", "vader_segment.vm.1", "sem.mp-abc"]


def test_segments_of_each_library_are_found_and_removed(here):
    for name in (*NAMES, "psm_123", "mine", "other.mpich_shm_1"):
        segment(here, name)
    look = lambda: leftovers(here / "shm", here / "tmp")  # noqa: E731
    found = look()
    assert sorted(leftover.path.name for leftover in found) == sorted(NAMES)
    assert {leftover.size for leftover in found} == {4096}
    assert remove(found, look) == found
    assert sorted(path.name for path in (here / "shm").iterdir()) == [
        "mine",
        "other.mpich_shm_1",
        "psm_123",
    ]


@pytest.mark.parametrize("how", ["open", "mapped"])
def test_a_segment_that_a_process_has_is_left(how, here):
    path, free = segment(here, "mpich_shm_1"), segment(here, "mpich_shm_2")
    with held(how, path):
        assert found_in(here) == [free.name]
    assert found_in(here) == [path.name, free.name]


def test_what_somebody_takes_between_two_looks_is_left(here):
    path = segment(here, "mpich_shm_1")
    look = lambda: leftovers(here / "shm", here / "tmp")  # noqa: E731
    found = look()
    with held("mapped", path):
        assert remove(found, look) == []
    assert path.exists()


def test_what_is_young_is_left(here, monkeypatch):
    monkeypatch.setattr(module, "YOUNGEST", 60.0)
    segment(here, "mpich_shm_1")
    assert found_in(here) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs files of another user")
def test_what_is_anothers_is_left(here):
    os.chown(segment(here, "mpich_shm_1"), 65534, -1)
    assert found_in(here) == []


def test_what_has_such_a_name_and_is_something_else_is_left(here):
    (here / "shm" / "mpich_shm_1").mkdir()
    (here / "shm" / "mpich_shm_2").symlink_to(segment(here, "mine"))
    (here / "tmp" / "pymp-1").write_text("")
    (here / "tmp" / "ompi.1").symlink_to(here)
    assert found_in(here) == []


@pytest.fixture
def no_makers(monkeypatch):
    """Let no process be one that makes folders."""
    monkeypatch.setattr(module, "_makes_folders_of_python", lambda process: False)
    monkeypatch.setattr(module, "_makes_folders_of_mpi", lambda process: False)


@pytest.mark.usefixtures("no_makers")
def test_folders_are_removed_with_what_is_in_them_and_links_are_not_followed(here):
    keep = here / "keep"
    keep.mkdir()
    (keep / "data").write_text("mine")
    for name in ("pymp-1", "ompi.vm.0", "prte.vm.7"):
        folder = here / "tmp" / name
        (folder / "in").mkdir(parents=True)
        (folder / "in" / "file").write_text("12345")
        (folder / "link").symlink_to(keep)
        old(folder)
    look = lambda: leftovers(here / "shm", here / "tmp")  # noqa: E731
    found = look()
    assert len(found) == 3
    assert remove(found, look) == found
    assert list((here / "tmp").iterdir()) == []
    assert (keep / "data").read_text() == "mine"


@pytest.mark.usefixtures("no_makers")
def test_a_folder_in_which_somebody_has_something_is_left(here):
    folder = here / "tmp" / "pymp-1"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "listener-1"))
        old(folder)
        assert found_in(here) == []
    assert found_in(here) == ["pymp-1"]
    (folder / "file").write_bytes(bytes(4096))
    old(folder)
    with held("open", folder / "file"):
        assert found_in(here) == []


def test_a_folder_that_a_living_process_may_have_made_is_left(here):
    # This process has multiprocessing, and is younger than a folder of yesterday, and older than
    # one of now.
    import multiprocessing.connection  # noqa: F401

    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import multiprocessing.connection as c; print(c, flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        process.stdout.readline()
        (here / "tmp" / "pymp-new").mkdir()
        assert "pymp-new" not in found_in(here)
        process.stdin.close()


def test_where_a_process_cant_be_looked_into_nothing_is_left_over(here, monkeypatch):
    segment(here, "mpich_shm_1")

    def refused(entry, process):
        raise PermissionError

    monkeypatch.setattr(module, "_looked_into", refused)
    assert found_in(here) == []


def test_what_is_mapped_here_is_seen_by_others():
    """The inode that a process's maps show is that of the file: what all of this rests on."""
    with open("/dev/shm/mpipar-test-inode", "w+b") as file:
        try:
            file.write(bytes(4096))
            file.flush()
            with mmap.mmap(file.fileno(), 4096):
                lines = [
                    line
                    for line in Path("/proc/self/maps").read_text().splitlines()
                    if "mpipar-test-inode" in line
                ]
                assert int(lines[0].split()[4]) == os.stat(file.name).st_ino
        finally:
            os.unlink(file.name)


@pytest.mark.parametrize(
    ("kind", "pid", "ipc", "seen"),
    [
        ("tmpfs", "pid:[4026531836]", "ipc:[4026531839]", True),
        ("nfs4", "pid:[4026531836]", "ipc:[4026531839]", False),  # of other nodes, too
        ("lustre", "pid:[4026531836]", "ipc:[7]", False),
        ("tmpfs", "pid:[5]", "ipc:[7]", True),  # a container's own
        ("tmpfs", "pid:[5]", "ipc:[4026531839]", False),  # docker run --ipc=host
        ("ext4", "pid:[5]", "ipc:[7]", False),  # docker run -v /tmp:/tmp
    ],
)
def test_folders_of_processes_out_of_sight_are_told(kind, pid, ipc, seen, tmp_path, monkeypatch):
    (tmp_path / "self" / "ns").mkdir(parents=True)
    (tmp_path / "self" / "ns" / "pid").symlink_to(pid)
    (tmp_path / "self" / "ns" / "ipc").symlink_to(ipc)
    (tmp_path / "self" / "mountinfo").write_text(
        f"36 35 0:77 / /x rw,noatime master:1 - {kind} none rw\n"
    )
    real = os.stat

    def stat(path, **options):
        about = real(path, **options)
        return (
            os.stat_result((*about[:2], os.makedev(0, 77), *about[3:]))
            if path == tmp_path
            else about
        )

    monkeypatch.setattr(os, "stat", stat)
    assert module.all_users_are_seen(tmp_path, tmp_path) is seen


def test_where_not_all_are_seen_nothing_is_left_over(here, monkeypatch):
    segment(here, "mpich_shm_1")
    assert found_in(here) == ["mpich_shm_1"]
    monkeypatch.setattr(module, "all_users_are_seen", lambda folder: False)
    assert found_in(here) == []
