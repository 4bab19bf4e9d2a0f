"""Three maps, an imap_unordered, an executor and nested calls: each task notes that it was begun."""

import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool

COUNT, SECONDS = int(sys.argv[1]), float(sys.argv[2])


def done(name):
    """Take some time; the name is in the file only when all of it is over."""
    time.sleep(SECONDS * (1 + hash_of(name) % 5))
    descriptor = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{name}\n".encode())
    os.close(descriptor)
    return name


def hash_of(name):
    return sum(name.encode())


def square(x):
    return done(f"square {x}"), x * x


def total(x, y):
    return {"name": done(f"total {x} {y}"), "sum": x + y}


def text(x):
    return done(f"text {x}")


def nested(x):
    return done(f"nested {x}"), x


def from_callbacks(pool):
    found, last = [], threading.Event()

    def go_on(outcome):
        _, x = outcome
        found.append(x)
        if x + 1 < COUNT // 4:
            pool.apply_async(nested, (x + 1,), callback=go_on)
        else:
            last.set()

    pool.apply_async(nested, (0,), callback=go_on)
    last.wait()
    return found


def from_threads(pool):
    found = {}

    def ask(thread):
        for x in range(COUNT // 16):
            found[thread, x] = pool.apply_async(nested, ((thread + 1) * 10**6 + x,)).get()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found.items())


if __name__ == "__main__":
    with Pool(2) as pool:
        print(pool.map(square, range(COUNT)))
        print(pool.starmap(total, [(x, 2 * x) for x in range(COUNT)]))
        print(pool.map(text, map(str, range(COUNT)), chunksize=3))
        print(sorted(pool.imap_unordered(text, (f"u{x}" for x in range(COUNT // 2)))))
        print(from_callbacks(pool))
        print(from_threads(pool))
    with ProcessPoolExecutor(2) as executor:
        futures = [executor.submit(square, -x) for x in range(1, COUNT // 4)]
        print([future.result() for future in futures])
        print(list(executor.map(total, range(-COUNT // 4, 0), range(COUNT))))
