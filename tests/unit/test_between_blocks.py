import pytest

from mpipar import Count, InOrder
from mpipar.core.blocks import Blocks
from mpipar.runtime.between_blocks import BetweenBlocks
from mpipar.runtime.communicator import Comm
from mpipar.runtime.evaluate import Outcome
from mpipar.runtime.failure import Failure, Skipped
from mpipar.runtime.progress_state import Done, ProgressState, Record

LOST = Skipped(7, 70, 80, "ValueError", "")


class Disk:
    """A checkpoint and an output in memory, which fail as often as they are told to."""

    def __init__(self, every: float = 0.0, errors=()) -> None:
        self.every, self.errors, self.base = every, list(errors), None
        self.said: list[str] = []
        self.commits: list[Done] = []

    def append(self, done: Done) -> None:
        self.said.append("append")
        if self.errors:
            raise self.errors.pop(0)
        self.commits.append(Done(done.total, list(done.ranges), list(done.skipped)))

    def flush(self) -> None:
        self.said.append("flush")
        if self.errors:
            raise self.errors.pop(0)

    def reload(self, is_root: bool) -> None: ...

    def commit(self, done: Done) -> None: ...


class Rank(Comm):
    """A rank that others may have told to stop."""

    def __init__(self, rank: int = 0, stopped: bool = False) -> None:
        super().__init__()
        self.rank, self.host, self.stopped = rank, "node", stopped

    def stop_posted(self) -> bool:
        return self.stopped


def watch_of(
    tally,
    checkpoint=None,
    output=None,
    comm=None,
    interruption=lambda: None,
    progress=lambda fraction: None,
):
    return BetweenBlocks(comm or Rank(), tally, checkpoint, output, interruption, progress)


def evaluate(tally, index, total=1, skipped=()):
    chunk = Blocks([range(index, index + 1 + len(skipped))])
    assert tally.add(chunk, Outcome(total, 1, skipped=list(skipped)), Record(0, "node", 1)) is None


@pytest.mark.parametrize("reason", [None, "SIGTERM"])
@pytest.mark.parametrize("stopped", [False, True])
def test_a_rank_stops_on_its_own_account_or_on_anothers(reason, stopped):
    watch = watch_of(
        ProgressState(Count()), comm=Rank(stopped=stopped), interruption=lambda: reason
    )
    assert watch.stop() is (reason is not None or stopped)


@pytest.mark.parametrize("rank", [0, 1])
def test_the_root_shows_progress(rank):
    shown = []
    watch = watch_of(ProgressState(Count()), comm=Rank(rank), progress=shown.append)
    for fraction in (0.25, 1.0):
        assert watch.chunk_done(fraction) is None
    assert shown == ([] if rank else [0.25, 1.0])


def test_without_a_checkpoint_nothing_is_committed():
    tally = ProgressState(Count())
    evaluate(tally, 0)
    watch = watch_of(tally)
    assert watch.commit() is watch.chunk_done(0.5) is watch.flush_rows() is None
    assert (tally.new.count, tally.kept.count) == (1, 0)


def test_commits_when_it_is_due(monkeypatch):
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    disk, tally = Disk(every=60.0), ProgressState(Count())
    watch = watch_of(tally, disk, disk)
    expected = []
    for seconds in (30, 29, 1, 1, 58, 1, 100, 50, 10):
        now += seconds
        evaluate(tally, len(expected))
        assert watch.chunk_done(0.5) is None
        expected.append(len(disk.commits))
    assert expected == [0, 0, 1, 1, 1, 2, 3, 3, 4], "so many seconds after the last one"
    assert [done.count for done in disk.commits] == [3, 3, 1, 2], "what is new, alone"
    assert disk.said == ["flush", "append"] * 4, (
        "rows must be on the disk before it is said that they are"
    )
    assert (tally.kept.count, tally.kept.total, tally.new.count) == (9, 9, 0)


def test_with_no_time_between_them_each_chunk_is_committed():
    disk, tally = Disk(), ProgressState(Count())
    watch = watch_of(tally, disk)
    for index in range(5):
        evaluate(tally, index)
        watch.chunk_done(0.0)
    assert len(disk.commits) == 5


def test_nothing_new_is_not_committed_but_skipped_blocks_are():
    disk, tally = Disk(), ProgressState(Count())
    watch = watch_of(tally, disk, disk)
    for _ in range(3):
        watch.chunk_done(0.0)
    assert disk.said == []
    tally.add(Blocks([range(7, 8)]), Outcome(0, 0, skipped=[LOST]), Record(0, "node", 1))
    watch.chunk_done(0.0)
    assert [done.skipped for done in disk.commits] == [[LOST]]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space"),
        (TypeError("a set"), "TypeError: a set"),
    ],
)
@pytest.mark.parametrize("rows", [False, True])
def test_a_commit_that_fails_is_told_once_and_tried_again(error, told, rows, caplog):
    disk, tally = Disk(errors=[error, error, error]), ProgressState(Count())
    watch = watch_of(tally, disk, disk if rows else None, comm=Rank(3))
    for index in range(3):
        evaluate(tally, index)
        assert watch.chunk_done(0.5) is None, "the run goes on"
        assert (tally.new.count, tally.new.total) == (index + 1, index + 1)
        assert tally.kept.count == 0
    [line] = caplog.messages
    assert line.startswith("rank 3 on host node can't commit (")
    assert told in line
    assert watch.commit() is None
    assert [(done.count, done.total) for done in disk.commits] == [(3, 3)]
    assert (tally.new.count, tally.kept.count, tally.kept.total) == (0, 3, 3)
    disk.errors = [error]
    evaluate(tally, 3)
    watch.commit()
    assert caplog.messages == [line], "said already"


def test_a_commit_that_fails_waits_for_the_next_time(monkeypatch, capsys):
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    disk, tally = Disk(every=60.0, errors=[OSError("no")]), ProgressState(Count())
    watch = watch_of(tally, disk)
    evaluate(tally, 0)
    for seconds in (60, 30, 29, 1):
        now += seconds
        watch.chunk_done(0.5)
    assert disk.said == ["append", "append"]
    assert len(disk.commits) == 1


def test_partials_that_cannot_be_combined_fail_the_run():
    tally = ProgressState(InOrder(lambda left, right: 1 / 0))
    disk = Disk()
    watch = watch_of(tally, disk)
    evaluate(tally, 2, {(0, 2): 1})
    assert watch.commit() is None
    evaluate(tally, 3, {(0, 3): 1})
    failure = watch.chunk_done(0.5)
    assert (failure.where, failure.reason) == (
        "combining the partials of blocks",
        "ZeroDivisionError: division by zero",
    )


def test_rows_that_do_not_get_to_the_disk_fail_the_run():
    disk = Disk(errors=[OSError("no space left")])
    watch = watch_of(ProgressState(Count()), None, disk)
    assert watch.flush_rows() == Failure("writing rows to the disk", "OSError: no space left")
    assert watch.flush_rows() is None
