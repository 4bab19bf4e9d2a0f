import ctypes
import functools
import io
import multiprocessing
import os
import pickle
import socket
import threading
from multiprocessing.sharedctypes import RawArray

import pytest

from mpipar.pool import by_value, lending, sharing

sharing.install()
dumps = functools.partial(by_value.dumps, lends=True)


def test_what_is_lent_is_so_until_nobody_keeps_it():
    reader, writer = os.pipe()
    lent = lending.lend(writer)
    borrowable = lending.Borrowable(lending.address(), lent.key)
    assert lending.lend(writer) is lent
    os.close(writer)
    for _ in range(2):
        borrowed = borrowable.detach()
        os.write(borrowed, b"x")
        os.close(borrowed)
    del lent
    with pytest.raises(OSError, match="no longer"):
        borrowable.detach()
    assert os.read(reader, 10) == b"xx"
    assert os.read(reader, 10) == b""  # there is no other end
    os.close(reader)


def test_an_end_of_a_pipe_is_not_taken_for_one_that_had_its_number():
    reader, writer = os.pipe()
    lent = lending.lend(writer)
    os.close(writer)
    assert os.dup(reader) == writer
    assert lending.lend(writer) is not lent
    os.close(writer)
    os.close(reader)


@pytest.mark.parametrize(
    "make", [multiprocessing.Lock, multiprocessing.Queue, lambda: multiprocessing.Pipe()[0]]
)
def test_what_a_process_has_already_is_the_same_there(make):
    shared = make()
    again = by_value.loads(dumps({"inside": [shared]}).frames)["inside"][0]
    assert again is shared


def test_what_another_process_gets_is_kept_as_long_as_its_pickle():
    pickled = dumps(multiprocessing.Value("i", 3))
    sharing._here.clear()  # as in another process
    value = by_value.loads(pickled.frames)
    other = by_value.loads(pickled.frames)
    assert value is other
    assert value.value == 3
    sharing._here.clear()
    third = by_value.loads(pickled.frames)
    assert third is not value
    value.value = 4
    assert third.value == 4


def test_nothing_is_shared_with_another_node_that_cannot_ask():
    lock = multiprocessing.Lock()
    _, (_, *arguments) = sharing.reduced(lock, [])
    sharing._here.clear()
    there = sharing._same("/nowhere/at all", *arguments)
    with pytest.raises(OSError, match="on another"):
        there.acquire()


def test_a_result_is_pickled_as_the_standard_library_does():
    with pytest.raises(RuntimeError, match="inheritance"):
        by_value.dumps(multiprocessing.Lock())


def test_containers_are_looked_through():
    assert sharing.holds_shared([(1, {"a": multiprocessing.Lock()})], depth=3)
    assert sharing.holds_shared(RawArray("d", 1))
    assert not sharing.holds_shared(threading.Lock())
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert sharing.holds_shared({"socket": ours})
    assert not sharing.holds_shared([1, "a", io.StringIO(), [b""]])


def test_numbers_of_ctypes_are_pickled_by_value_even_if_others_are_shared():
    shared = RawArray(ctypes.c_int, 2)
    del shared
    assert (
        by_value.loads(dumps(ctypes.c_int(3)).frames).value
        == pickle.loads(pickle.dumps(ctypes.c_int(3))).value
        == 3
    )
