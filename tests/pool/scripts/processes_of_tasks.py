"""Tasks that start processes, pickles of types that have reducers of their own, and a name that is
bound anew.
"""

import copyreg
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Manager, Pool, Process, Queue, current_process
from multiprocessing.reduction import ForkingPickler


class Registered:
    def __init__(self, value):
        self.value, self.cannot_be_pickled = value, (each for each in ())


class Registered2(Registered):
    pass


def make(value):
    return Registered(value + 100)


def make2(value):
    return Registered2(value + 1000)


ForkingPickler.register(Registered, lambda each: (make, (each.value,)))
copyreg.pickle(Registered2, lambda each: (make2, (each.value,)))
FACTOR = 1


def value_of(each):
    return each.value


def times(_):
    return FACTOR


def twice(queue, i):
    queue.put(2 * i)


def starts_process(i):
    queue = Queue()
    process = Process(target=twice, args=(queue, i))
    process.start()
    value = queue.get()
    process.join()
    return value, process.exitcode, current_process().daemon


def starts_manager(i):
    with Manager() as manager:
        found = manager.dict()
        process = Process(target=found.update, args=({i: "found"},))
        process.start()
        process.join()
        return dict(found)


def has_executor(i):
    with ProcessPoolExecutor(2) as executor:
        return list(executor.map(abs, [-1, -i]))


def may_not(_):
    try:
        Process(target=print).start()
    except AssertionError as error:
        return str(error)


if __name__ == "__main__":
    with Pool(2) as pool:
        print(pool.map(value_of, [Registered(1), Registered2(2)]))
        print(
            [each.value for each in pool.map(Registered, [3])], pool.apply(Registered2, (5,)).value
        )
        result = pool.map_async(times, range(20000))
        FACTOR = 2
        print(set(result.get()))
        print(pool.apply(may_not, (0,)))
    with ProcessPoolExecutor(2) as executor:
        print(list(executor.map(starts_process, range(3))))
        print(list(executor.map(starts_manager, range(2))))
        print(list(executor.map(has_executor, range(2))))
        print(
            executor.submit(value_of, Registered(4)).result(),
            executor.submit(Registered, 7).result().value,
        )
