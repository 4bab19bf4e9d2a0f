"""An initializer gives each worker what all its tasks need, once."""

import multiprocessing

table = None
calls = 0


def prepare(size, scale):
    global table
    table = [scale * n * n for n in range(size)]


def look_up(index):
    global calls
    calls += 1
    return table[index], calls > 0


if __name__ == "__main__":
    with multiprocessing.Pool(3, initializer=prepare, initargs=(100, 0.5)) as pool:
        found = pool.map(look_up, range(0, 100, 9))
    print([value for value, _ in found], all(counted for _, counted in found))
    with multiprocessing.Pool(initializer=prepare, initargs=(10, 2), maxtasksperchild=2) as pool:
        found = pool.map(look_up, range(10))
    print(
        [value for value, _ in found]
    )  # not above, where new workers may be forked with it in their buffers
    print("here:", table, calls)
