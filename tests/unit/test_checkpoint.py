import os
import pickle
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mpipar import (
    BadInput,
    Concatenate,
    Count,
    Each,
    ExactSum,
    Histogram,
    InOrder,
    MinMax,
    Moments,
    Plan,
    driver,
)
from mpipar.core.blocks import Blocks, united
from mpipar.runtime.failure import Skipped
from mpipar.runtime.progress_state import Done
from mpipar.store.checkpoint import Log, State, get, logged, put, without_repeats
from mpipar.store.identity import check_identity, identity_of

MODERATE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
RUN = "a" * 32
IDENTITY = {"driver": "pi", "n": 2**70, "parameter xs": [0.5, 1], "parameter path": None, "seed": 0}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


def skipped(index: int, reason: str = "ValueError: ä") -> Skipped:
    return Skipped(index, 10 * index, 10 * index + 10, reason, "Traceback …\n")


def stored(path, state: State) -> State:
    with h5py.File(path, "w") as file:
        put(file, state)
    with h5py.File(path) as file:
        return get(path, file)


def same(one, other) -> bool:
    return pickle.dumps(one) == pickle.dumps(other)


ranges = st.lists(
    st.builds(range, st.integers(0, 2**70), st.integers(0, 2**70), st.integers(1, 9)), max_size=4
)


@MODERATE
@given(
    total=st.integers(),
    ranges=ranges,
    gone=st.lists(st.integers(0, 2**70), max_size=3),
    finished=st.booleans(),
)
def test_a_state_comes_back(path, total, ranges, gone, finished):
    state = State(RUN, IDENTITY, Done(total, ranges, [skipped(index) for index in gone]), finished)
    assert stored(path, state) == state


def totals():
    """Yield a reduction of each kind, and a total of it that isn't trivial."""
    rng = np.random.default_rng(5)
    each = {
        "sum": (ExactSum(), lambda: float(rng.normal() * 1e200)),
        "sums": (
            ExactSum(),
            lambda: rng.normal(size=(2, 3)) * 10.0 ** rng.integers(-300, 300, (2, 3)),
        ),
        "special": (ExactSum(), lambda: np.array([np.inf, np.nan, 1.0])),
        "count": (Count(), lambda: 2**70),
        "counts": (Count(), lambda: np.array([2**62, 1])),
        "extremes": (MinMax(), lambda: rng.normal(size=10)),
        "moments": (Moments(), lambda: rng.normal(size=10)),
        "histogram": (Histogram(np.linspace(-1, 1, 5)), lambda: rng.normal(size=10)),
        "joined": (Concatenate(), lambda: rng.normal(size=3)),
        "product": (InOrder(np.matmul), lambda: rng.normal(size=(2, 2))),
    }
    reduction = Each(**{name: reduction for name, (reduction, _) in each.items()})
    plan, parts = Plan(60, 10), []
    for index in range(6):
        partial = {name: make() for name, (_, make) in each.items()}
        parts.append(reduction.add(reduction.start(), partial, plan[index]))
    return reduction, parts


def test_totals_of_all_reductions_go_on_bit_by_bit(path):
    reduction, parts = totals()
    expected = reduction.start()
    for part in pickle.loads(pickle.dumps(parts)):
        expected = reduction.merge(expected, part)
    total = reduction.start()
    for index, part in enumerate(parts):
        part = stored(path, State(RUN, {}, Done(part), False)).done.total
        total = reduction.merge(total, part)
        total = stored(path, State(RUN, {}, Done(total, [range(index + 1)]), False)).done.total
    here, there = reduction.finish(total), reduction.finish(expected)
    for name in there:
        np.testing.assert_equal(here[name], there[name])


def test_a_total_that_cannot_be_stored_is_a_type_error(path):
    with h5py.File(path, "w") as file, pytest.raises(TypeError, match="a set can't be stored"):
        put(file, State(RUN, {}, Done({1, 2}), False))


def damaged(change):
    """Return a function that changes the stored bytes, but not the checksum."""

    def spoil(file):
        data = bytearray(file["checkpoint"][()].tobytes())
        attributes = dict(file["checkpoint"].attrs)
        del file["checkpoint"]
        made = file.create_dataset("checkpoint", data=np.frombuffer(bytes(change(data)), np.uint8))
        made.attrs.update(attributes)

    return spoil


def flip(data):
    data[len(data) // 2] ^= 1
    return data


def delete(file):
    del file["checkpoint"]


def without_checksum(file):
    del file["checkpoint"].attrs["sha256"]


def checksum_in_the_heap(file):
    """Where HDF5 may look for it for ever, if a byte is wrong."""
    attributes = file["checkpoint"].attrs
    attributes["sha256"] = attributes["sha256"].decode()


def of_another_kind(file):
    del file["checkpoint"]
    file.create_group("checkpoint")


@pytest.mark.parametrize(
    "spoil",
    [
        damaged(flip),
        damaged(lambda data: data[:-1]),
        damaged(lambda data: b""),
        delete,
        without_checksum,
        checksum_in_the_heap,
        of_another_kind,
    ],
)
def test_a_damaged_state_is_bad_input(path, spoil):
    with h5py.File(path, "w") as file:
        put(file, State(RUN, IDENTITY, Done(5, [range(3)]), False))
        spoil(file)
    with (
        h5py.File(path) as file,
        pytest.raises(
            BadInput, match=r"^resume: the checkpoint in '.*run\.h5' is missing or damaged \(."
        ),
    ):
        get(path, file)


def bound(**changes):
    @driver(n="items", reduction=Count)
    def kernel(
        block,
        *,
        items: int = 100,
        x: float = 0.5,
        xs: list[int] = [],  # noqa: B006
        kind: str = "a",
        path: Path | None = None,
    ): ...

    options = {name: changes.pop(name) for name in ("block", "seed") if name in changes}
    return kernel.bind(changes, **options)


def test_the_identity_is_what_decides_the_result():
    here = identity_of(bound(xs=[1, 2], path="a/b", block=7, seed=3))
    assert here == {
        "driver": "kernel",
        "parameter items": 100,
        "parameter x": 0.5,
        "parameter xs": [1, 2],
        "parameter kind": "a",
        "parameter path": "a/b",
        "n": 100,
        "block": 7,
        "seed": 3,
        "device": "cpu",
    }


def test_a_run_of_a_version_that_knew_no_device_was_of_the_cpu(path):
    here = identity_of(bound())
    there = {name: value for name, value in here.items() if name != "device"}
    check_identity(path, there, here)
    with pytest.raises(BadInput, match=r"of another run \(device: 'cpu' there, 'gpu' here\)"):
        check_identity(path, there, {**here, "device": "gpu"})


@pytest.mark.parametrize(
    "changes", [{}, {"xs": [1, 2]}, {"path": "a/b"}, {"x": 1e-300, "items": 2**62, "block": 2**40}]
)
def test_a_run_is_the_same_after_its_identity_has_been_stored(path, changes):
    here = identity_of(bound(**changes))
    there = stored(path, State(RUN, here, Done(0), False)).identity
    check_identity(path, there, here)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"items": 99}, "parameter items: 100 there, 99 here; n: 100 there, 99 here"),
        ({"x": 0.25}, "parameter x: 0.5 there, 0.25 here"),
        ({"xs": [3]}, "parameter xs: [] there, [3] here"),
        ({"kind": "b"}, "parameter kind: 'a' there, 'b' here"),
        ({"path": "c"}, "parameter path: None there, 'c' here"),
        ({"block": 3}, "block: 1 there, 3 here"),
        ({"seed": 1}, "seed: 0 there, 1 here"),
        ({"seed": 1, "x": 0.25}, "parameter x: 0.5 there, 0.25 here; seed: 0 there, 1 here"),
    ],
)
def test_what_is_different_about_another_run_is_told(path, changes, told):
    with pytest.raises(BadInput) as caught:
        check_identity(path, identity_of(bound()), identity_of(bound(**changes)))
    assert str(caught.value) == f"resume: {str(path)!r} is of another run ({told})"


def test_parameters_that_one_of_them_has_not_are_told(path):
    with pytest.raises(BadInput, match=r"old: 1 there, None here; new: None there, 2 here"):
        check_identity(path, {"old": 1, "n": 5}, {"new": 2, "n": 5})


class Folder:
    """A folder of logs of a run."""

    def __init__(self, path) -> None:
        self.path = path

    def log(self, *commits: Done, run: str = RUN):
        """Write a log and return its path."""
        before = set(self.path.iterdir())
        log = Log(self.path, run)
        for done in commits:
            log.append(done)
        log.close()
        return next(iter(set(self.path.iterdir()) - before), None)

    def read(self, run: str = RUN) -> list[Done]:
        return list(logged(self.path, run))


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


THREE = [
    Done(1, [range(3)]),
    Done(2**70, [range(3, 9, 2)], [skipped(4)]),
    Done(0, [], [skipped(6, "a\ud800")]),
]


def test_commits_come_back(folder):
    assert folder.read() == []
    folder.log(*THREE)
    assert folder.read() == THREE
    folder.log(Done(5, [range(20, 30)]))
    found = folder.read()
    assert len(found) == 4
    assert all(done in found for done in [*THREE, Done(5, [range(20, 30)])])


def test_a_rank_that_commits_nothing_has_no_log(folder):
    assert folder.log() is None


def test_other_files_are_no_logs(folder):
    for name in ("rows.h5", "node-1-2.part", "lock", "log", "x.log.txt"):
        (folder.path / name).write_bytes(b"x" * 100)
    assert folder.read() == []


@MODERATE
@given(data=st.data())
def test_a_torn_record_does_not_count_nor_does_what_follows(tmp_path_factory, data):
    folder = Folder(tmp_path_factory.mktemp("torn"))
    log, ends = growing_log(folder)
    cut = data.draw(st.integers(0, ends[-1]))
    os.truncate(log, cut)
    assert folder.read() == THREE[: sum(end <= cut for end in ends)]


def growing_log(folder):
    """Return the path of a log of three commits, and where each of them ends."""
    ends = []
    for count in range(1, 4):
        log = folder.log(*THREE[:count])
        ends.append(log.stat().st_size)
        if count < 3:
            log.unlink()
    return log, ends


@MODERATE
@given(data=st.data())
def test_a_damaged_byte_ends_a_log(tmp_path_factory, data):
    folder = Folder(tmp_path_factory.mktemp("damaged"))
    log, ends = growing_log(folder)
    content = bytearray(log.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    log.write_bytes(content)
    assert folder.read() == THREE[: sum(end <= position for end in ends)]


def test_a_log_of_another_run_does_not_count(folder):
    folder.log(*THREE, run="b" * 32)
    assert folder.read() == []
    assert folder.read("b" * 32) == THREE
    folder.log(THREE[0])
    assert folder.read() == THREE[:1]


@pytest.mark.parametrize("failing", ["pwrite", "fsync"])
def test_a_commit_that_fails_leaves_the_log_as_it_was(folder, monkeypatch, failing):
    def refuse(*_):
        raise OSError("no space left")

    log = Log(folder.path, RUN)
    for count, done in enumerate(THREE):
        with monkeypatch.context() as patch:
            patch.setattr(os, failing, refuse)
            with pytest.raises(OSError, match="no space left"):
                log.append(done)
        assert folder.read() == THREE[:count]
        log.append(done)
        assert folder.read() == THREE[: count + 1]
    log.close()


def test_a_commit_that_is_written_in_part_is_taken_back(folder, monkeypatch):
    pwrite, log = os.pwrite, Log(folder.path, RUN)

    def few(file, data, offset):
        if few.left < len(data):
            pwrite(file, data[: few.left], offset)
            raise OSError("no space left")
        return pwrite(file, data, offset)

    few.left = 10
    log.append(THREE[0])
    [path] = folder.path.iterdir()
    before = path.read_bytes()
    monkeypatch.setattr(os, "pwrite", few)
    with pytest.raises(OSError, match="no space left"):
        log.append(THREE[1])
    assert path.read_bytes() == before
    log.close()


def test_a_total_that_cannot_be_committed_makes_no_log(folder):
    log = Log(folder.path, RUN)
    with pytest.raises(TypeError, match="a set can't be stored"):
        log.append(Done({1}, [range(1)]))
    assert list(folder.path.iterdir()) == []
    log.close()


def test_commits_are_flushed_to_the_disk(folder, monkeypatch):
    flushed = []
    monkeypatch.setattr(
        os, "fsync", lambda file: flushed.append(os.readlink(f"/proc/self/fd/{file}"))
    )
    path = folder.log(*THREE[:2])
    assert flushed == [
        str(path),
        str(folder.path),
        str(path),
    ], "the folder, too, as it has a new file"


def test_a_record_says_how_long_it_is_and_has_a_checksum(folder):
    content = folder.log(THREE[0]).read_bytes()
    mark, size, checksum = struct.unpack("<8sQI", content[:20])
    assert (mark, size, checksum) == (b"mpipar-2", len(content) - 20, zlib.crc32(content[20:]))


def test_parts_are_added_to_what_is_done():
    base = Done(10, [range(4)], [skipped(9)])
    parts = [Done(5, [range(4, 6)]), Done(1, [range(8, 20, 4)], [skipped(7)])]
    whole = without_repeats(iter(parts), base, Count())
    assert (whole.total, whole.count) == (16, 9)
    assert sorted(Blocks(whole.ranges)) == [0, 1, 2, 3, 4, 5, 8, 12, 16]
    assert {block.block for block in whole.skipped} == {9, 7}


def test_parts_that_are_in_the_base_already_do_not_count_twice():
    base = Done(10, [range(0, 10, 2), range(1, 5)])
    parts = [
        Done(3, [range(3)]),
        Done(100, [range(10, 12)]),
        Done(2, [range(1, 5, 3)]),
        Done(100, [range(10, 12)]),
    ]
    whole = without_repeats(iter(parts), base, Count())
    assert (whole.total, united(whole.ranges)) == (110, united([*base.ranges, range(10, 12)]))


def test_parts_that_overlap_otherwise_are_bad_input():
    base = Done(10, [range(4)])
    with pytest.raises(BadInput, match="contradict"):
        without_repeats(iter([Done(5, [range(3, 6)])]), base, Count())


@MODERATE
@given(data=st.data(), n=st.integers(1, 60), cut=st.integers(0, 12))
def test_whatever_is_left_of_logs_when_the_state_was_written_the_sum_is_the_same(data, n, cut):
    """The state has the sum of some logs, of which some have been removed when the run was
    killed.
    """
    blocks = data.draw(st.permutations(range(n)))
    parts = [
        Done(sum(part), [range(k, k + 1) for k in part])
        for part in (blocks[k::7] for k in range(7))
        if part
    ]
    base = Done(0)
    for part in parts[:cut]:
        base = base.merge(part, Count())
    left = data.draw(st.lists(st.sampled_from(parts[:cut]), unique_by=id)) if parts[:cut] else []
    whole = without_repeats(iter([*left, *parts[cut:]]), base, Count())
    assert (whole.total, united(whole.ranges)) == (sum(range(n)), [range(n)])
