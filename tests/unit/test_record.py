import os
from dataclasses import asdict
from pathlib import Path

import pytest
from conftest import without_privileges

from mpipar import BadInput
from mpipar.batch import record
from mpipar.batch.record import Submission


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch) -> Path:
    """Be a user who has submitted nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state/mpipar/jobs.jsonl"


def made(folder: Path, number: str = "12", cluster: str = "", **more) -> Submission:
    folder.mkdir(exist_ok=True)
    values = {
        "id": number,
        "name": "pi",
        "cluster": cluster,
        "folder": str(folder),
        "outputs": {"": f"{folder}/pi.h5"},
        "tasks": "",
        "command": ["sbatch", "a b"],
        "overrides": ["x=1"],
        "time": 3.5,
        **more,
    }
    return Submission(**values)


def test_what_is_put_on_record_is_found_by_folder_and_by_number(tmp_path):
    one, two = made(tmp_path / "a"), made(tmp_path / "a", "13", time=4.5)
    record.add(one)
    record.add(two)
    assert record.of_folder(tmp_path / "a") == [one, two]
    assert record.of_id("12", "") == one
    assert record.of_id("13", "") == two
    assert record.of_id("14", "") is None
    assert record.find("12", "") == record.find("12_3", "") == [one]
    assert record.find(str(tmp_path / "a"), "") == [one, two]
    assert record.known("") == [two]


def test_any_text_comes_back(tmp_path):
    odd = made(tmp_path / "a\nb é\udcff", command=["$(x)\n'\"", "\x00"], overrides=["\u2028"])
    record.add(odd)
    assert record.of_folder(Path(odd.folder)) == [odd]
    assert record.of_id("12", "") == odd


def test_files_are_named_by_job_and_task(tmp_path):
    one = made(tmp_path / "a")
    assert one.log() == tmp_path / "a/pi-12.out"
    assert one.journal() == tmp_path / "a/pi-12.journal"
    assert one.log("3") == tmp_path / "a/pi-12_3.out"
    assert one.journal("3") == tmp_path / "a/pi-12_3.journal"


def test_clusters_have_numbers_of_their_own(tmp_path):
    here, there = made(tmp_path / "a"), made(tmp_path / "b", cluster="/other/slurm.conf")
    record.add(here)
    record.add(there)
    assert record.of_id("12", "") == here
    assert record.of_id("12", "/other/slurm.conf") == there
    assert record.known("") == [here]
    with pytest.raises(BadInput, match="no job 12 was submitted by mpipar from here"):
        record.find("12", "/a/third")


def test_a_cluster_whose_name_is_not_known_may_be_any(tmp_path):
    here, there = made(tmp_path / "a", cluster="here"), made(tmp_path / "b", cluster="there")
    for one in (here, there):
        record.add(one)
    assert record.known("here") == [here]
    assert record.known("") == record.known("/etc/slurm.conf") == [here, there]
    record.add(unknown := made(tmp_path / "c"))
    assert record.known("here") == [here, unknown]
    assert record.of_id("12", "here") == here
    assert record.of_id("12", "third") == unknown


def test_a_folder_that_two_clusters_share(tmp_path):
    here, there = made(tmp_path / "a", cluster="here"), made(tmp_path / "a", "13", cluster="there")
    for one in (here, there):
        record.add(one)
    assert record.known("here") == [here]
    assert record.known("there") == [there]


def test_the_latest_of_those_with_one_number_counts(tmp_path):
    # A cluster that was set up anew counts from 1 again.
    record.add(made(tmp_path / "a"))
    record.add(made(tmp_path / "b"))
    assert record.of_id("12", "").folder == str(tmp_path / "b")


def test_folders_that_are_gone_are_not_known_any_more(tmp_path):
    for name in "abc":
        record.add(made(tmp_path / name, name))
    record.add(made(tmp_path / "a", "d"))
    (tmp_path / "b/submissions.jsonl").unlink()
    assert [one.id for one in record.known("")] == ["c", "d"]
    assert [one.id for one in record.removed("")] == ["b"]


@pytest.mark.parametrize(
    "name", ["12", "12_1", "no/folder", "", ".", "\0", "x" * 5000, "é", "$(touch canary)"]
)
def test_what_was_never_submitted_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        BadInput, match=r"no job 12 was submitted|expected the number of a job or its folder"
    ):
        record.find(name, "")


def test_a_folder_may_be_named_by_a_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = made(tmp_path / "7")
    record.add(one)
    assert record.find("7", "") == [one]


def test_lines_that_are_not_whole_or_of_another_version_are_left_out(tmp_path, state):
    one = made(tmp_path / "a")
    record.add(one)
    for path in (tmp_path / "a/submissions.jsonl", state):
        with path.open("ab") as file:
            file.write(b'{"id": "13"}\n[]\n3\nnull\n{\n\xff\xfe\n\n"id"\n')
    record.add(two := made(tmp_path / "a", "14"))
    assert record.of_folder(tmp_path / "a") == [one, two]
    assert record.known("") == [two]
    text = (tmp_path / "a/submissions.jsonl").read_text(errors="replace")
    (tmp_path / "a/submissions.jsonl").write_text(
        text.replace('"id"', '"of_a_later_version": {}, "id"')
    )
    assert record.of_folder(tmp_path / "a") == [one, two], "more keys are no harm"
    assert asdict(one) == asdict(record.of_folder(tmp_path / "a")[0])


def test_a_home_that_cannot_be_written_to_is_no_harm(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir(mode=0o555)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "closed"))
    one = made(tmp_path / "a")
    os.chmod(tmp_path / "a", 0o777)
    for parent in (tmp_path, *tmp_path.parents[:3]):
        if parent.stat().st_uid == os.geteuid():
            os.chmod(parent, parent.stat().st_mode | 0o055)
    with without_privileges():
        record.add(one)
    assert record.of_folder(tmp_path / "a") == [one]
    assert record.of_id("12", "") is None
