"""What this module has, processes share."""

import dataclasses
import enum
import functools
import types
from multiprocessing import (
    Array,
    Event,
    Lock,
    Pipe,
    Queue,
    RawArray,
    RawValue,
    Semaphore,
    SimpleQueue,
    Value,
)
from multiprocessing.shared_memory import SharedMemory

import numpy as np


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Tally:
    __slots__ = ("own",)
    hits = Value("i")
    lock = Lock()

    def __init__(self):
        self.own = Value("i")

    @classmethod
    def add(cls):
        with cls.lock:
            cls.hits.value += 1

    @staticmethod
    def default(n=Value("i")):
        return inc(n)


@dataclasses.dataclass(frozen=True)
class Frozen:
    count: object


class Registry(dict):
    pass


total, raw_total = Value("i"), RawValue("i")
lock, event, room = Lock(), Event(), Semaphore(1)
queue, simple = Queue(), SimpleQueue()
receiver, sender = Pipe(duplex=False)
array, raw = Array("d", 10), RawArray("d", 10)
view = np.frombuffer(raw)
backwards = view[::-1]
reshaped = np.frombuffer(array.get_obj()).reshape(2, 5)
block = SharedMemory(create=True, size=88)
numbers = np.ndarray(10, buffer=block.buf, offset=8)
part = block.buf[:8]
counts = {Color.RED: Value("i"), ("a", 1): [Value("i"), (Value("i"), RawValue("i"))]}
spaces = types.SimpleNamespace(hits=Value("i"))
acquire = total.get_lock
tally, frozen, registry = Tally(), Frozen(Value("i")), Registry(n=Value("i"))
registry.extra = Value("i")
bound = functools.partial(lambda n: n, Value("i"))


def inc(value):
    with value.get_lock() if hasattr(value, "get_lock") else lock:
        value.value += 1
    return value


def counted():
    hits = Value("i")
    return lambda: inc(hits)


def keyword(*, n=Value("i")):
    return inc(n)


@functools.lru_cache
def cached(x, n=Value("i")):
    inc(n)
    return x


count = counted()


def values():
    several = [total, raw_total, counts[Color.RED], counts["a", 1][0], *counts["a", 1][1]]
    return [*several, spaces.hits, tally.own, frozen.count, registry["n"], registry.extra, bound()]


def use(i):
    for value in values():
        inc(value)
    for function in (Tally.add, Tally.default, count, keyword):
        function()
    cached(i)
    with lock:
        array[i] += i
        raw[i] += 2 * i
        view[i] += i
        reshaped[i // 5, i % 5] += 1
        backwards[i] += 0.5
        numbers[i] = i
        part[0] = part[0] + 1
    queue.put(i)
    with room:
        simple.put(i)
        sender.send(i)
    event.set()
    with acquire():
        return i


def tell():
    defaults = [Tally.default(), count(), keyword(), cached.__wrapped__.__defaults__[0]]
    print([each.value for each in (*values(), Tally.hits, *defaults)])
    print(list(array), list(raw), view.tolist(), reshaped.tolist(), numbers.tolist(), part[0])
    for get in (queue.get, simple.get, receiver.recv):
        print(sorted(get() for _ in range(10)))
    print(event.is_set())


def end():
    global numbers
    numbers = None
    part.release()
    block.close()
    block.unlink()
