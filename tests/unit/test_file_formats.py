"""Files say which format they have, as docs/decisions/versions.md tells."""

import re
from pathlib import Path

import h5py
import pytest

import mpipar
from mpipar import ExactSum, driver
from mpipar.pi import pi
from mpipar.store import checkpoint, pickled_outcomes, row_records, task_log, task_tables
from mpipar.store.attributes import FORMAT

POLICY = (Path(__file__).parents[2] / "docs/decisions/versions.md").read_text(encoding="utf-8")


@driver(n="items", reduction=ExactSum, block=1)
def failing(block, *, items: int = 8):
    """Fail in the middle."""
    if block.index == 4:
        raise ValueError("the middle")
    return 1.0


def format_of(path):
    with h5py.File(path) as file:
        return file.attrs["mpipar_format"], bool(file.attrs.get("finished", True))


def test_results_say_their_format(tmp_path):
    mpipar.run(pi, steps=10, output=tmp_path / "run.h5")
    mpipar.map(abs, [-1, 2], output=tmp_path / "map.h5")
    assert format_of(tmp_path / "run.h5") == format_of(tmp_path / "map.h5") == (FORMAT, True)


def test_unfinished_runs_say_it_too(tmp_path):
    with pytest.raises(mpipar.RunFailed):
        mpipar.run(failing, output=tmp_path / "run.h5")
    assert format_of(tmp_path / "run.h5") == (FORMAT, False)


def test_the_policy_has_the_numbers_of_today():
    assert re.search(r"`mpipar_format` \| (\d+) \|", POLICY)[1] == str(FORMAT)
    assert re.search(r"`script_format` \| (\d+) \|", POLICY)[1] == str(task_tables.FORMAT)
    scripts = re.search(r"`(mpipar-t)`, `(mpipar-p)`; `format` in the log \| (\d+)", POLICY)
    assert scripts.groups() == (
        task_log._MARK.decode(),
        pickled_outcomes._MARK.decode(),
        str(task_log.FORMAT),
    )
    marks = re.search(r"first bytes: `([\w-]+)`, `([\w-]+)`", POLICY)
    assert set(marks.groups()) == {checkpoint._MARK.decode(), row_records._ROWS.decode()}
