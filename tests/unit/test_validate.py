"""Tables of a result file, one number at a time at, and beyond, what can be."""

from types import SimpleNamespace

import numpy as np
import pytest

from mpipar.store.attributes import MOST_SECONDS
from mpipar.store.validate import check_tables

BLOCKS = 10
RUN = SimpleNamespace(placement=SimpleNamespace(ranks=1), plan=SimpleNamespace(n_blocks=BLOCKS))
SPANS = [("worker", "i8"), ("block", "i8"), ("blocks", "i8"), ("begin", "f8"), ("end", "f8")]


def check(*, ranks=1, processes=(), timeline=()):
    """Check tables of two processes and of two spans, changed in the first row."""
    worked = np.array(
        [(4, 1.0, 0.5), (6, 2.0, 0.5)], [("blocks", "i8"), ("seconds", "f8"), ("longest", "f8")]
    )
    spans = np.array([(0, 0, 4, 0.0, 1.0), (1, 4, 6, 0.5, 2.5)], SPANS)
    for table, changes in ((worked, processes), (spans, timeline)):
        for name, value in changes:
            table[name][0] = value
    check_tables(RUN, worked, worked[:ranks], spans)


@pytest.mark.parametrize(
    "timeline",
    [
        (),
        [("worker", 1), ("end", 0.5)],
        [("block", BLOCKS - 1)],
        [("blocks", 1)],
        [("begin", -MOST_SECONDS)],
    ],
)
def test_what_can_be_is_taken(timeline):
    check(timeline=timeline)


@pytest.mark.parametrize(
    "change",
    [
        ("worker", -1),
        ("worker", 2),
        ("block", -1),
        ("block", BLOCKS),
        ("blocks", 0),
        ("blocks", 5),
        ("blocks", 2**63 - 1),
        ("begin", -1.1 * MOST_SECONDS),
        ("end", np.nan),
        ("end", 1.1 * MOST_SECONDS),
    ],
)
def test_a_span_that_no_run_has_is_refused(change):
    with pytest.raises(ValueError, match="the timeline has spans that can't be"):
        check(timeline=[change])


@pytest.mark.parametrize("timeline", [[("begin", 1.5)], [("worker", 1)]])
def test_spans_of_a_process_follow_each_other(timeline):
    with pytest.raises(ValueError, match="spans of a process that overlap"):
        check(timeline=timeline)


@pytest.mark.parametrize(
    ("name", "value"),
    [("blocks", -1), ("seconds", -0.1), ("seconds", np.nan), ("longest", 1.1 * MOST_SECONDS)],
)
def test_counts_and_times_that_no_process_has_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} has numbers that can't be"):
        check(processes=[(name, value)])


def test_each_rank_has_a_row():
    with pytest.raises(ValueError, match="ranks is 1, and 2 are there"):
        check(ranks=2)
