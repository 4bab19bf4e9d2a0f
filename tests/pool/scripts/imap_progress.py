"""Results as they come, with imap and imap_unordered, and how far the work is."""

import time
from multiprocessing import Pool


def simulate(step):
    time.sleep(0.002 * (step % 3))
    return step, step**2


def numbers():
    yield from range(30)


if __name__ == "__main__":
    with Pool(4) as pool:
        for done, (step, value) in enumerate(pool.imap(simulate, numbers(), chunksize=5), start=1):
            if done % 10 == 0:
                print(f"{100 * done // 30:3d} %: step {step} gave {value}")
        unordered = pool.imap_unordered(simulate, range(12))
        print(sorted(unordered))
        print(sum(value for _, value in pool.imap_unordered(simulate, range(40), chunksize=10)))
        iterator = pool.imap(simulate, [7, 8])
        print(next(iterator), iterator.next(timeout=30), next(iterator, "the end"))
