import json
import threading
import time

import pytest

from mpipar.runtime import journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pi-1.journal"


def test_events_come_back_in_order_with_their_details_and_times(path):
    before = time.time()
    journal.append(path, journal.ALLOCATION, nodes=("n1", "n2"), done=None)
    journal.append(path, journal.STARTED, ranks=2)
    first, second = journal.read(path)
    assert (first["event"], first["nodes"], first["done"]) == ("allocation", ["n1", "n2"], None)
    assert (second["event"], second["ranks"]) == ("started", 2)
    assert before <= first["time"] <= second["time"] <= time.time()


def test_an_event_is_one_line_whatever_is_in_it(path):
    journal.append(path, "next", reason='a\nb"c\u2028é\x00\udcff')
    journal.append(path, "next", reason="d")
    assert path.read_bytes().count(b"\n") == 2
    assert [event["reason"] for event in journal.read(path)] == ['a\nb"c\u2028é\x00\udcff', "d"]


def test_details_may_have_any_names(path):
    journal.append(path, "next", path="x", name="y")
    assert journal.read(path)[0]["path"] == "x"


@pytest.mark.parametrize(
    "line",
    [
        b'{"event": "started", "ti',
        b"",
        b"[]",
        b"3",
        b"null",
        b'"event"',
        b'{"event": 3}',
        b"{}",
        b"\xff\xfe\x00",
        b"NaN",
    ],
)
def test_lines_that_are_not_whole_are_left_out(path, line):
    journal.append(path, "started", ranks=2)
    with path.open("ab") as file:
        file.write(line + b"\n")
    journal.append(path, "ended", code=0)
    assert [event["event"] for event in journal.read(path)] == ["started", "ended"]


def test_a_line_that_is_being_written_is_not_there_yet(path):
    journal.append(path, "started")
    whole = json.dumps({"event": "ended", "code": 0}).encode()
    for count in range(1, len(whole)):
        path.write_bytes(b'{"event": "started"}\n' + whole[:count])
        assert len(journal.read(path)) == 1


def test_nested_deeply_is_left_out(path):
    path.write_text("[" * 100_000 + '\n{"event": "started"}\n')
    assert [event["event"] for event in journal.read(path)] == ["started"]


def test_a_file_that_is_not_there_has_none(path, tmp_path):
    assert journal.read(path) == []
    assert journal.read(tmp_path) == []


def test_what_cannot_be_written_is_no_harm(tmp_path):
    journal.append(tmp_path / "no/folder/x", "started")
    journal.append(tmp_path, "started")
    journal.append(tmp_path / ("a" * 300), "started")
    assert list(tmp_path.iterdir()) == []


def test_a_process_tells_only_if_it_is_part_of_a_job(path, monkeypatch):
    monkeypatch.delenv(journal.VARIABLE, raising=False)
    journal.tell("started")
    assert not path.exists()
    monkeypatch.setenv(journal.VARIABLE, "")
    journal.tell("started")
    monkeypatch.setenv(journal.VARIABLE, str(path))
    journal.tell("started", ranks=3)
    assert [event["ranks"] for event in journal.read(path)] == [3]


def test_lines_of_several_writers_do_not_mix(path):
    def write(number: int) -> None:
        for _ in range(50):
            journal.append(path, "next", number=number, text=str(number) * 500)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = journal.read(path)
    assert len(events) == 200
    assert all(event["text"] == str(event["number"]) * 500 for event in events)
