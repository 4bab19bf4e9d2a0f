"""What processes share is the script's in all workers, where a module of the script's has it."""

from multiprocessing import Pool

import helper_shared_state
from helper_shared_state import total, use


def task(i):
    with total.get_lock():
        total.value += 0
    return use(i)


if __name__ == "__main__":
    with Pool(2) as pool:
        print(sorted(pool.map(task, range(10))))
        pool.close()
        pool.join()
    helper_shared_state.tell()
    print(total is helper_shared_state.total)
    helper_shared_state.end()
