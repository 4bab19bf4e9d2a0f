"""What processes share is the script's in all workers, though they import the script: a global, in a class, elsewhere."""

from multiprocessing import Lock, Pool, Queue, Value

from helper_shared import total

count, lock = None, None


class Tally:
    lock, hits = None, None
    names = ("a", "b")

    @classmethod
    def add(cls):
        with cls.lock:
            cls.hits.value += 1


class Box:
    def __init__(self):
        self.inside = None


box, shelf = Box(), [None]


def add(x, default=[None]):
    with lock:
        count.value += 1
    with total.get_lock():
        total.value += 1
    Tally.add()
    with box.inside.get_lock(), shelf[0].get_lock(), default[0].get_lock():
        box.inside.value += 1
        shelf[0].value += 1
        default[0].value += 1
    queue.put(x)
    return x


if __name__ == "__main__":
    count, lock, queue = Value("i", 0, lock=False), Lock(), Queue()
    Tally.lock, Tally.hits = Lock(), Value("i", 0, lock=False)
    box.inside, shelf[0], add.__defaults__[0][0] = (Value("i", 0) for _ in range(3))
    with Pool(2) as pool:
        print(sum(pool.map(add, range(100))))
        print(sorted(queue.get() for _ in range(100)) == list(range(100)))
    print(
        count.value,
        total.value,
        Tally.hits.value,
        box.inside.value,
        shelf[0].value,
        add.__defaults__[0][0].value,
    )
