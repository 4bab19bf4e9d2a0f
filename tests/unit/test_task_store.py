"""Outcomes of a script's tasks on the disk: what was committed comes back, whatever happens in
between; what is damaged is refused in one line or isn't there, and is never another outcome.
"""

import contextlib
import errno
import hashlib
import os
import random
import resource
import shutil
import signal
import stat
import time
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from mpipar import BadInput
from mpipar.pool.known import Known
from mpipar.pool.memory import Memory
from mpipar.store import pickled_outcomes, task_tables
from mpipar.store.outcome_blocks import packed, unpacked
from mpipar.store.outcome_codec import ABSENT
from mpipar.store.progress import progress
from mpipar.store.record_file import RecordFile
from mpipar.store.seal import seal
from mpipar.store.stored_calls import DIGEST, EARLIER, ELSEWHERE, StoredCall
from mpipar.store.task_file import Span, TaskStore
from mpipar.store.task_log import TaskLog, read_log

EXAMPLE = Path(__file__).with_name("script_format_1")
MAP, ONE = b"m" * DIGEST, b"s" * DIGEST
ABOUT = {"script": "script.py", "arguments": ["-x"], "hosts": ["here"]}
SECONDS = 60  # a child that is to be killed ends by itself after so long


def outcome(index):
    """Return what a task comes to: of several types."""
    kinds = [float(index), index, f"text {index}", {"a": [index]}, np.arange(index % 5), None]
    return kinds[index // 10 % len(kinds)]


def digest(index):
    return hashlib.blake2b(b"%d" % index, digest_size=DIGEST).digest()


def opened(path, **options):
    return TaskStore(path, about=ABOUT, **options)


def begin_map(store, tasks):
    blocks = [digest(-1 - block) for block in range(-(-tasks // 4096))]
    return store.begin_call(MAP, "map", blocks, b"".join(map(digest, range(tasks))))


def span(worker=0, end=100.0):
    return Span(0, worker, end, 0.5)


def keep(store, call, indices, *, digests=False):
    given = [digest(index) for index in indices] if digests else None
    return store.append(call, indices, given, [outcome(index) for index in indices], span())


def known(path, **options):
    """Return {(function, digest): outcome} of all that a resumed run would know."""
    store = opened(path, resume=True, **options)
    found = {}
    for call in store.calls:
        digests = task_tables.digests_in(call.item_digests)
        for one, value in zip(digests, call.values(), strict=True):
            if value is not ABSENT:
                found[call.function, one] = value
    store.stop("looked")
    return found


def is_right(found, function, tasks):
    """Return how many outcomes of a function are there, and that none is another."""
    count = 0
    for index in range(tasks):
        value = found.pop((function, digest(index)), ABSENT)
        if value is not ABSENT:
            count += 1
            assert repr(value) == repr(outcome(index))
    return count


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


def test_what_was_kept_comes_back_after_the_end_and_a_stop(path):
    store = opened(path)
    call = begin_map(store, 100)
    keep(store, call, range(50))
    keep(store, call, [70, 60, 99])
    single = store.begin_call(ONE, "single", [], b"")
    keep(store, single, range(3), digests=True)
    store.finish()
    assert [entry.name for entry in path.parent.iterdir()] == ["run.h5"]
    store = opened(path, resume=True)
    one, other = store.calls
    assert (one.number, one.function, one.name, one.tasks, one.done) == (0, MAP, "map", 100, 53)
    assert one.block_digests == [digest(-1)]
    assert (other.number, other.block_digests, other.tasks) == (1, [], 3)
    keep(store, one.number, [51])
    keep(store, other.number, range(3, 5), digests=True)
    keep(store, begin_map(store, 10), range(10))
    store.stop("SIGTERM")
    found = known(path)
    assert is_right(dict(found), MAP, 100) == 54
    assert is_right(found, ONE, 5) == 5
    store = opened(path, resume=True)
    assert [call.tasks for call in store.calls] == [100, 5, 10]
    store.finish()
    assert task_tables.read(path).finished


def test_who_did_what_is_there_and_times_are_those_of_the_last_run(path):
    store = opened(path)
    begin = store._begin
    call = begin_map(store, 8)
    store.append(call, range(4), None, [1] * 4, span(worker=1, end=begin + 2))
    store.append(call, range(4, 6), None, [1] * 2, span(worker=0, end=begin + 3))
    store.append(call, range(6, 7), None, [1], None)
    store.finish()
    tasks = task_tables.read(path)
    assert tasks.workers.tolist() == [(0, 1, 4, 0.5, 0.125), (0, 0, 2, 0.5, 0.25)]
    assert np.allclose(tasks.timeline["begin"], [1.5, 2.5])
    assert tasks.timeline["first"].tolist() == [0, 4]
    assert tasks.calls[0].row_workers.tolist() == [0, 0, 0, 0, 1, 1, ELSEWHERE]
    assert (tasks.calls[0].busy, tasks.calls[0].known) == (1.0, 1)
    store = opened(path, resume=True)
    keep(store, 0, [7])
    store.finish()
    [call] = task_tables.read(path).calls
    assert call.row_workers.tolist() == [*[EARLIER] * 6, ELSEWHERE, 0]


def test_a_run_that_has_nothing_to_do_leaves_what_the_last_one_told(path):
    store = opened(path)
    keep(store, begin_map(store, 5), range(5))
    store.stop("enough")
    before = task_tables.read(path)
    opened(path, resume=True).finish()
    after = task_tables.read(path)
    assert after.finished
    assert after.workers.tolist() == before.workers.tolist()
    assert after.timeline.tolist() == before.timeline.tolist()
    assert after.calls[0].row_workers.tolist() == [0] * 5
    assert [after.about[key] for key in ("begin", "end")] == [
        before.about[key] for key in ("begin", "end")
    ]
    content = path.read_bytes()
    opened(path, resume=True).finish()
    assert path.read_bytes() == content
    assert [entry.name for entry in path.parent.iterdir()] == ["run.h5"]


def test_who_did_what_before_a_kill_is_told_if_nothing_follows(tmp_path):
    path, _ = interrupted(tmp_path)
    opened(path, resume=True).finish()
    tasks = task_tables.read(path)
    assert tasks.workers["tasks"].tolist() == [66]
    assert set(tasks.calls[0].row_workers.tolist()) == {0}


def test_what_another_file_has_is_known_and_that_is_only_read(path, tmp_path):
    store = opened(path)
    keep(store, begin_map(store, 5), range(5))
    store.finish()
    before = path.read_bytes()
    for output in (tmp_path / "other.h5", None):
        store = opened(output, known=[path, path])
        assert [call.number for call in store.calls] == [None], "named twice, read once"
        assert store.is_kept == (output is not None)
        assert store.append(begin_map(store, 1), [0], None, [1.0], None) == set()
        store.commit()
        store.finish()
    assert path.read_bytes() == before


def times_given(store):
    """Return how often the outcome of each of five tasks is given."""
    tasks = Known(store.calls).of(MAP)
    counts = []
    for index in range(5):
        count = 0
        while tasks.item(digest(index)) is not None:
            count += 1
        counts.append(count)
    return counts


@pytest.mark.parametrize("is_older", [True, False])
def test_files_of_older_fingerprints_are_told(is_older, path, capfd):
    store = opened(path)
    keep(store, begin_map(store, 2), range(2))
    store.finish()
    memory = Memory(opened(None, known=[EXAMPLE / "run.h5" if is_older else path]), 60)
    memory.count(100, 0, is_met=False)
    reason = (
        "the file is of an older mpipar" if is_older else "functions differ from the run before"
    )
    assert capfd.readouterr().err == f"mpipar run: no task was known: {reason}\n"


def test_a_call_is_given_as_a_whole_and_once(path):
    store = opened(path)
    keep(store, begin_map(store, 5), range(5))
    keep(store, begin_map(store, 5), [0, 1, 3])
    store.finish()
    calls = opened(None, known=[path]).calls
    blocks = calls[0].block_digests
    tasks = Known(calls).of(MAP)
    assert tasks.item(digest(2)) is not None
    assert tasks.whole(blocks, 5) is None, "neither call has all that is to be given"
    tasks = Known(calls).of(MAP)
    assert tasks.whole(blocks, 4) is None, "as many tasks"
    outcomes, stored = tasks.whole(blocks, 5)
    assert outcomes == [outcome(index) for index in range(5)]
    assert stored.call is calls[0]
    assert tasks.whole(blocks, 5) is None
    given = [tasks.item(digest(index)) for index in range(5)]
    assert [each is not None for each in given] == [True, True, False, True, False]


def test_an_outcome_that_is_in_several_files_is_given_once(path, tmp_path):
    store = opened(path)
    keep(store, begin_map(store, 5), range(3))
    store.finish()
    other, third = tmp_path / "other.h5", tmp_path / "third.h5"
    store = opened(other, known=[path])
    assert times_given(store) == [1, 1, 1, 0, 0]
    call = begin_map(store, 5)
    store.append(call, [0, 1], None, [outcome(0), outcome(1)], None)
    keep(store, call, [2, 3])
    store.stop("enough")
    store = opened(third, known=[other])
    store.append(begin_map(store, 5), [0, 3], None, [outcome(0), outcome(3)], None)
    store.finish()
    for files in ([path, other], [other, path], [path, other, third], [third, other, path]):
        assert times_given(opened(None, known=files)) == [1, 1, 2, int(other in files), 0]
    store = opened(other, resume=True, known=[path, other, third])
    assert times_given(store) == [1, 1, 2, 1, 0]
    store.stop("looked")


def test_only_resume_goes_on_and_a_finished_file_is_replaced_in_the_end(path):
    store = opened(path)
    keep(store, begin_map(store, 5), range(5))
    store.stop("enough")
    with pytest.raises(BadInput, match="unfinished run: --resume goes on with it"):
        opened(path)
    store = opened(path, resume=True)
    store.finish()
    store = opened(path)
    store._leave()  # nothing was kept: it hadn't been begun
    assert task_tables.read(path).finished
    assert [entry.name for entry in path.parent.iterdir()] == ["run.h5"]
    store = opened(path)
    keep(store, begin_map(store, 1), [0])
    store.finish()
    assert is_right(known(path), MAP, 5) == 1


@pytest.mark.parametrize("has_links", [True, False])
def test_a_finished_file_is_there_until_there_is_a_new_one(path, monkeypatch, has_links):
    store = opened(path)
    keep(store, begin_map(store, 5), range(5))
    store.finish()
    before = path.read_bytes()
    if not has_links:
        monkeypatch.setattr(os, "link", lambda *_: os.open("/proc/none", os.O_RDONLY))
    store = opened(path)
    keep(store, begin_map(store, 1), [0])
    assert Path(f"{path}.previous").read_bytes() == before
    store.stop("enough")
    assert Path(f"{path}.previous").read_bytes() == before
    path.unlink()  # as the message says that one may
    store = opened(path)
    store._leave()
    assert not path.exists(), "there was none"
    assert Path(f"{path}.previous").read_bytes() == before


def test_how_far_a_script_is_says_whether_all_of_it_was_read(path):
    store = opened(path)
    keep(store, begin_map(store, 5), range(3))
    store.commit()
    found = progress(path)
    assert (found.done, found.n_blocks, found.unit, found.whole) == (3, 5, "tasks", True)
    assert not found.finished
    [log] = Path(f"{path}.parts").glob("tasks-*.log")
    log.unlink()
    log.mkdir()  # what can't be read
    found = progress(path)
    assert (found.done, found.whole) == (0, False)


def test_two_runs_cant_have_one_file(path, monkeypatch):
    monkeypatch.setattr("mpipar.store.output_folder._LOCK_PATIENCE", 0.0)
    store = opened(path)
    keep(store, begin_map(store, 5), range(5))
    with pytest.raises(BadInput, match=f"another run is writing to it .process {os.getpid()}"):
        opened(path, resume=True)
    with pytest.raises(BadInput, match="another run is writing to it"):
        opened(path)
    store.finish()
    assert is_right(known(path), MAP, 5) == 5


@pytest.mark.parametrize("content", [b"text", b""])
def test_other_files_are_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(BadInput, match="is not a result of mpipar; it stays untouched"):
        opened(path, resume=True)
    assert path.read_bytes() == content
    with pytest.raises(BadInput, match="not an HDF5 file"):
        opened(None, known=[path])
    with pytest.raises(BadInput, match="there is no file"):
        opened(None, known=[path.with_name("none.h5")])
    with pytest.raises(BadInput, match="there is no folder"):
        opened(path / "no" / "run.h5")


def test_a_result_of_a_driver_is_no_scripts(path):
    with h5py.File(path, "w") as file:
        file.attrs["mpipar_format"] = 2
    with pytest.raises(BadInput, match="no seal"):
        opened(path, resume=True)


# Damage.


def interrupted(folder):
    """Leave what a run leaves that is killed, and return its log and how many records it has."""
    path = folder / "run.h5"
    store = opened(path)
    call = begin_map(store, 60)
    for start in range(0, 60, 4):
        keep(store, call, range(start, start + 4))
    single = store.begin_call(ONE, "single", [], b"")
    for index in range(6):
        keep(store, single, [index], digests=True)
    store.commit()
    os.close(store._lock)
    store._lock = -1
    store._log.close()
    [log] = Path(f"{path}.parts").glob("tasks-*.log")
    return path, log


def damaged(source, folder, what, content):
    """Return a copy of what a run has left, with one file of another content."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    (folder / what).write_bytes(content)
    return folder / "run.h5"


def counts(path):
    """Return how many outcomes are known of a damaged output, all right, or None if refused."""
    problem = ""
    try:
        found = known(path)
    except BadInput as error:
        problem = str(error)
    if problem:
        assert "\n" not in problem
        assert len(problem) < 400
        return None
    count = is_right(found, MAP, 60) + is_right(found, ONE, 6)
    assert found == {}, "there are outcomes of tasks that there never were"
    return count


def test_a_log_that_was_cut_anywhere_has_what_was_whole_before(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    _, log = interrupted(source)
    whole, name = log.read_bytes(), str(log.relative_to(source))
    shutil.copytree(source, tmp_path / "all")
    assert counts(tmp_path / "all" / "run.h5") == 66
    ends = sorted(random.Random(1).sample(range(len(whole)), 6))
    found = [counts(damaged(source, tmp_path / "copy", name, whole[:end])) for end in ends]
    assert found == sorted(found)
    assert found[-1] > 30


def test_a_log_ends_where_its_first_damage_is_at_any_byte(path):
    log = TaskLog(path, "run", 0.0)
    call = StoredCall(0, MAP, "map", [digest(-1)], b"".join(map(digest, range(3))))
    log.begin_call(call)
    for index in range(3):
        log.append(0, [index], None, packed([outcome(index)])[0], span())
    log.close()
    whole = path.read_bytes()
    before = 0
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        cut = tasks_in(path)
        assert cut in (before, before + 1)
        before = cut
        if end % 4 == 0:
            path.write_bytes(whole[:end] + bytes([whole[end] ^ 255]) + whole[end + 1 :])
            assert tasks_in(path) <= cut
    assert before == 2


def tasks_in(path):
    logged = read_log(path, [])
    if logged is None or not logged.calls:
        return 0
    values = logged.calls[0].values()
    expected = [outcome(index) for index in range(3)]
    right = [one == other for one, other in zip(values, expected, strict=True) if one is not ABSENT]
    assert all(right)
    return len(right)


def flipped(content, chance):
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 20])):
        data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
    return bytes(data)


@pytest.mark.parametrize("files", [12, pytest.param(300, marks=pytest.mark.campaign)])
def test_flipped_bytes_never_make_another_outcome(tmp_path, files):
    chance = random.Random(files)
    source, ended = tmp_path / "source", tmp_path / "ended"
    for folder in (source, ended):
        folder.mkdir()
        path, log = interrupted(folder)
    opened(path, resume=True).finish()
    outcomes = []
    for _ in range(files):
        name = str(log.relative_to(ended))
        content = (source / name).read_bytes()
        outcomes.append(counts(damaged(source, tmp_path / "copy", name, flipped(content, chance))))
        content = path.read_bytes()
        outcomes.append(
            counts(damaged(ended, tmp_path / "copy", "run.h5", flipped(content, chance)))
        )
        cut = content[: chance.randrange(len(content))]
        outcomes.append(counts(damaged(ended, tmp_path / "copy", "run.h5", cut)))
        assert outcomes[-1] in (None, 66)
    assert {None} < set(outcomes), "some are refused, of some a part is known"


def test_pieces_that_are_damaged_are_not_there(path):
    store = opened(path)
    keep(store, begin_map(store, 60), range(60))
    store.finish()
    tasks = task_tables.read(path)
    piece = tasks.calls[0].pieces[0]
    tasks.calls[0].pieces[0] = piece._replace(data=flipped(piece.data, random.Random(1)))
    assert tasks.calls[0].values() == [ABSENT] * 60


# Hostile files.


def changed(path, change):
    """Change a file by h5py, and put a right seal on it."""
    with h5py.File(path, "r+") as file:
        change(file)
    seal(path)


def put(name, data):
    def change(file):
        del file[name]
        file[name] = data

    return change


def table(name, column, value):
    def change(file):
        rows = file[name][...]
        rows[column] = value
        put(name, rows)(file)

    return change


def huge(file):
    del file["outcomes"]
    file.create_dataset("outcomes", (2**50,), "u1", chunks=(2**20,), compression="gzip")


def outside(file):
    del file["outcomes"]
    file["outcomes"] = h5py.ExternalLink("/etc/passwd", "/outcomes")


def external(file):
    del file["outcomes"]
    file.create_dataset("outcomes", (100,), "u1", external=[("/etc/passwd", 0, 100)])


def virtual(file):
    del file["outcomes"]
    layout = h5py.VirtualLayout((100,), "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (100,))
    file.create_virtual_dataset("outcomes", layout)


def reserved(file):
    del file["outcomes"]
    file.create_dataset("outcomes", (2**40,), "u1")


HOSTILE = [
    huge,
    outside,
    external,
    virtual,
    reserved,
    put("outcomes", np.array([b"a"], object)),
    put("outcomes", np.zeros(5, "f8")),
    put("digests", np.zeros((60, 8), "u1")),
    put("indices", np.full(60, 2**60)),
    put("indices", np.full(60, -1)),
    put("indices", np.arange(10)),
    put("about", np.frombuffer(b"[" * 10**5, "u1")),
    put("about", np.frombuffer(b"[1]", "u1")),
    put("functions", np.frombuffer(b'[["zz", "f"]]', "u1")),
    put("functions", np.frombuffer(b"[]", "u1")),
    put("calls", np.zeros(1)),
    table("calls", "items", 2**60),
    table("calls", "outcomes", -1),
    table("calls", "pieces", 2**60),
    table("pieces", "bytes", 2**60),
    table("pieces", "outcomes", 2**60),
    lambda file: file.attrs.__setitem__("script_format", 99),
    lambda file: file.attrs.__setitem__("script_format", np.bytes_(b"x")),
    lambda file: file.attrs.__delitem__("finished"),
]


@pytest.mark.parametrize("change", HOSTILE, ids=range(len(HOSTILE)))
def test_what_cant_be_is_refused_in_one_line_at_once(path, change):
    store = opened(path)
    keep(store, begin_map(store, 60), range(60))
    store.finish()
    changed(path, change)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadInput) as refused:
        opened(path, resume=True)
    assert "\n" not in str(refused.value)
    with pytest.raises(BadInput):
        opened(None, known=[path])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**18  # KiB


@pytest.mark.parametrize(
    "records",
    [
        [b'R{"format": 99, "run": "", "begin": 0}'],
        [b"R[]"],
        [b"R" + b"[" * 10**5],
        [None, b"X"],
        [None, b"C" + bytes(8)],
        [None, b"C" + b"\xff" * 8 + b"{}"],
        [None, b"T"],
        [None, b"T" + bytes(30)],
        [None, b"T" + b"\0\0\0\0" + b"\xff\xff\xff\xff" + bytes(40)],
        [None, b"Wx"],
    ],
)
def test_logs_that_cant_be_are_refused_in_one_line(path, records):
    store = opened(path)
    keep(store, begin_map(store, 4), range(4))
    store.stop("enough")
    run, number = (task_tables.read(path).about[key] for key in ("run", "log"))
    folder = Path(f"{path}.parts")
    folder.mkdir()
    log = RecordFile(folder / f"tasks-{number}.log", b"mpipar-t")
    for record in records:
        log.append(record or b'R{"format": 1, "run": "%b", "begin": 0}' % run.encode())
    log.close()
    with pytest.raises(BadInput, match=r"resume: .*(damaged|format|can't be|has a record)"):
        opened(path, resume=True)


# Kills, and full disks.


def work(path, pipe):
    """Keep outcomes and commit them, and tell how many, until somebody ends this."""
    store = opened(path, resume=path.exists())
    done = {call.function: call.done for call in store.calls}.get(MAP, 0)
    call = 0
    if not store.calls:
        call = begin_map(store, 3000)
    for index in range(done, 3000):
        keep(store, call, [index])
        if index % 7 == 0:
            store.commit()
            os.write(pipe, b"%d\n" % (index + 1))
    store.finish()


@pytest.mark.parametrize("kills", [6, pytest.param(100, marks=pytest.mark.campaign)])
def test_all_that_was_committed_is_there_after_a_kill(path, kills):
    chance = random.Random(kills)
    committed = 0
    for _ in range(kills):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                signal.alarm(SECONDS)
                work(path, writing)
            os._exit(0)
        os.close(writing)
        lines = 0
        with open(reading) as pipe:
            for line in pipe:
                committed = int(line)
                lines += 1
                if lines > chance.randrange(60):
                    break
            os.kill(child, signal.SIGKILL)
            for line in pipe:  # it was faster than the signal
                if line.endswith("\n"):
                    committed = int(line)
        os.waitpid(child, 0)
        count = is_right(known(path), MAP, 3000)
        assert count >= committed


def test_a_full_disk_is_an_error_and_what_was_committed_stays(path):
    store = opened(path)
    call = begin_map(store, 100)
    keep(store, call, range(50))
    store.commit()
    room = sum(entry.stat().st_size for entry in Path(f"{path}.parts").glob("*.log")) + 100
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        with pytest.raises(OSError, match="File too large"):
            store.append(call, [50], None, ["x" * 1000], span())
        keep(store, call, [51])  # this is shorter, and there is room
        with pytest.raises(OSError, match="File too large"):
            store.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    found = known(path)
    assert is_right(found, MAP, 100) == 51


def test_a_log_that_cant_be_flushed_is_followed_by_another(path, monkeypatch):
    store = opened(path)
    call = begin_map(store, 100)
    keep(store, call, range(50))
    store.commit()
    size = (Path(f"{path}.parts") / "tasks-0.log").stat().st_size
    lost = store.begin_call(ONE, "lost", [], b"")
    keep(store, lost, range(2), digests=True)
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", Failing())
    with pytest.raises(OSError, match="I/O"):
        store.commit()
    monkeypatch.setattr(os, "fsync", fsync)
    keep(store, call, range(50, 60))
    keep(store, lost, range(2, 4), digests=True)
    other = store.begin_call(ONE, "other", [], b"")
    keep(store, other, range(4, 5), digests=True)
    store.commit()
    shutil.copytree(path.parent, path.parent / "copy")
    store.finish()
    found = known(path)
    assert is_right(found, MAP, 100) == 60
    assert is_right(found, ONE, 5) == 5
    log = path.parent / "copy" / "run.h5.parts" / "tasks-0.log"
    log.write_bytes(log.read_bytes()[:size])  # the node went down, and all of the call with it
    found = known(path.parent / "copy" / "run.h5")
    assert is_right(found, MAP, 100) == 60
    assert is_right(found, ONE, 5) == 1


class Failing:
    def __call__(self, file):
        raise OSError(errno.EIO, "I/O error")


def test_a_log_that_was_cut_before_its_first_record_is_begun_again(path):
    store = opened(path)
    keep(store, begin_map(store, 5), range(5))
    store.stop("enough")
    folder = Path(f"{path}.parts")
    folder.mkdir()
    (folder / "tasks-1.log").write_bytes(b"mpipar-t")
    store = opened(path, resume=True)
    keep(store, begin_map(store, 7), range(7))
    store.finish()
    assert [call.done for call in task_tables.read(path).calls] == [5, 7]


# What takes pickle.


class Unusual:
    def __init__(self, x):
        self.x = x

    def __reduce__(self):
        return Unusual, (self.x,)


class Hostile:
    def __reduce__(self):
        return os.system, ("touch /tmp/mpipar-was-here",)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "mpipar"


def pickled_run(path, *values, keep_pickled=True):
    store = opened(path, keep_pickled=keep_pickled)
    call = begin_map(store, len(values))
    unkept = store.append(call, range(len(values)), None, values, span())
    store.finish()
    return unkept


def values(path, **options):
    store = opened(path, resume=True, **options)
    found = [call.values() for call in store.calls]
    store._leave()
    return found


def test_what_takes_pickle_is_kept_only_when_asked_for_in_a_file_of_the_users_own(path, home):
    assert pickled_run(path, 1, Unusual(2), keep_pickled=False) == {Unusual}
    assert values(path) == [[1, ABSENT]]
    assert pickled_run(path, 1, Unusual(2), lambda: 0, "a") == {type(lambda: 0)}
    [[one, two, three, four]] = values(path, keep_pickled=True)
    assert (one, two.x, three, four) == (1, 2, ABSENT, "a")
    [[_, two, *_]] = values(path)
    assert two is ABSENT
    for file in (Path(f"{path}.pickled"), home / "key"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store = opened(path, resume=True, keep_pickled=True)
    call = store.begin_call(ONE, "one", [], b"")
    store.append(call, [0], [digest(0)], [Unusual(5)], span())
    store.stop("again")
    [[_, two, *_], [five]] = values(path, keep_pickled=True)
    assert (two.x, five.x) == (2, 5)
    [first, _] = opened(None, known=[path], keep_pickled=True).calls
    assert first.values()[1].x == 2


@pytest.mark.parametrize("is_asked_for", [True, False])
def test_pickled_outcomes_of_tasks_that_a_log_has_lost_are_never_those_of_others(
    is_asked_for, path, home
):
    store = opened(path, keep_pickled=True)
    store.begin_call(MAP, "one", [], b"")
    call = store.begin_call(ONE, "two", [], b"")
    store.append(call, [0, 1], [digest(0), digest(1)], [Unusual(1), Unusual(2)], span())
    store.commit()
    os.close(store._lock)  # the node goes down, and the end of the log with it
    [log] = Path(f"{path}.parts").glob("tasks-*.log")
    whole = log.read_bytes()
    log.write_bytes(whole[: whole.index(b"two")])
    store = opened(path, resume=True, keep_pickled=is_asked_for)
    assert [call.values() for call in store.calls] == [[]]
    call = begin_map(store, 2)  # another one, with the number of the one that was lost
    store.commit()
    os.close(store._lock)
    [_, found] = values(path, keep_pickled=True)
    assert found == [ABSENT] * 2


def test_a_known_file_may_lack_tasks_whose_pickled_outcomes_are_there(path, home, tmp_path):
    other = tmp_path / "other.h5"
    pickled_run(path, 1, Unusual(2))
    shutil.copy2(path, other)
    store = opened(path, resume=True, keep_pickled=True)
    call = store.begin_call(ONE, "one", [], b"")
    store.append(call, [0], [digest(0)], [Unusual(5)], span())
    store.stop("again")
    shutil.copy2(
        f"{path}.pickled", f"{other}.pickled"
    )  # as after a kill before the file is written
    [found] = [call.values() for call in opened(None, known=[other], keep_pickled=True).calls]
    assert (found[0], found[1].x) == (1, 2)


def test_pickled_outcomes_stay_until_there_are_new_ones(path, home):
    pickled_run(path, Unusual(1))
    opened(path, keep_pickled=True)._leave()  # a run that has noted nothing
    [[value]] = values(path, keep_pickled=True)
    assert value.x == 1
    aside = Path(f"{path}.previous")
    store = opened(path)
    keep(store, begin_map(store, 1), [0])
    store.stop("enough")
    [call] = opened(None, known=[aside], keep_pickled=True).calls
    assert call.values()[0].x == 1
    opened(path, resume=True, keep_pickled=True).finish()
    assert sorted(entry.name for entry in path.parent.glob("run*")) == ["run.h5"]


CHANGING = ("link", "pwrite", "replace", "unlink")


def killed_at(path, count):
    """Begin a run in another process, which is killed instead of so many changes of files and one
    more; return whether it was.
    """
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    left = iter(range(count))

    def counted(change):
        def changed(*arguments, **named):
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments, **named)

        return changed

    for name in CHANGING:
        setattr(os, name, counted(getattr(os, name)))
    with contextlib.suppress(BaseException):
        opened(path, keep_pickled=True)._leave()
    os._exit(0)


@pytest.mark.parametrize("has_links", [True, False])
def test_a_run_that_is_killed_as_it_begins_loses_nothing_of_the_one_before(
    has_links, path, home, monkeypatch
):
    pickled_run(path, 1, Unusual(2))
    if not has_links:
        monkeypatch.setattr(os, "link", lambda *_: os.open("/proc/none", os.O_RDONLY))
    count = 0
    while killed_at(path, count):
        if task_tables.read(path).finished:
            [[one, two]] = values(path, keep_pickled=True)
        else:
            before = Path(f"{path}.previous")
            [call] = opened(None, known=[before], keep_pickled=True).calls
            one, two = call.values()
            for name in ("", ".pickled"):
                os.replace(f"{path}.previous{name}", f"{path}{name}")
        assert (one, two.x) == (1, 2), f"killed at {count}"
        count += 1
    assert count > 8
    assert sorted(entry.name for entry in path.parent.glob("run*")) == ["run.h5", "run.h5.pickled"]


def test_pickled_outcomes_survive_a_kill(path, home):
    store = opened(path, keep_pickled=True)
    store.append(begin_map(store, 1), [0], None, [Unusual(3)], span())
    store.commit()
    os.close(store._lock)
    [[value]] = values(path, keep_pickled=True)
    assert value.x == 3


def test_pickled_outcomes_of_a_killed_run_stay_while_nobody_asks_for_them(path, home):
    store = opened(path, keep_pickled=True)
    store.append(begin_map(store, 1), [0], None, [Unusual(3)], span())
    store.commit()
    os.close(store._lock)
    assert values(path) == [[ABSENT]]
    opened(path, resume=True).finish()
    [[value]] = values(path, keep_pickled=True)
    assert value.x == 3
    assert sorted(entry.name for entry in path.parent.glob("run*")) == ["run.h5", "run.h5.pickled"]


def no_link(path, key):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def another_key(path, key):
    key.write_bytes(bytes(32))


def short_key(path, key):
    key.write_bytes(bytes(31))


def no_key(path, key):
    key.unlink()


def open_key(path, key):
    key.chmod(0o640)


def flip(path, key):
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    data[16:20] = zlib.crc32(data[20:]).to_bytes(4, "little")
    path.write_bytes(data)


def readable(path, key):
    path.chmod(0o644)


def hostile(path, key):
    path.unlink()
    file = RecordFile(path, b"mpipar-p", 0o600)
    data = pickled_outcomes.pickled(Hostile())
    file.append(bytes(32), bytes(12) + data)
    file.close()


@pytest.mark.parametrize(
    "change", [no_link, another_key, short_key, no_key, open_key, flip, readable, hostile]
)
def test_what_others_may_have_written_is_refused_and_not_run(path, home, change):
    pickled_run(path, Unusual(1))
    change(Path(f"{path}.pickled"), home / "key")
    with pytest.raises(BadInput, match=r"^--keep-pickled: [^\n]*$"):
        opened(path, resume=True, keep_pickled=True)
    assert not Path("/tmp/mpipar-was-here").exists()
    assert values(path) == [[ABSENT]], "without the option nobody looks at it"


@pytest.mark.skipif(os.geteuid() != 0, reason="takes the right to give files away")
def test_a_file_of_another_user_is_refused(path, home):
    pickled_run(path, Unusual(1))
    os.chown(f"{path}.pickled", 12345, -1)
    with pytest.raises(BadInput, match="is another user's: nothing is unpickled"):
        opened(path, resume=True, keep_pickled=True)


# The format.


def test_a_file_and_a_log_of_the_first_format_are_read(tmp_path):
    shutil.copytree(EXAMPLE, tmp_path / "copy")
    (tmp_path / "copy" / "parts").rename(tmp_path / "copy" / "run.h5.parts")
    found = known(tmp_path / "copy" / "run.h5")
    assert is_right(found, MAP, 60) == 60
    assert is_right(found, ONE, 6) == 6
    assert found == {}


# What it costs.


def test_a_million_floats_cost_little(path):
    count = 10**6
    outcomes = np.random.default_rng(1).random(count).tolist()
    digests = os.urandom(DIGEST * count)
    began = time.process_time()
    store = opened(path)
    call = store.begin_call(MAP, "map", [digest(block) for block in range(245)], digests)
    for start in range(0, count, 1000):
        tasks = range(start, start + 1000)
        store.append(call, tasks, None, outcomes[start : start + 1000], span())
    store.finish()
    written = time.process_time()
    assert path.stat().st_size <= 100 * count
    assert written - began < 2
    store = opened(path, resume=True)
    assert store.calls[0].values() == outcomes
    assert time.process_time() - written < 3
    store.finish()
    [piece] = store.calls[0].pieces
    began = time.process_time()
    assert unpacked(piece.data, count) == outcomes
    assert time.process_time() - began < 0.3, "a third of that on a quiet machine"


def test_other_versions_of_packages_are_told_once(path, tmp_path, capsys):
    store = opened(path)
    store.about["packages"] = {"numpy": "1.0", "scipy": "2.0"}
    keep(store, begin_map(store, 1), [0])
    store.finish()
    store = opened(tmp_path / "other.h5", known=[path])
    memory = Memory(store, 0)
    for _ in range(2):
        memory.note_packages({"numpy": "1.1", "scipy": "2.0", "astropy": "3.0"})
    assert capsys.readouterr().err == (
        "mpipar run: outcomes are known that other versions have made: numpy 1.1 (was 1.0)\n"
    )
    store.finish()
    packages = task_tables.read(tmp_path / "other.h5").about["packages"]
    assert packages == {"numpy": "1.1", "scipy": "2.0", "astropy": "3.0"}
