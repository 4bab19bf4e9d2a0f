"""Programs look at the processes of pools, though the names for that are private, and are warned of
one left open.
"""

import gc
import os
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool


def pid(_=0):
    return os.getpid()


if __name__ == "__main__":
    with Pool(2) as pool:
        processes = pool._pool
        print(
            pool._processes == len(processes),
            [process.is_alive() for process in processes] == [True] * len(processes),
        )
        print(
            {process.exitcode for process in processes}, {process.daemon for process in processes}
        )
        print(set(pool.map(pid, range(100), 1)) <= {process.pid for process in processes})
    print({process.is_alive() for process in processes})
    with ProcessPoolExecutor(2) as executor:
        pids = {future.result() for future in [executor.submit(pid) for _ in range(20)]}
        print(pids <= set(executor._processes), len(executor._pending_work_items))
        print({process.is_alive() for process in executor._processes.values()})
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        pool = Pool(1)
        pool.map(abs, [-1])
        del pool
        gc.collect()
        print({warning.category.__name__ for warning in heard})
