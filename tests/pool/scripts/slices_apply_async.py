"""The sum of many terms, cut into slices by hand: one call of apply_async for each slice."""

import multiprocessing


def partial_sum(start, stop, *, power=2):
    total = 0
    for n in range(start, stop):
        total += n**power
    return start, stop, total


if __name__ == "__main__":
    count = 20_000
    slices = 7
    pool = multiprocessing.Pool(processes=multiprocessing.cpu_count())
    results = []
    for i in range(slices):
        start = i * count // slices
        stop = (i + 1) * count // slices
        results.append(pool.apply_async(partial_sum, (start, stop), {"power": 3}))
    pool.close()
    pool.join()

    total = 0
    for result in results:
        start, stop, part = result.get()
        print(f"slice {start:5d} ... {stop:5d}: {part}")
        total += part
    print("total:", total)
    print("check:", (count * (count - 1) // 2) ** 2 == total)
