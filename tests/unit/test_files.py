import contextlib
import errno
import os
import resource

import h5py
import numpy as np
import pytest

from mpipar.store.files import flush_to_disk, own_name, reserve, write_at, write_hdf5


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


@pytest.fixture
def open_files():
    """Check that a test leaves no file open."""
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) == before


def test_names_are_of_this_node_and_never_the_same():
    names = [own_name("log") for _ in range(100)]
    assert len(set(names)) == 100
    assert all(
        name.startswith(f"{os.uname().nodename}-{os.getpid()}-") and name.endswith(".log")
        for name in names
    )


@pytest.mark.parametrize("most", [1, 3, 1000])
def test_all_bytes_are_written_however_few_the_system_takes_at_once(path, monkeypatch, most):
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: pwrite(file, data[:most], offset))
    path.write_bytes(b"." * 20)
    with path.open("r+b") as file:
        write_at(file.fileno(), np.arange(4, dtype="u2"), 5)
        write_at(file.fileno(), b"", 0)
    assert path.read_bytes() == b"....." + np.arange(4, dtype="u2").tobytes() + b"......."


@pytest.mark.usefixtures("open_files")
def test_a_reserved_file_is_longer_and_has_what_it_had(path):
    reserve(path, 1000)
    assert path.read_bytes() == bytes(1000)
    path.write_bytes(b"abc")
    reserve(path, 1000)
    assert path.read_bytes() == b"abc" + bytes(1000)
    assert path.stat().st_blocks > 0, "room, not a hole"


@pytest.mark.usefixtures("open_files")
def test_room_that_there_is_not_leaves_a_file_as_it_was(path, monkeypatch):
    def refuse(descriptor, offset, length):
        os.ftruncate(descriptor, offset + length // 2)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    path.write_bytes(b"abc")
    with pytest.raises(OSError, match="No space left"):
        reserve(path, 1000)
    assert path.read_bytes() == b"abc"


@contextlib.contextmanager
def small_files():
    """Let no file become larger than 1 MiB: not for all of a test, as what pytest prints may go to
    a larger one.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("open_files")
def test_files_that_become_too_large(path):
    path.write_bytes(b"abc")
    with small_files():
        with pytest.raises(OSError, match="File too large"):
            reserve(path, 2**21)
        assert path.read_bytes() == b"abc"
        with pytest.raises(OSError, match="File too large"):
            write_hdf5(path, lambda file: file.create_dataset("x", data=np.ones(2**18)))
        write_hdf5(path, lambda file: file.create_dataset("x", data=np.ones(2**14)))
    with h5py.File(path) as file:
        assert file["x"][()].sum() == 2**14


@pytest.mark.usefixtures("open_files")
def test_an_hdf5_file_replaces_what_was_there(path):
    path.write_bytes(b"x" * 10**6)
    write_hdf5(path, lambda file: file.attrs.update(a=1))
    assert path.stat().st_size < 10**5
    with h5py.File(path) as file:
        assert dict(file.attrs) == {"a": 1}


@pytest.mark.usefixtures("open_files")
def test_an_hdf5_file_that_cannot_be_filled_is_not_begun(path):
    path.write_bytes(b"abc")
    with pytest.raises(ZeroDivisionError):
        write_hdf5(path, lambda file: 1 / 0)
    assert path.read_bytes() == b"abc"


@pytest.mark.usefixtures("open_files")
def test_files_and_folders_can_be_flushed(path):
    path.write_bytes(b"abc")
    flush_to_disk(path)
    flush_to_disk(path.parent)
    with pytest.raises(FileNotFoundError):
        flush_to_disk(path.with_name("missing"))
