"""One pool after the other, and two at once."""

from multiprocessing import Pool

offset = 0


def shift(x):
    return x + offset


def scale(x):
    return 10 * x


def twice(x):
    return 2 * shift(x)


if __name__ == "__main__":
    for offset in (1, 100):  # noqa: B007 (the functions use it)
        with Pool(2) as pool:
            print(pool.map(shift, range(5)), pool.map(twice, range(3)))
    with Pool(2) as left, Pool(2) as right:
        slow = left.map_async(scale, range(50))
        fast = [right.apply_async(shift, (x,)) for x in range(5)]
        print([result.get() for result in fast])
        print(sum(slow.get()))
        print(right.map(scale, left.map(shift, range(4))))
    closed = Pool(1)
    closed.close()
    try:
        closed.map(scale, [1])
    except ValueError as error:
        print(error)
    closed.join()
    terminated = Pool(1)
    terminated.terminate()
    terminated.join()
    print("terminated")
