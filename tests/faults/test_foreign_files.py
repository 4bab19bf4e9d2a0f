"""Files at the output path that aren't of this mpipar, or that mean harm: refused, left as they
are, nothing is run.
"""

import base64
import contextlib
import hashlib
import io
import json
import os
import pickle
import zlib

import fault_programs
import h5py
import numpy as np
import pytest
from scenarios import ended, leave_nothing  # noqa: F401

from mpipar.command.driver import run_command
from mpipar.store.codec import encode


class Touch:
    """What makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def here(*arguments, driver="failing"):
    """Run a program in this process; return exit code, stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_command(
            getattr(fault_programs, driver), [*map(str, arguments), "--json"], "test"
        )
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Give the file of a run that failed at block 17 of 40, and what its checkpoint says."""
    path = tmp_path_factory.mktemp("stored") / "run.h5"
    code, *_ = here("--output", path)
    assert code == 1
    with h5py.File(path) as file:
        return path.read_bytes(), json.loads(file["checkpoint"][:].tobytes())


def with_checkpoint(path, stored, data, **attributes):
    """Make a file with other bytes in its checkpoint, and a checksum that is right."""
    path.write_bytes(stored[0])
    with h5py.File(path, "r+") as file:
        del file["checkpoint"]
        made = file.create_dataset("checkpoint", data=np.frombuffer(data, np.uint8))
        made.attrs["sha256"] = np.bytes_(hashlib.sha256(data).hexdigest())
        file.attrs.update(attributes)


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return base64.b64encode(file.getvalue()).decode()


def objects(path):
    return npy(np.array([Touch(path)], object), allow_pickle=True)


def claimed_shape(*shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    return base64.b64encode(file.getvalue()).decode()


# What stands in a checkpoint: run, identity, total, ranges, skipped, finished.
RUN, IDENTITY, TOTAL, RANGES, SKIPPED, FINISHED = range(6)

HOSTILE = {
    "not JSON": b"{",
    "nothing": b"",
    "not text": b"\xff\xfe\x00",
    "a number": b"1",
    "no fields": b"[]",
    "fields too many": b"[1,2,3,4,5,6,7,8]",
    "deep nesting": b"[" * 10**5 + b"]" * 10**5,
    "deep objects": b'{"t":[' * 10**5 + b"]}" * 10**5,
    "an integer too long": b"[" + b"9" * 10**5 + b"]",
}

WRONG = {
    "an unknown kind": (TOTAL, {"zz": 1}),
    "an empty object": (TOTAL, {}),
    "a huge array": (TOTAL, {"a": claimed_shape(2**50)}),
    "an exact sum of anything": (TOTAL, {"x": ["a", "b", "c", "d", "e"]}),
    "text for hex": (TOTAL, {"i": "__import__('os')"}),
    "text for a float": (TOTAL, {"f": "1 + 1"}),
    "an infinity": (TOTAL, {"f": "0x1p+99999"}),
    "run": (RUN, 5),
    "identity": (IDENTITY, [1, 2]),
    "ranges of text": (RANGES, [["a", "b", "c"]]),
    "a range of step 0": (RANGES, [[0, 5, 0]]),
    "a range backwards": (RANGES, [[5, 0, -1]]),
    "a range below 0": (RANGES, [[-5, 5, 1]]),
    "a range too far": (RANGES, [[0, 41, 1]]),
    "a huge range": (RANGES, [[0, 2**62, 1]]),
    "a huge range with steps": (RANGES, [[0, 2**62, 3]]),
    "a range beyond 64 bits": (RANGES, [[0, {"i": hex(2**200)}, 1]]),
    "a range of floats": (RANGES, [[{"f": "0x0p+0"}, {"f": "0x1p+3"}, {"f": "0x1p+0"}]]),
    "a range of five": (RANGES, [[0, 1, 2, 3, 4]]),
    "ranges that overlap": (RANGES, [[0, 10, 1], [5, 15, 1]]),
    "a range of nothing": (RANGES, 7),
    "blocks skipped of text": (SKIPPED, ["abcde"]),
    "blocks skipped too far": (SKIPPED, [[99, 99, 100, "why", ""]]),
    "blocks skipped with other items": (SKIPPED, [[30, 0, 2**62, "why", ""]]),
    "blocks skipped for no reason": (SKIPPED, [[30, 30, 31, 5, None]]),
    "finished, but not": (FINISHED, True),
    "finished perhaps": (FINISHED, "yes"),
}


# What can be stored, but is no exact sum; or is too large to be one.
ODD_TOTALS = [
    "a lot",
    None,
    [1, 2],
    {"a": npy(np.zeros(3))},
    {"x": [{"t": [2**50]}, 0, {"t": []}, None, 0]},
]


def check_is_refused(path, *arguments, driver="failing"):
    """Check that a file is refused in one line, with nothing beside it, and left as it is."""
    before, beside = path.read_bytes() if path.is_file() else None, sorted(os.listdir(path.parent))
    code, out, err = here("--output", path, *arguments, driver=driver)
    assert (code, out) == (2, ""), f"exit {code}\n{out}\n{err}"
    assert len(err.splitlines()) == 1, err
    assert str(path.resolve()) in err
    assert sorted(os.listdir(path.parent)) == beside
    assert before is None or path.read_bytes() == before
    return err


@pytest.mark.parametrize("resume", [(), ("--resume",)])
@pytest.mark.parametrize(
    "what",
    [
        "text",
        "empty",
        "folder",
        "pipe",
        "hdf5",
        "pickle",
        "netCDF-like",
        "link to a text",
        "odd attributes",
    ],
)
def test_files_from_elsewhere(what, resume, tmp_path):
    path = tmp_path / "run.h5"
    if what == "text":
        path.write_text("my thesis\n")
    elif what == "empty":
        path.touch()
    elif what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "pickle":
        path.write_bytes(pickle.dumps(Touch(tmp_path / "ran")))
    elif what == "link to a text":
        (tmp_path / "text").write_text("my thesis\n")
        path.symlink_to(tmp_path / "text")
    else:
        with h5py.File(path, "w") as file:
            file["x"] = np.arange(5)
            if what == "netCDF-like":
                file.attrs.update(finished=True, checkpoint="yes", format=2)
            if what == "odd attributes":
                file.attrs.update(mpipar_format=[1, 2], finished=[True, False])
    check_is_refused(path, *resume)


def test_a_foreign_file_is_refused_on_all_ranks_in_one_line(tmp_path):
    path = tmp_path / "run.h5"
    path.write_text("my thesis\n")
    for resume in (), ("--resume",):
        assert "stays untouched" in ended(2, "failing", "--output", str(path), *resume).is_refused()
        assert path.read_text() == "my thesis\n"


@pytest.mark.parametrize("version", [1, 3, 99, -1, "two", b"2", 2.5])
@pytest.mark.parametrize("finished", [None, True, False])
def test_files_of_other_formats_are_not_resumed(version, finished, stored, tmp_path):
    path = tmp_path / "run.h5"
    path.write_bytes(stored[0])
    with h5py.File(path, "r+") as file:
        file.attrs["mpipar_format"] = version
        del file.attrs["finished"]
        if finished is not None:
            file.attrs["finished"] = finished
    assert "format" in check_is_refused(path, "--resume")


@pytest.mark.parametrize("what", HOSTILE)
def test_a_checkpoint_of_other_bytes_is_refused(what, stored, tmp_path):
    path = tmp_path / "run.h5"
    with_checkpoint(path, stored, HOSTILE[what])
    assert "missing or damaged" in check_is_refused(path, "--resume")


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("what", WRONG)
def test_a_checkpoint_that_says_what_cannot_be_is_refused(what, finished, stored, tmp_path):
    path = tmp_path / "run.h5"
    fields = [*stored[1]]
    fields[FINISHED] = finished
    field, value = WRONG[what]
    fields[field] = value
    with_checkpoint(path, stored, json.dumps(fields).encode(), finished=finished)
    check_is_refused(path, "--resume")


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("total", ODD_TOTALS)
def test_a_total_that_is_none_of_this_reduction_runs_nothing(total, finished, stored, tmp_path):
    """Whoever makes a checksum that is right can claim any value; that is a failed run at worst."""
    path = tmp_path / "run.h5"
    fields = [*stored[1]]
    fields[TOTAL], fields[FINISHED] = total, finished
    if finished:
        fields[RANGES] = [[0, 40, 1]]
    with_checkpoint(path, stored, json.dumps(fields).encode(), finished=finished)
    code, _, err = here("--output", path, "--resume")
    assert code in ((0, 1, 2) if finished else (1, 2))
    assert "a bug" not in err, err


@pytest.mark.parametrize("place", ["whole", "total", "in an exact sum"])
def test_what_is_pickled_is_not_unpickled(place, stored, tmp_path):
    path, ran = tmp_path / "run.h5", tmp_path / "ran"
    fields = [*stored[1]]
    if place == "whole":
        data = pickle.dumps(Touch(ran))
    else:
        array = {"a": objects(ran)}
        fields[TOTAL] = array if place == "total" else {"x": [{"t": []}, 0, array, array, 0]}
        data = json.dumps(fields).encode()
    with_checkpoint(path, stored, data)
    check_is_refused(path, "--resume")
    assert not ran.exists()


@pytest.mark.parametrize(
    "link", ["soft", "external", "external file of bytes", "group", "text", "numbers", "unwritten"]
)
def test_a_checkpoint_that_is_no_dataset_of_this_file_is_refused(link, stored, tmp_path):
    path, other = tmp_path / "run.h5", tmp_path / "other.h5"
    other.write_bytes(stored[0])
    path.write_bytes(stored[0])
    with h5py.File(path, "r+") as file:
        data, sha256 = file["checkpoint"][:], file["checkpoint"].attrs["sha256"]
        if link == "soft":
            file.move("checkpoint", "elsewhere")
            file["checkpoint"] = h5py.SoftLink("/elsewhere")
        else:
            del file["checkpoint"]
            if link == "external":
                file["checkpoint"] = h5py.ExternalLink(str(other), "/checkpoint")
            elif link == "external file of bytes":
                (tmp_path / "bytes").write_bytes(data.tobytes())
                file.create_dataset(
                    "checkpoint",
                    data.shape,
                    "u1",
                    external=[(str(tmp_path / "bytes"), 0, len(data))],
                )
            elif link == "group":
                file.create_group("checkpoint")
            elif link == "text":
                file["checkpoint"] = data.tobytes().decode()
            elif link == "numbers":
                file["checkpoint"] = data.astype(float)
            else:  # of a size that no memory holds, but that takes no room in the file
                file.create_dataset("checkpoint", (2**50,), "u1", chunks=(2**20,))
        file["checkpoint"].attrs["sha256"] = sha256
    assert "missing or damaged" in check_is_refused(path, "--resume")


@pytest.mark.parametrize(
    "what",
    [
        "other bytes",
        "a wrong size",
        "not a total",
        "a total of text",
        "ranges too far",
        "ranges again",
        "deep",
    ],
)
def test_logs_that_are_damaged_or_hostile_change_no_value(what, stored, tmp_path):
    path = tmp_path / "run.h5"
    path.write_bytes(stored[0])
    folder = tmp_path / "run.h5.parts"
    folder.mkdir()
    run, _, total, ranges, *_ = stored[1]
    fields = {
        "not a total": [run, {"zz": 1}, [[20, 25, 1]], []],
        "a total of text": [run, "a lot", [[20, 25, 1]], []],
        "ranges too far": [run, total, [[20, 10**9, 1]], []],
        "ranges again": [run, total, ranges, []],
    }.get(what)
    data = b"[" * 10**5 + b"]" * 10**5 if what == "deep" else json.dumps(fields).encode()
    size = 2**62 if what == "a wrong size" else len(data)
    record = (
        b"mpipar-2" + size.to_bytes(8, "little") + zlib.crc32(data).to_bytes(4, "little") + data
    )
    (folder / "host-1-2.log").write_bytes(b"\x00" * 500 if what == "other bytes" else record)
    before = path.read_bytes()
    code, out, err = here("--output", path, "--resume", "--at", "17")
    if code == 1:  # block 17 fails as before
        assert "17 of 40 blocks are done and committed" in err, err
    else:
        assert (code, out, len(err.splitlines())) == (2, "", 1), err
        assert path.read_bytes() == before
    assert "a bug" not in err


def test_encoded_states_are_read_again(stored, tmp_path):
    """The file that all these are made of is fine by itself."""
    path = tmp_path / "run.h5"
    with_checkpoint(path, stored, json.dumps(stored[1]).encode())
    code, _, err = here("--output", path, "--resume")
    assert code == 1
    assert "17 of 40 blocks are done and committed" in err
    assert encode(stored[1][RUN]) == json.dumps(stored[1][RUN]).encode()
