"""Names of outputs: links, long names, suffixes, and what is said of an output in use."""

import os

import pytest

import mpipar
from mpipar.pi import pi
from mpipar.runtime.communicator import Comm
from mpipar.store.output import OutputFile
from mpipar.store.output_check import preview
from mpipar.store.progress import progress


@pytest.mark.parametrize("exists", [False, True])
def test_what_a_link_leads_to_is_written(exists, tmp_path):
    (tmp_path / "disk").mkdir()
    target, link = tmp_path / "disk" / "real.h5", tmp_path / "link.h5"
    link.symlink_to("disk/real.h5")
    if exists:
        mpipar.run(pi, steps=10, output=target)
    mpipar.run(pi, steps=1000, output=link)
    assert link.is_symlink()
    assert not target.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["disk", "link.h5"]
    assert os.listdir(tmp_path / "disk") == ["real.h5"]
    assert progress(link).finished


@pytest.mark.parametrize("to", ["missing/real.h5", "link.h5"])
def test_a_link_to_nowhere_is_refused(to, tmp_path):
    (tmp_path / "link.h5").symlink_to(to)
    with pytest.raises(mpipar.BadInput, match="output: "):
        mpipar.run(pi, steps=1000, output=tmp_path / "link.h5")
    assert os.listdir(tmp_path) == ["link.h5"]


@pytest.mark.parametrize("length", [245, 246, 247, 249, 255, 256])
@pytest.mark.parametrize("letter", ["x", "ü"])
def test_a_long_name_is_written_twice_or_refused(length, letter, tmp_path):
    name = (letter * 300).encode()[: length - 4].decode(errors="ignore") + "-.h5"
    name = name.replace("-", "-" * (length - len(name.encode()) + 1))
    path = tmp_path / name
    assert len(name.encode()) == length
    if length <= 246:
        for _ in range(2):
            assert mpipar.run(pi, steps=1000, output=path).value == pytest.approx(
                3.14159265, abs=1e-6
            )
        assert os.listdir(tmp_path) == [name]
    else:
        with pytest.raises(mpipar.BadInput, match=f"{length - 246} bytes too long"):
            mpipar.run(pi, steps=1000, output=path)
        assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["x.txt", "x", "x.h5.bak", "x.nc", ".h5"])
def test_other_suffixes_are_refused(name, tmp_path):
    with pytest.raises(mpipar.BadInput, match=r"expected a file of \.h5 or \.hdf5"):
        mpipar.run(pi, steps=1000, output=tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["x.hdf5", "x.H5", "x.txt.h5"])
def test_these_are_not(name, tmp_path):
    mpipar.run(pi, steps=1000, output=tmp_path / name)
    assert os.listdir(tmp_path) == [name]


def test_nobody_is_told_to_remove_an_output_in_use(tmp_path, monkeypatch):
    monkeypatch.setattr("mpipar.store.output_folder._LOCK_PATIENCE", 0.0)
    path = tmp_path / "run.h5"
    bound = pi.bind({"steps": 1000})
    with OutputFile(path, bound, Comm()):
        for resume in (False, True):
            with pytest.raises(
                mpipar.BadInput, match=f"another run is writing to it .process {os.getpid()}"
            ):
                OutputFile(path, bound, Comm(), resume=resume)
        with pytest.raises(mpipar.BadInput, match="another run is writing to it"):
            preview(path, [bound], resume=False)
