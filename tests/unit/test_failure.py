import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpipar import BadInput, Block
from mpipar.runtime.failure import STOP, Failure, OnError, block_failure, items_of, one_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stop", OnError()),
        ("skip", OnError(skip=True)),
        ("retry:1", OnError(retries=1)),
        ("retry:3", OnError(retries=3)),
        ("retry:1e3", OnError(retries=1000)),
        ("retry:1_0", OnError(retries=10)),
    ],
)
def test_what_to_do_about_exceptions_is_understood(text, expected):
    assert OnError.parse(text) == expected
    assert (expected == STOP) == (text == "stop")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "Stop",
            "skip ",
            "skip:1",
            "stop:2",
            "retry",
            "retry:",
            "retry:0",
            "retry:-1",
            "retry:1.5",
            "retry:x",
        ),
        *(
            "retry:1001",
            "retry:1e9",
            "retry:1e999999",
            "retry:nan",
            "retry:inf",
            "retry:1:2",
            "ignore",
            ":",
            "retry 3",
        ),
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(BadInput) as caught:
        OnError.parse(text)
    told, _, hint = str(caught.value).partition("; did you mean ")
    assert told == f"expected stop, skip or retry:N with N from 1 to 1000, got {text!r}"
    assert hint in ("", "stop?", "skip?", "retry?")


@given(text=st.text(max_size=12) | st.text(max_size=6).map("retry:".__add__))
def test_any_text_is_understood_or_refused(text):
    try:
        outcome = OnError.parse(text)
    except BadInput as error:
        outcome = str(error)
    assert repr(text) in outcome if isinstance(outcome, str) else 0 <= outcome.retries <= 1000


def test_a_block_is_named_by_its_number_and_items():
    assert items_of(Block(2, 20, 30)) == "block 2 (items 20 to 29)"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("bad"), "ValueError: bad"),
        (ValueError("first\nsecond"), "ValueError: first"),
        (ValueError(), "ValueError"),
        (KeyError("x"), "KeyError: 'x'"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_an_exception_in_one_line(error, expected):
    assert one_line(error) == expected


def test_failure_of_a_block_has_the_traceback_from_the_kernel_on():
    def kernel():
        raise ValueError("bad\nvery bad")

    try:
        kernel()
    except ValueError as error:
        failure = block_failure(Block(2, 20, 30), error)
    assert (failure.where, failure.reason) == ("block 2 (items 20 to 29)", "ValueError: bad")
    assert "in kernel\n" in failure.details
    assert "test_failure_of_a_block" not in failure.details, "not the frame that called it"
    assert failure.details.endswith("ValueError: bad\nvery bad\n")


def test_message_tells_rank_host_block_and_reason_in_its_first_line():
    message = Failure("block 2", "ValueError: bad", "Traceback …\n").message(3, "node-a")
    assert message == "rank 3 on host node-a, block 2: ValueError: bad\nTraceback …"
    assert (
        Failure("block 2", "ValueError: bad").message(0, "b")
        == "rank 0 on host b, block 2: ValueError: bad"
    )


def test_too_little_memory_is_told_with_the_remedy():
    failure = block_failure(Block(2, 20, 30), MemoryError("Unable to allocate 7 TiB"))
    assert (
        failure.reason
        == "MemoryError: Unable to allocate 7 TiB (smaller blocks need less memory: --block)"
    )
