"""Workers that can't end before somebody has read what their tasks have put into a queue."""

import time
from multiprocessing import Pool, Queue

queue = Queue()


def put(i):
    queue.put(bytes([i]) * 1_000_000)


if __name__ == "__main__":
    pool = Pool(2)
    pool.map(put, range(4))
    pool.close()
    time.sleep(3)  # longer than workers are given to end by themselves
    print(sorted((found[0], len(found)) for found in (queue.get() for _ in range(4))))
    pool.join()
