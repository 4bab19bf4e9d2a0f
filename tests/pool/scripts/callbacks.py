"""Collecting results with callbacks, and what went wrong with error callbacks."""

from multiprocessing import Pool

collected = []
errors = []
lists = []


def reciprocal(x):
    return 1 / x


def collect(value):
    collected.append(value)


def complain(error):
    errors.append(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    pool = Pool(3)
    for x in [1, 2, 0, 4, 5, 0, 8]:
        pool.apply_async(reciprocal, args=(x,), callback=collect, error_callback=complain)
    good = pool.map_async(reciprocal, [10, 20], callback=lists.append)
    bad = pool.map_async(reciprocal, [1, 0], callback=lists.append, error_callback=complain)
    print("good:", good.get())
    bad.wait()
    print("bad was successful:", bad.successful())
    pool.close()
    pool.join()
    print("collected:", sorted(collected))
    print("errors:", errors)
    print("lists:", lists)
