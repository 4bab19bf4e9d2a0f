"""functools.partial for arguments that are always the same, one of them a shared list."""

import multiprocessing
from functools import partial


def keep_if_divisible(divisor, kept, number):
    if number % divisor == 0:
        kept.append(number)
    return number % divisor


if __name__ == "__main__":
    manager = multiprocessing.Manager()
    kept = manager.list()
    pool = multiprocessing.Pool()
    rests = pool.map(partial(keep_if_divisible, 7, kept), range(60))
    pool.close()
    pool.join()
    print("rests:", rests[:10])
    print("divisible by 7:", sorted(kept))
    with multiprocessing.Pool() as pool:
        print("powers:", pool.map(partial(pow, 2), range(10)))
        print("numbers:", pool.map(partial(int, base=16), ["ff", "10", "a"]))
