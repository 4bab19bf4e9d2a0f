import itertools
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar import Count, PositiveInt, driver
from mpipar.core.blocks import Blocks
from mpipar.runtime.evaluate import Evaluator, Task
from mpipar.runtime.timeline import (
    MOST_SPANS,
    MOST_SPANS_OF_ALL,
    SHORTEST_SPAN,
    Span,
    Timeline,
    most_of_each,
)

MODERATE = settings(max_examples=60, deadline=None)


def chunks_of(seconds: list[float], size: int, pause: float = 0.0):
    """Yield chunks of consecutive blocks with their marks, one mark for each block."""
    now = 100.0
    for first in range(0, len(seconds), size):
        marks = [(0, now)]
        for position, each in enumerate(seconds[first : first + size], 1):
            now += each
            marks.append((position, now))
        yield Blocks([range(first, first + len(marks) - 1)]), marks
        now += pause


def of(seconds: list[float], size: int = 10, pause: float = 0.0) -> Timeline:
    timeline = Timeline()
    for chunk, marks in chunks_of(seconds, size, pause):
        timeline.add(chunk, marks)
    return timeline


def evaluated(blocks: Blocks, wait: float, fails_at: int = -1):
    """Return the marks of a chunk whose blocks take ``wait`` seconds."""

    def kernel(block, *, items: PositiveInt):
        if block.index == fails_at:
            raise ValueError
        time.sleep(wait)
        return 1

    bound = driver(n="items", reduction=Count)(kernel).bind({"items": 10_000}, block=1)
    return Evaluator(Task(bound)).evaluate(blocks)


def test_long_blocks_have_spans_of_their_own():
    spans = of([0.5, 0.002, 0.25], size=2).since(100.0)
    assert [(span.block, span.blocks) for span in spans] == [(0, 1), (1, 1), (2, 1)]
    assert [round(span.begin, 9) for span in spans] == [0.0, 0.5, 0.502]
    assert [round(span.end, 9) for span in spans] == [0.5, 0.502, 0.752]


def test_short_blocks_share_spans_over_chunks_but_not_over_pauses():
    spans = of([SHORTEST_SPAN / 20] * 100, size=3).since(100.0)
    assert 4 <= len(spans) <= 6
    assert sum(span.blocks for span in spans) == 100
    spans = of([SHORTEST_SPAN / 20] * 9, size=3, pause=SHORTEST_SPAN).since(100.0)
    assert [(span.block, span.blocks) for span in spans] == [(0, 3), (3, 3), (6, 3)], (
        "a wait is not hidden"
    )


def test_a_long_block_among_short_ones_has_a_span_of_its_own():
    short = [SHORTEST_SPAN / 50] * 30
    spans = of([*short, 20 * SHORTEST_SPAN, *short], size=7).since(100.0)
    assert [
        (span.block, span.blocks) for span in spans if span.end - span.begin > 10 * SHORTEST_SPAN
    ] == [(30, 1)]
    assert sum(span.blocks for span in spans) == 61

    def kernel(block, *, items: PositiveInt):
        if block.index == 70:
            time.sleep(20 * SHORTEST_SPAN)
        return 1

    bound = driver(n="items", reduction=Count)(kernel).bind({"items": 100}, block=1)
    timeline, chunk = Timeline(), Blocks([range(100)])
    timeline.add(chunk, Evaluator(Task(bound)).evaluate(chunk).marks)
    spans = timeline.since(0.0)
    longest = max(spans, key=lambda span: span.end - span.begin)
    assert (longest.block, longest.blocks) == (70, 1)
    assert sum(span.blocks for span in spans) == 100


def test_the_first_block_of_a_stride_is_named():
    timeline = Timeline()
    timeline.add(Blocks([range(3, 40, 4)]), [(0, 1.0), (4, 2.0), (10, 3.0)])
    assert timeline.since(1.0) == [Span(3, 4, 0.0, 1.0), Span(19, 6, 1.0, 2.0)]


def test_an_evaluator_marks_when_blocks_were_done():
    outcome = evaluated(Blocks([range(5)]), 2 * SHORTEST_SPAN)
    assert [position for position, _ in outcome.marks][:6] == [0, 1, 2, 3, 4, 5]
    times = [moment for _, moment in outcome.marks]
    assert times == sorted(times)
    assert abs(times[-1] - times[0] - outcome.seconds) < 1e-9
    quick = evaluated(Blocks([range(1000)]), 0.0)
    assert len(quick.marks) <= 2 + quick.seconds / SHORTEST_SPAN
    assert quick.marks[-1][0] == 1000


def test_a_block_that_fails_is_no_part_of_it():
    outcome = evaluated(Blocks([range(5)]), 2 * SHORTEST_SPAN, fails_at=3)
    timeline = Timeline()
    timeline.add(Blocks([range(5)]), outcome.marks)
    assert sum(span.blocks for span in timeline.since(0.0)) == 3


@MODERATE
@given(
    seconds=st.lists(st.floats(1e-7, 0.1), max_size=300),
    size=st.integers(1, 50),
    pause=st.sampled_from([0.0, 1e-6, 0.01]),
    most=st.integers(1, 400),
)
def test_spans_are_in_order_and_cover_all_blocks_once(seconds, size, pause, most):
    timeline = of(seconds, size, pause)
    spans = timeline.since(100.0, most)
    assert len(spans) <= most
    assert sum(span.blocks for span in spans) == len(seconds)
    assert [span.block for span in spans] == list(
        itertools.accumulate((span.blocks for span in spans[:-1]), initial=0)
    )[: len(spans)]
    assert all(span.begin <= span.end for span in spans)
    assert all(one.end <= other.begin + 1e-9 for one, other in itertools.pairwise(spans))


def test_memory_is_bounded():
    timeline = of([2 * SHORTEST_SPAN] * (5 * MOST_SPANS), size=100)
    assert MOST_SPANS // 8 < len(timeline.spans) <= MOST_SPANS
    assert sum(span.blocks for span in timeline.spans) == 5 * MOST_SPANS


def test_what_goes_to_the_root_is_bounded():
    for processes in (1, 16, 17, 1000, 10**6):
        most = most_of_each(processes)
        assert 1 <= most <= MOST_SPANS
        assert most == 1 or most * processes <= MOST_SPANS_OF_ALL
