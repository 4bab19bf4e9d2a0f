"""Predictions: the simulation against the runtime's own shares, the drawing of times, costs, and
what is printed.
"""

import csv
import errno
import heapq
import itertools
import json
import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar import run as evaluate
from mpipar.command import model as command
from mpipar.command import model_files
from mpipar.core.blocks import Blocks
from mpipar.core.plan import slice_share
from mpipar.load import load as kernel
from mpipar.predict import block_times, costs, pools, takers
from mpipar.predict import model as predictions
from mpipar.predict.block_times import BlockTimes, measurement, run_length
from mpipar.predict.costs import Costs, Ends
from mpipar.predict.measured_run import load
from mpipar.predict.model import Model
from mpipar.predict.pools import slice_bounds
from mpipar.predict.simulation import simulate
from mpipar.predict.takers import Fetch, Takers
from mpipar.runtime.communicator import Comm
from mpipar.runtime.counter import Counter
from mpipar.runtime.progress_state import Done
from mpipar.runtime.schedule import SCHEDULES, Share, share
from mpipar.store.output import OutputFile
from mpipar.study.data import write_data
from mpipar.study.design import STRONG, Measured, Run, Size
from mpipar.study.table import scaling_table

MODERATE = settings(max_examples=60, deadline=None)
FREE = Fetch()
GIVEN = ("--reduce-seconds", "1e-4", "--counter-seconds", "2e-6")

# Of 2⁻²⁰ s, so that sums of them are exact in whatever order: a tie is one for all, and decides who
# takes what.
ticks = st.sampled_from([0, 1, 2**8, 2**11, 2**15, 2**19]) | st.integers(0, 2**20)
block_seconds = st.lists(ticks.map(lambda n: n / 2**20), min_size=1, max_size=60)
some_ranks, some_workers = st.integers(1, 12), st.integers(1, 4)
fetches = st.sampled_from([FREE, Fetch(1e-3, 0.0), Fetch(2e-3, 1e-3), Fetch(0.1, 0.1)])


class OneOf(Comm):
    """One of several ranks, all in this process, whose shared counter is one object."""

    def __init__(self, rank: int, size: int, counter: Counter) -> None:
        super().__init__()
        self.rank, self.size, self._counter = rank, size, counter

    def shared_counter(self) -> Counter:
        return self._counter


class Asked(Counter):
    """A counter that knows how often it was asked."""

    times = 0

    def add(self, increment: int) -> int:
        self.times += 1
        return super().add(increment)


def by_the_runtime(
    schedule: str, seconds, ranks: int, workers: int, fetch: Fetch = FREE
) -> tuple[float, float]:
    """Return when the last process ends, and what one waits for the counter, with the shares of the
    runtime itself.
    """
    counter, plan = Asked(), Blocks([range(len(seconds))])
    shares: list[Share] = [
        share(schedule, plan, OneOf(rank, ranks, counter), workers)[0] for rank in range(ranks)
    ]
    free = [(0.0, process, None, 0.0) for process in range(ranks * workers)]
    ended, waited, busy_until = 0.0, 0.0, 0.0
    while free:
        now, process, chunk, took = heapq.heappop(free)
        own = shares[process // workers]
        if chunk is not None:
            own.note(chunk.count, took)
        asked = counter.times
        chunk = own.take()
        if counter.times > asked:
            busy_until = max(now, busy_until) + fetch.service
            answered = max(busy_until + fetch.latency - fetch.service, now + fetch.latency)
            waited += answered - now
            now = answered
        if chunk is None:
            ended = max(ended, now)
            continue
        took = math.fsum(seconds[index] for index in chunk)
        heapq.heappush(free, (now + took, process, chunk, took))
    return ended, waited / (ranks * workers)


def times_of(seconds) -> BlockTimes:
    return BlockTimes(np.array(seconds, float))


@MODERATE
@given(seconds=block_seconds, ranks=some_ranks, workers=some_workers, fetch=fetches)
def test_dynamic_is_what_the_shares_of_the_runtime_do(seconds, ranks, workers, fetch):
    found = simulate("dynamic", times_of(seconds), ranks, workers, fetch, bool)
    ended, waited = by_the_runtime("dynamic", seconds, ranks, workers, fetch)
    assert found.seconds == pytest.approx(ended, rel=1e-9, abs=1e-12)
    assert found.waited == pytest.approx(waited, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("schedule", ["stride", "slice"])
@MODERATE
@given(seconds=block_seconds, ranks=some_ranks, workers=some_workers)
def test_static_schedules_are_what_the_shares_of_the_runtime_do(schedule, seconds, ranks, workers):
    found = simulate(schedule, times_of(seconds), ranks, workers, FREE, bool)
    assert found.seconds == pytest.approx(
        by_the_runtime(schedule, seconds, ranks, workers)[0], rel=1e-9, abs=1e-12
    )
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # many pools are simulated all at once, in parts of bounded size
        patch.setattr(pools, "_FEW_POOLS", 0)
        patch.setattr(pools, "MOST_AT_ONCE", 40)
        at_once = simulate(schedule, times_of(seconds), ranks, workers, FREE, bool)
    assert at_once.seconds == pytest.approx(found.seconds, rel=1e-9, abs=1e-12)
    if workers == 1:
        shares = [
            (
                range(rank, len(seconds), ranks)
                if schedule == "stride"
                else slice_share(len(seconds), rank, ranks)
            )
            for rank in range(ranks)
        ]
        sums = [math.fsum(seconds[index] for index in own) for own in shares]
        assert found.seconds == pytest.approx(max(sums), abs=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES)
@MODERATE
@given(seconds=block_seconds, ranks=some_ranks, workers=some_workers, fetch=fetches)
def test_nothing_is_faster_than_the_lower_bound_nor_slower_than_one_process(
    schedule, seconds, ranks, workers, fetch
):
    found = simulate(schedule, times_of(seconds), ranks, workers, fetch, bool)
    processes, total = ranks * workers, math.fsum(seconds)
    assert found.seconds >= max(total / processes, *seconds) * (1 - 1e-12)
    asked = (len(seconds) + processes) * max(fetch) if schedule == "dynamic" else 0.0
    assert found.seconds <= total + asked + 1e-9
    assert found.seconds >= total / processes + found.waited - 1e-9


@pytest.mark.parametrize("schedule", SCHEDULES)
@MODERATE
@given(seconds=block_seconds)
def test_one_process_takes_the_sum(schedule, seconds):
    assert simulate(schedule, times_of(seconds), 1, 1, FREE, bool).seconds == pytest.approx(
        math.fsum(seconds)
    )


@MODERATE
@given(seconds=st.lists(st.floats(0.03, 1), min_size=1, max_size=60), ranks=some_ranks)
def test_blocks_longer_than_a_chunk_are_scheduled_as_greedily_as_can_be(seconds, ranks):
    """Graham's bound: no list schedule takes longer than (2 − 1/P) of the best one."""
    found = simulate("dynamic", times_of(seconds), ranks, 1, FREE, bool).seconds
    assert found <= math.fsum(seconds) / ranks + (1 - 1 / ranks) * max(seconds) + 1e-9


@MODERATE
@given(count=st.integers(1, 300), ranks=st.integers(1, 40))
def test_equal_blocks_take_as_many_rounds_as_there_must_be(count, ranks):
    times = times_of([0.5] * count)
    for schedule in SCHEDULES:
        assert simulate(schedule, times, ranks, 1, FREE, bool).seconds == pytest.approx(
            0.5 * -(-count // ranks)
        )
    more = simulate("dynamic", times, ranks + 1, 1, FREE, bool).seconds
    assert more <= simulate("dynamic", times, ranks, 1, FREE, bool).seconds + 1e-9


def lognormal(count: int, mean: float = 0.05, sigma: float = 1.2, seed: int = 0):
    return mean * np.random.default_rng(seed).lognormal(-sigma * sigma / 2, sigma, count)


@pytest.mark.parametrize(
    ("ranks", "workers", "mean"), [(64, 1, 0.05), (200, 1, 1e-4), (30, 4, 1e-3), (500, 1, 0.01)]
)
@pytest.mark.parametrize("fetch", [FREE, Fetch(2e-6, 1e-6), Fetch(5e-4, 5e-4)])
def test_windows_of_events_give_what_single_events_do(ranks, workers, mean, fetch):
    times = BlockTimes(lognormal(20_000, mean))
    one = Takers(times, ranks, workers, fetch).one_by_one(bool)
    many = Takers(times, ranks, workers, fetch).by_window(bool)
    assert many.seconds == pytest.approx(one.seconds, rel=0.03)
    assert many.waited == pytest.approx(one.waited, rel=0.1)
    assert many.chunks == pytest.approx(one.chunks, rel=0.05)


@pytest.mark.parametrize("how", ["one_by_one", "by_window"])
@pytest.mark.parametrize("fetch", [FREE, Fetch(1e-3, 1e-5)])
def test_the_middle_of_a_long_run_may_be_left_out(how, fetch, monkeypatch):
    times = BlockTimes(lognormal(40_000))
    whole = getattr(Takers(times, 8, 1, fetch), how)(bool)
    seen = []
    monkeypatch.setattr(takers, "_MANY_EVENTS", 1000)
    monkeypatch.setattr(
        Takers, "_skip", lambda self, *a, _of=Takers._skip: seen.append(_of(self, *a)) or seen[-1]
    )
    short = getattr(Takers(times, 8, 1, fetch), how)(bool)
    assert seen[0][0] > 30_000
    assert short.seconds == pytest.approx(whole.seconds, rel=2e-3)
    assert short.waited == pytest.approx(whole.waited, rel=0.05)


def test_a_counter_that_is_asked_too_often_is_what_is_waited_for():
    times = times_of([0.01] * 1000)
    found = simulate("dynamic", times, 100, 1, Fetch(0.01, 0.01), bool)
    assert (
        found.seconds >= (found.chunks + 90) * 0.01
    )  # it serves one after the other, also to say that all is taken
    assert found.waited > 0.8 * found.seconds


@MODERATE
@given(count=st.integers(0, 10**6), ranks=st.integers(1, 1000))
def test_slices_are_those_of_the_runtime(count, ranks):
    bounds = slice_bounds(count, ranks)
    rank = count % ranks
    assert (bounds[0], bounds[-1]) == (0, count)
    assert slice_share(count, rank, ranks) == range(int(bounds[rank]), int(bounds[rank + 1]))


@MODERATE
@given(count=st.integers(1, 3000), size=st.integers(1, 700), run=st.integers(0, 9), data=st.data())
def test_sums_are_the_same_whether_a_plan_is_kept_in_memory_or_not(count, size, run, data):
    values = np.arange(1.0, 1 + data.draw(st.integers(1, 50)))
    bounds = np.array(sorted(data.draw(st.lists(st.integers(0, count), min_size=2, max_size=9))))
    kept = BlockTimes(values, count, run, 3)
    every, sums = kept.every(size), kept.sums(bounds)
    all_of_it = kept.between(0, count)
    assert every == pytest.approx([all_of_it[start::size].sum() for start in range(size)])
    assert sums == pytest.approx([all_of_it[a:b].sum() for a, b in itertools.pairwise(bounds)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_times, "_DENSE", 0)
        patch.setattr(block_times, "_PIECE", 64)
        streamed = BlockTimes(values, count, run, 3)
        assert streamed.every(size) == pytest.approx(every)
        assert streamed.sums(bounds) == pytest.approx(sums)
        assert (streamed.total, streamed.longest) == pytest.approx(
            (all_of_it.sum(), all_of_it.max())
        )


@pytest.mark.ci
def test_a_million_ranks_are_simulated():
    times = BlockTimes(lognormal(500), 3 * 10**6, 1, 0)
    found = {
        schedule: simulate(schedule, times, 10**6, 1, Fetch(1e-6, 1e-6), bool)
        for schedule in SCHEDULES
    }
    for one in found.values():
        assert one.seconds >= max(times.total / 10**6, times.longest)
        assert one.seconds <= 3 * times.longest + 5
    assert (
        found["dynamic"].seconds >= 3
    )  # 10⁶ first blocks, 10⁶ second ones, and as many times nothing is left


def test_times_are_drawn_from_those_that_were_measured():
    values = lognormal(300)
    drawn = BlockTimes(values, 10**5, 1, 7)
    all_of_it = drawn.between(0, 10**5)
    assert set(all_of_it) == set(values)
    counts = np.unique(all_of_it, return_counts=True)[1]
    assert abs(counts - 10**5 / 300).max() < 6 * math.sqrt(10**5 / 300)
    assert np.array_equal(BlockTimes(values, 10**5, 1, 7).between(5000, 5100), all_of_it[5000:5100])
    assert not np.array_equal(BlockTimes(values, 10**5, 1, 8).between(0, 100), all_of_it[:100])
    assert abs(np.corrcoef(all_of_it[1:], all_of_it[:-1])[0, 1]) < 0.02


def test_runs_of_neighbours_are_drawn_together():
    values = np.arange(100.0)
    drawn = BlockTimes(values, 1000, 10, 0).between(0, 1000).reshape(-1, 10)
    assert (np.diff(drawn, axis=1) % 100 == 1).all()
    assert len(np.unique(drawn[:, 0])) > 40


def test_stretched_times_keep_their_place():
    values = np.arange(10.0)
    assert BlockTimes(values, 40, 0).between(0, 40).tolist() == np.repeat(values, 4).tolist()
    assert BlockTimes(values, 5, 0).between(0, 5).tolist() == [0, 2, 4, 6, 8]


def autoregressive(count: int, factor: float):
    noise = np.random.default_rng(3).standard_normal(count)
    found = np.zeros(count)
    for index in range(1, count):
        found[index] = factor * found[index - 1] + noise[index]
    return 10 + found


def test_how_many_neighbours_belong_together():
    assert [run_length(lognormal(2000, seed=seed)) for seed in range(5)].count(1) >= 4
    some, more = run_length(autoregressive(4000, 0.5)), run_length(autoregressive(4000, 0.9))
    assert 3 < some < more < 3 * math.sqrt(4000)
    assert run_length(np.linspace(1, 2, 1000)) == 0  # a trend
    assert run_length(np.ones(1000)) == run_length(np.array([1.0, 2.0])) == 1


# What is in files.

PROCESSES = [
    ("rank", "i8"),
    ("host", h5py.string_dtype()),
    ("pid", "i8"),
    ("blocks", "i8"),
    ("seconds", "f8"),
    ("longest", "f8"),
]
SPANS = [("worker", "i4"), ("block", "i8"), ("blocks", "i8"), ("begin", "f8"), ("end", "f8")]


def write(
    path: Path,
    seconds,
    spans=None,
    *,
    ranks: int = 1,
    schedule: str = "dynamic",
    done_before: bool = False,
    **about,
) -> Path:
    """Write a result file, of blocks one after the other, or of these spans."""
    seconds = np.array(seconds, float)
    ends = np.cumsum(seconds)
    if spans is None:
        spans = [
            (0, index, 1, end - own, end)
            for index, (own, end) in enumerate(zip(seconds, ends, strict=True))
        ]
    blocks = 0 if done_before else len(seconds)
    records = [
        (rank, "node", 1, blocks, seconds.sum(), seconds.max(initial=0)) for rank in range(ranks)
    ]
    with h5py.File(path, "w") as file:
        file.attrs.update(
            {
                "mpipar_format": 2,
                "finished": True,
                "driver": "load",
                "n": len(seconds),
                "block": 1,
                "seed": 0,
                "n_blocks": len(seconds),
                "schedule": schedule,
                "ranks": ranks,
                "workers": 1,
                "nodes": 1,
                "mpi": "MPI",
                "elapsed": float(seconds.sum()) / ranks,
                "skipped_blocks": 0,
                "resumed_blocks": 0,
                "created": "",
                **about,
            }
        )
        file.create_group("parameters")
        file["value"] = 1.0
        file["workers"] = np.array(records, PROCESSES)
        file["ranks"] = np.array(
            [(*one[:2], *one[3:5]) for one in records],
            [field for field in PROCESSES if field[0] not in ("pid", "longest")],
        )
        if spans is not False:
            file["timeline"] = np.array(spans, SPANS)
    return path


def test_the_times_of_a_file_are_in_the_order_of_the_plan(tmp_path):
    spans = [(0, 2, 1, 0.0, 3.0), (0, 0, 1, 3.0, 4.0), (0, 1, 1, 4.5, 6.5)]
    run = load(write(tmp_path / "run.h5", [1, 2, 3], spans))
    assert run.measured.values.tolist() == [1, 2, 3]
    assert not run.measured.notes


def test_spans_of_several_blocks_have_a_mean(tmp_path):
    run = load(write(tmp_path / "dynamic.h5", [1] * 6, [(0, 0, 4, 0, 2), (0, 4, 2, 2, 8)]))
    assert run.measured.values.tolist() == [0.5] * 4 + [3.0] * 2
    assert "up to 4 blocks at once" in run.measured.notes[0]
    spans = [(0, 0, 2, 0, 2), (1, 1, 2, 0, 6), (0, 4, 1, 2, 3), (1, 5, 1, 6, 16)]
    run = load(write(tmp_path / "stride.h5", [1] * 6, spans, ranks=2, schedule="stride"))
    assert run.measured.values.tolist() == [1, 3, 1, 3, 1, 10]


def test_a_long_block_in_a_span_of_short_ones_is_told(tmp_path):
    path = write(tmp_path / "run.h5", [0.001] * 999 + [0.5], [(0, 0, 1000, 0, 1.499)])
    assert "the longest block took 0.5 s, but no span tells which" in load(path).measured.notes[1]


def test_how_many_numbers_a_value_has_is_known_without_reading_it(tmp_path):
    path = write(tmp_path / "run.h5", [0.1] * 4)
    with h5py.File(path, "r+") as file:
        del file["value"]
        file.create_dataset("value/a", (2**40,), "f8", chunks=(1024,))
        file["value/b"] = [1.0, 2.0]
    assert load(path).summary.numbers == 2**40 + 2


def test_blocks_that_were_done_before_have_the_mean(tmp_path):
    run = load(
        write(tmp_path / "run.h5", [1] * 4, [(0, 2, 1, 0, 1), (0, 3, 1, 1, 4)], resumed_blocks=2)
    )
    assert run.measured.values.tolist() == [2, 2, 1, 3]
    assert "2 of 4 blocks weren't measured" in run.measured.notes[0]
    assert not run.is_whole


# Costs and rows.


def model_of(path: Path, of: Costs, **options) -> Model:
    return Model(load(path), of, **{"workers": 1, **options})


def test_costs_grow_with_the_depth_of_the_tree_and_add_up(tmp_path):
    of = Costs(stage=0.5, counter_stage=0.25)
    assert [of.of("stride", ranks, 1).reduction for ranks in (1, 2, 4, 1024)] == [0, 0.5, 1, 5]
    assert of.of("slice", 4, 1) == Ends(1.0, 0.0)
    assert of.of("dynamic", 4, 1) == Ends(1.0, 0.5)
    path = write(tmp_path / "run.h5", lognormal(200))
    for schedule in SCHEDULES:
        free, paid = model_of(path, Costs()).row(4, schedule), model_of(path, of).row(4, schedule)
        assert paid.seconds == pytest.approx(free.seconds + 1 + 0.5 * (schedule == "dynamic"))
        assert paid.efficiency + sum(paid.lost.values()) == pytest.approx(1)
    measured_here = Costs(stage=0.5, ends={("stride", 8): Ends(9.0, 0.0)})
    assert measured_here.of("stride", 8, 1).reduction == 9
    assert measured_here.of("stride", 16, 1).reduction == 2
    assert Costs(a_range=1e-6).of("dynamic", 2, 3 * 10**6).reduction == pytest.approx(2)


def report(ranks: int, **ends: float):
    return {
        "ranks": ranks,
        "mpi": "MPI",
        "ends": {"stride": 0.0, "slice": 0.0, "dynamic": 0.0, **ends},
        "latency": 2e-6,
        "service": 1e-6,
    }


def test_costs_come_from_sizes_that_have_a_core_for_each_rank(monkeypatch):
    monkeypatch.setattr(costs, "usable_cores", lambda: 4)
    found = costs._costs(
        [
            report(2, stride=0.1, slice=0.1, dynamic=0.3),
            report(4, stride=0.2, slice=0.2, dynamic=0.6),
            report(64, stride=5.0, slice=7.0, dynamic=9.0),
        ]
    )
    assert (found.stage, found.counter_stage) == (pytest.approx(0.1), pytest.approx(0.2))
    assert found.of("slice", 64, 1).reduction == 7
    assert found.of("dynamic", 64, 1) == Ends(6.0, 3.0)
    assert found.of("stride", 1024, 1).reduction == pytest.approx(1)
    assert found.fetch == Fetch(2e-6, 1e-6)


def test_what_most_is_lost_to(tmp_path):
    long = write(tmp_path / "long.h5", [0.1] * 30 + [5.0])
    assert model_of(long, Costs()).row(8, "dynamic").limit == "longest block"
    even = write(tmp_path / "even.h5", [0.1] * 64)
    assert model_of(even, Costs()).row(8, "dynamic").limit == "nothing"
    assert model_of(even, Costs()).row(48, "slice").limit == "imbalance"
    assert model_of(even, Costs(stage=1)).row(8, "stride").limit == "reduction"
    assert model_of(even, Costs(fetch=Fetch(0.2, 0.2))).row(8, "dynamic").limit == "counter"


def test_the_largest_number_of_ranks_is_looked_for(tmp_path):
    model = model_of(write(tmp_path / "run.h5", [0.1] * 1000), Costs(stage=0.05))
    rows = [model.row(ranks, "stride") for ranks in (1, 10, 100, 1000)]
    found, is_exact = model.most_ranks(rows)
    assert 10 < found < 1000
    assert is_exact
    assert model.row(found, "stride").efficiency >= 0.75
    assert model.row(round(1.1 * found), "stride").efficiency < 0.75
    assert model.most_ranks(rows[:1]) == (1, False)
    assert model.most_ranks(rows[-1:]) is None


def test_the_largest_number_of_ranks_is_the_same_whatever_else_is_asked_for(tmp_path, monkeypatch):
    """It is looked for in larger plans, too, but for those that are too large."""
    monkeypatch.setattr(predictions, "_ONE_DRAW", 10**4)
    model = model_of(write(tmp_path / "run.h5", [0.1] * 100), Costs(stage=1), weak=True)
    rows = [model.row(ranks, "stride") for ranks in (1, 10, 100, 1000)]
    assert [row.efficiency >= 0.75 for row in rows] == [True, True, False, False]
    assert model.most_ranks(rows) == model.most_ranks(rows[:3])
    assert model.most_ranks(rows).is_exact
    assert not model.most_ranks([rows[0], rows[3]]).is_exact


def test_plans_that_grow(tmp_path):
    path = write(tmp_path / "run.h5", lognormal(400), ranks=4)
    weak = model_of(path, Costs(), weak=True)
    assert [weak.blocks(ranks) for ranks in (1, 4, 8)] == [100, 400, 800]
    assert model_of(path, Costs(), weak=True, blocks=7, workers=2).blocks(8) == 112
    own, larger = weak.row(4, "dynamic"), weak.row(8, "dynamic")
    assert len(own.times) == 1  # these are the times that were measured
    assert len(larger.times) == 9
    assert min(larger.times) < larger.seconds < max(larger.times)
    assert larger.times == model_of(path, Costs(), weak=True).row(8, "dynamic").times
    assert larger.times != model_of(path, Costs(), weak=True, seed=1).row(8, "dynamic").times


def test_a_run_is_predicted_as_it_was(tmp_path):
    seconds = lognormal(300)
    ended, _ = by_the_runtime("dynamic", seconds, 3, 1)
    model = model_of(write(tmp_path / "run.h5", seconds, ranks=3), Costs())
    assert model.own() == pytest.approx(ended)


# The command.


@pytest.fixture
def run_file(tmp_path) -> Path:
    return write(tmp_path / "run.h5", lognormal(400), ranks=2)


def test_the_table(run_file, capsys):
    assert command.main([str(run_file), "--ranks", "1,8,1e6", *GIVEN]) == 0
    told = capsys.readouterr().out
    assert "costs: as given" in told
    assert "that run itself: measured" in told
    assert "best schedule: dynamic" in told
    assert "1_000_000  dynamic" in told
    assert "efficiency of 0.75 or more up to" in told


def test_json_and_files_tell_the_same(run_file, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    words = [
        str(run_file),
        "--ranks",
        "1,8,64",
        "--workers",
        "2",
        "--schedule",
        "dynamic,slice",
        *GIVEN,
        "--json",
    ]
    assert command.main([*words, "--output", str(tmp_path / "made")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["ranks"], row["schedule"]) for row in found["rows"]] == [
        (ranks, schedule) for ranks in (1, 8, 64) for schedule in ("slice", "dynamic")
    ]
    with (tmp_path / "made/model.csv").open() as file:
        for told, row in zip(csv.DictReader(file), found["rows"], strict=True):
            assert {name: str(value) for name, value in row.items()} == told
    for row in found["rows"]:
        lost = sum(row[f"lost_to_{what}"] for what in ("imbalance", "counter", "reduction"))
        assert row["efficiency"] + lost == pytest.approx(1)
        assert row["speedup"] == pytest.approx(row["efficiency"] * 2 * row["ranks"])
    page = (tmp_path / "made/model.md").read_text()
    assert "| 64 | **dynamic** |" in page
    assert {path.suffix for path in (tmp_path / "made").iterdir()} == {
        ".md",
        ".csv",
        ".png",
        ".svg",
        ".pdf",
    }
    assert (tmp_path / "made/model.png").read_bytes().startswith(b"\x89PNG")


def test_one_file_is_written_alone(run_file, tmp_path, capsys):
    assert (
        command.main(
            [str(run_file), "--ranks", "4", *GIVEN, "--output", str(tmp_path / "some.csv")]
        )
        == 0
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.h5", "some.csv"]


def test_what_is_given_leaves_the_ranges_that_are_merged(run_file, capsys):
    assert command.main([str(run_file), "--ranks", "8", *GIVEN, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 1e-8 < found["costs"]["range_s"] < 1e-4
    assert any("make the shared counter" in note for note in found["notes"])
    assert command.main([str(run_file), "--ranks", "8", *GIVEN]) == 0
    assert "to merge each range of blocks" in capsys.readouterr().out


def test_large_results_are_measured_with_fewer_numbers(run_file, capsys, monkeypatch):
    with h5py.File(run_file, "r+") as file:
        del file["value"]
        file.create_dataset("value", (2**40,), "f8", chunks=(1024,))
    asked = []
    monkeypatch.setattr(costs, "find_mpirun", lambda: "mpirun")
    monkeypatch.setattr(
        costs, "_probe", lambda _, size, numbers: asked.append(numbers) or report(size)
    )
    assert command.main([str(run_file), "--ranks", "8"]) == 0
    assert set(asked) == {costs.MOST_NUMBERS}
    assert "the reduction of 1_099_511_627_776 numbers takes longer" in capsys.readouterr().out


def test_a_name_may_have_dots(run_file, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    for name in ("run.v2.md", "run.v2.csv", "run.v2.png", "run.v2.md"):
        assert (
            command.main([str(run_file), "--ranks", "4", *GIVEN, "--output", str(tmp_path / name)])
            == 0
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "run.h5",
        "run.v2.csv",
        "run.v2.md",
        "run.v2.png",
    ]


def test_what_a_file_says_can_not_steer_the_terminal_or_the_page(tmp_path, capsys):
    path = write(tmp_path / "run.h5", lognormal(40), ranks=2)
    with h5py.File(path, "r+") as file:
        file.attrs["driver"] = "\x1b[31mred<script>alert(1)</script>\u202e\nroot: ok"
    assert (
        command.main([str(path), "--ranks", "4", *GIVEN, "--output", str(tmp_path / "a.md")]) == 0
    )
    page = (tmp_path / "a.md").read_text()
    for text in (capsys.readouterr().out, page):
        assert "red" in text
        assert all(character.isprintable() or character == "\n" for character in text)
        assert not any(line.startswith("root: ok") for line in text.splitlines())
    assert "<script" not in page


@pytest.mark.parametrize("name", ["a.md", "a.csv", "a.svg", "made/model.md", "made/model.csv"])
def test_nothing_else_is_replaced(name, run_file, tmp_path, capsys):
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("my notes")
    output = mine.parent if mine.parent != tmp_path else mine
    assert command.main([str(run_file), "--ranks", "4", *GIVEN, "--output", str(output)]) == 2
    assert "it stays untouched" in capsys.readouterr().err
    assert mine.read_text() == "my notes"


def test_a_prediction_is_printed_before_it_is_written(run_file, tmp_path, capsys, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(model_files, "write_text", full)
    path = tmp_path / "made.csv"
    assert command.main([str(run_file), "--ranks", "4", *GIVEN, "--output", str(path)]) == 1
    printed = capsys.readouterr()
    assert "efficiency of 0.75" in printed.out
    assert f"No space left on device: {path}" in printed.err


def test_without_an_mpirun_costs_are_zero_and_that_is_said(run_file, capsys, monkeypatch):
    monkeypatch.setattr(costs, "find_mpirun", lambda: None)
    assert command.main([str(run_file), "--ranks", "8"]) == 0
    assert "there is no mpirun to measure with, so what isn't given is 0" in capsys.readouterr().out
    assert command.main([str(run_file), "--ranks", "8", "--here"]) == 2


def test_a_measurement_that_fails_is_told_in_one_line(run_file, tmp_path, capsys, monkeypatch):
    for script, told in (
        ("echo no >&2; exit 3", "exit code 3: no"),
        ("sleep 60", "took more than 0.2 s"),
    ):
        program = tmp_path / "mpirun"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(costs, "find_mpirun", lambda: str(tmp_path / "mpirun"))
        monkeypatch.setattr(costs, "_SECONDS", 0.2 if "sleep" in script else 60)
        monkeypatch.setattr(costs, "_SECONDS_A_RANK", 0.0)
        assert command.main([str(run_file), "--ranks", "2"]) == 1
        line = capsys.readouterr().err.splitlines()[-1]
        assert told in line
        assert "--reduce-seconds" in line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--ranks", "0"], "--ranks: expected whole numbers from 1 on, got 0"),
        (["--ranks", "-4"], "--ranks: expected whole numbers from 1 on, got -4"),
        (["--ranks", "1,x"], "--ranks: expected whole numbers with commas between"),
        (["--ranks", "1.5"], "--ranks: expected whole numbers"),
        (["--ranks", ""], "--ranks: expected whole numbers"),
        (["--ranks", "1e7"], "--ranks: expected at most 1_048_576, got 10_000_000"),
        (["--workers", "0"], "--workers: expected a whole number from 1"),
        (["--workers", "64"], "--workers: 1_000_000 × 64 processes; expected at most 4_194_304"),
        (
            ["--schedule", "static"],
            "--schedule: expected stride, slice, dynamic or all, got 'static'",
        ),
        (["--blocks", "0"], "--blocks: expected a whole number from 1"),
        (["--blocks", "1e12"], "--blocks: 1_000_000_000_000 blocks"),
        (["--blocks", "1e99"], "--blocks: expected a whole number"),
        (["--weak", "--blocks", "2000"], "--weak: 2_000_000_000 blocks for 1_000_000 ranks"),
        (["--seed", "-1"], "--seed: expected a whole number from 0 on"),
        (["--seed", "1e300"], "--seed: expected a whole number"),
        (["--seed", "x"], "--seed: expected a whole number"),
        (["--reduce-seconds", "-1"], "--reduce-seconds: expected seconds from 0"),
        (["--counter-seconds", "nan"], "--counter-seconds: expected seconds from 0"),
        (
            ["--counter-seconds", "fast"],
            "--counter-seconds: expected seconds, such as 5e-6, got 'fast'",
        ),
        (["--here"], "--here: 1_000_000 ranks"),
        (["--here", "--ranks", "2", "--reduce-seconds", "1"], "--here: measures the costs"),
        (["--output", "nowhere/at/all"], "--output: there is no folder"),
        (["--output", "run.txt"], "--output: expected a folder, or a file of .md"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_bad_options(words, told, run_file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.main(["run.h5", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert f"mpipar model: error: {told}" in printed.err.replace("argument ", "")
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]


def older(path: Path) -> None:
    write(path, [1.0], spans=False)


def without_blocks(path: Path) -> None:
    write(path, [])


def unfinished(path: Path) -> None:
    with OutputFile(path, kernel.bind({"times": [0.0] * 4}), Comm()) as output:
        output.commit(Done(output.base.total, [range(3)]))


def study(path: Path) -> None:
    size = Size(STRONG, 1, 1)
    runs = {Run(size, 1): Measured(1.0, 2.0, {"nodes": 1, "n": 10, "value": 1}, ["node"], 0.0)}
    write_data(path, runs, [scaling_table(STRONG, runs, None, 4)], {})


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "there is no file"),
        (Path.mkdir, "is a folder"),
        (lambda path: path.write_text("no"), "is not an HDF5 file"),
        (lambda path: h5py.File(path, "w").close(), "not a result of mpipar"),
        (unfinished, "holds a run that isn't finished"),
        (study, "has the times of a scaling study"),
        (older, "has no timeline: it is of an older version"),
        (without_blocks, "has no timeline: there was nothing to evaluate"),
        (lambda path: write(path, [1.0, 1.0], [(0, 0, 10**9, 0, 1)]), "is damaged (the timeline"),
        (
            lambda path: write(path, [1.0] * 8, [(0, i, 2**62, i, i + 1) for i in range(4)]),
            "is damaged (the timeline",
        ),
        (lambda path: write(path, [1.0], [(0, 1, 1, 0, 1)]), "is damaged (the timeline"),
        (lambda path: write(path, [1.0], [(0, 0, 1, 0, 1e308)]), "is damaged (the timeline"),
        (lambda path: write(path, [1.0] * 9, [(0, i, 1, 0, 1) for i in range(9)]), "overlap"),
        (
            lambda path: write(path, [1.0], spans=False, resumed_blocks=1, done_before=True),
            "had been done before",
        ),
        (lambda path: write(path, [1.0], [(0, 0, 1, 5, 1)]), "damaged"),
        (lambda path: write(path, [1.0], [(0, 0, 1, 0, math.nan)]), "damaged"),
    ],
)
def test_bad_files(make, told, tmp_path, capsys):
    path = tmp_path / "bad.h5"
    make(path)
    assert command.main([str(path), *GIVEN]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert told in printed.err


def test_odd_blocks_of_a_timeline_do_no_harm(tmp_path, capsys):
    """Blocks that aren't of the plan are not taken into it."""
    path = write(
        tmp_path / "odd.h5", [1.0] * 3, [(0, -5, 1, 0, 1), (0, 10**15, 1, 0, 1), (0, 1, 1, 0, 2)]
    )
    assert command.main([str(path), "--ranks", "2", *GIVEN]) in (0, 2)


def test_a_run_of_this_version_has_what_is_needed(tmp_path, capsys):
    path = tmp_path / "run.h5"
    result = evaluate(kernel, tasks=30, mean=0.003, output=path)
    found = load(path)
    assert result.value <= found.measured.values.sum() <= found.summary.elapsed
    assert found.measured.values.sum() == pytest.approx(found.summary.busy, rel=0.05)
    assert measurement(found.summary).values.tolist() == found.measured.values.tolist()
    assert command.main([str(path), "--ranks", "1,2", *GIVEN]) == 0


@MODERATE
@given(ranks=st.integers(1, 5), schedule=st.sampled_from(SCHEDULES), data=st.data())
def test_any_timeline_keeps_its_sum(ranks, schedule, data):
    """Whatever became of the order: spans of several chunks name one block alone."""
    lengths = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=12))
    n_blocks = sum(lengths) + data.draw(st.integers(0, 3))
    firsts = data.draw(
        st.lists(st.integers(0, n_blocks - 1), min_size=len(lengths), max_size=len(lengths))
    )
    means = np.arange(1.0, 1 + len(lengths))
    found = block_times._spread_out(
        np.array(firsts), np.array(lengths), means, ranks if schedule == "stride" else 1, n_blocks
    )
    mean = np.average(means, weights=lengths)
    assert len(found) == n_blocks
    assert found.sum() == pytest.approx(means @ lengths + mean * (n_blocks - sum(lengths)))
