import gc
import os
import pickle

import numpy as np
import pytest
from conftest import python
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar import ExactSum, PositiveInt, RunFailed, driver
from mpipar.runtime.communicator import Comm
from mpipar.runtime.shared import NodeArray, make, shared_arrays

MODERATE = settings(max_examples=60, deadline=None)


def opened() -> list[str]:
    """Return what this process has open, and what memory of ours it maps."""
    gc.collect()
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:  # that of the listing itself
            continue
    with open("/proc/self/maps") as maps:
        return sorted(
            [name for name in found if "memfd" in name]
            + [line for line in maps if "memfd:mpipar" in line]
        )


@pytest.fixture(autouse=True)
def nothing_is_left_open():
    assert opened() == []
    yield
    assert opened() == []


def ramp(empty, shape=12, dtype=float):
    made = empty(shape, dtype)
    made.reshape(-1)[...] = np.arange(made.size)
    return made


def test_an_array_that_fills_memory_of_the_node():
    room = make(ramp)
    try:
        assert (room.pid, room.shape, room.dtype, room.nbytes) == (
            os.getpid(),
            (12,),
            np.dtype(float),
            96,
        )
        assert room.attach().tolist() == list(range(12))
    finally:
        room.release()


def test_any_other_array_is_copied():
    for other in (np.arange(6.0).reshape(2, 3).T, [1, 2, 3], 7.5, np.broadcast_to(3, (2, 2))):
        room = make(lambda empty, other=other: other)
        np.testing.assert_array_equal(room.attach(), other)
        assert room.attach().dtype == np.asarray(other).dtype
        room.release()


def test_a_view_of_memory_of_the_node_is_copied():
    room = make(lambda empty: ramp(empty)[3:6])
    assert room.shape == (3,)
    assert room.attach().tolist() == [3.0, 4.0, 5.0]
    room.release()


def test_only_the_array_that_is_returned_is_kept():
    def several(empty):
        scratch, result = empty(1000), empty((2, 2), int)
        scratch[:] = 1.0
        result[:] = scratch[0] + 1
        empty(5)
        return result

    room = make(several)
    assert room.attach().tolist() == [[2, 2], [2, 2]]
    assert len([name for name in opened() if name.startswith("/memfd")]) == 1
    room.release()


def test_it_is_read_only_where_it_is_attached():
    room = make(ramp)
    array = room.attach()
    assert not array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1.0
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True
    room.release()


def test_it_lives_on_where_it_is_attached():
    room = make(ramp)
    array = room.attach()
    room.release()
    room.release()  # once more does no harm
    assert array.sum() == 66.0
    with pytest.raises(OSError):
        room.attach()


@pytest.mark.parametrize(
    "shape", [0, (), 3, np.int64(3), [2, 3], (4, 0, 2), np.array([2, 2]), (1, 1, 1, 1), 4097]
)
@pytest.mark.parametrize(
    "dtype", ["f8", float, np.int8, "?", "c16", ">f4", "S3", "U3", [("k", "i4"), ("name", "U5")]]
)
def test_shapes_and_types(shape, dtype):
    expected = np.empty(shape, dtype)
    expected.reshape(-1).view(np.uint8)[...] = (
        np.arange(expected.nbytes) % 7 if expected.dtype.kind != "U" else 0
    )

    def filled(empty):
        made = empty(shape, dtype)
        made[...] = expected
        return made

    room = make(filled)
    array = room.attach()
    assert (array.dtype, array.shape, array.tobytes()) == (
        expected.dtype,
        expected.shape,
        expected.tobytes(),
    )
    assert room.nbytes == expected.nbytes
    room.release()


@MODERATE
@given(
    shape=st.lists(st.integers(0, 5), max_size=4),
    dtype=st.sampled_from(["f8", "u1", "c8", [("a", "i1"), ("b", "f8", (2,))]]),
    seed=st.integers(0, 2**32),
)
def test_any_array_comes_back_bit_by_bit(shape, dtype, seed):
    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype=int))
    expected = np.frombuffer(
        np.random.default_rng(seed).bytes(max(1, size * kind.itemsize)), kind, size
    ).reshape(shape)
    room = make(lambda empty: expected)
    array = room.attach()
    assert (array.dtype, array.shape, array.tobytes()) == (
        expected.dtype,
        expected.shape,
        expected.tobytes(),
    )
    room.release()


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda empty: empty(3, object), TypeError),
        (lambda empty: np.array([{}, []], object), TypeError),
        (lambda empty: empty((2, -3)), ValueError),
        (lambda empty: empty(-1), ValueError),
        (lambda empty: empty("many"), ValueError),
        (lambda empty: empty(2**50), OSError),
        (lambda empty: empty((2**40, 2**40)), (OSError, OverflowError, ValueError)),
        (lambda empty: (empty(3), 1 / 0), ZeroDivisionError),
        (lambda empty: (empty(3), [[1], [1, 2]])[1], ValueError),
        (lambda empty: (empty(3), exit(3)), SystemExit),
        (lambda empty: None, TypeError),
    ],
)
def test_nothing_is_left_open_after_a_failure(function, error):
    with pytest.raises(error):
        make(function)


ATTACH = """
import pickle, sys
room = pickle.loads(bytes.fromhex(sys.argv[1]))
array = room.attach()
print(array.sum(), array.flags.writeable, array.shape)
try:
    array[0] = 1
except ValueError:
    print("read-only")
"""


def test_another_process_can_attach():
    room = make(lambda empty: ramp(empty, (3, 4)))
    pickled = pickle.dumps(room)
    assert pickle.loads(pickled) == room
    assert len(pickled) < 500, "the array doesn't travel"
    finished = python("-c", ATTACH, pickled.hex())
    assert finished.stdout.splitlines() == ["66.0 False (3, 4)", "read-only"], finished.stderr
    room.release()
    assert "FileNotFoundError" in python("-c", ATTACH, pickled.hex()).stderr


def test_memory_is_the_same_for_both():
    code = "import pickle, sys; print(pickle.loads(bytes.fromhex(sys.argv[1])).attach()[0])"
    held = []

    def keep(empty):
        held.append(empty(3))
        return held[0]

    room = make(keep)
    for value in (1.5, 2.5):
        held[0][:] = value
        assert python("-c", code, pickle.dumps(room).hex()).stdout.strip() == str(value)
    held.clear()
    room.release()


@driver(n="items", reduction=ExactSum, block=4)
def looked_up(
    block, small, large, *, items: PositiveInt = 12, size: int = 5, fail: bool = False
) -> float:
    return float(small[0] + large[-1])


@looked_up.shared
def small(empty):
    made = empty(1)
    made[:] = 0.5
    return made


@looked_up.shared
def large(empty, *, size, fail):
    made = empty(size)
    if fail:
        raise ValueError("can't be made")
    made[:] = np.arange(size)
    return made


def test_arrays_of_a_kernel_exist_while_it_runs():
    bound = looked_up.bind({"size": 7})
    with shared_arrays(bound, Comm()) as arrays:
        assert set(arrays) == {"small", "large"}
        assert all(isinstance(array, NodeArray) for array in arrays.values())
        evaluator = bound.evaluator({name: array.attach() for name, array in arrays.items()})
        assert evaluator(bound.plan[0]) == 6.5
        del evaluator


def test_a_kernel_without_any_needs_none():
    @driver(n="items", reduction=ExactSum)
    def kernel(block, *, items: int = 3): ...

    with shared_arrays(kernel.bind({}), Comm()) as arrays:
        assert arrays == {}


def test_a_maker_that_raises_is_a_failure_of_the_run():
    with (
        pytest.raises(
            RunFailed,
            match=(
                r"^rank 0 on host \S+, making the shared array 'large': ValueError: can't be made\n"
            ),
        ),
        shared_arrays(looked_up.bind({"fail": True}), Comm()),
    ):
        pytest.fail("there are no arrays")


def test_arrays_are_gone_after_a_failure_of_the_run():
    with pytest.raises(ZeroDivisionError), shared_arrays(looked_up.bind({}), Comm()):
        raise ZeroDivisionError
