"""A script of multiprocessing for the fault tests.   mpirun -np 2 python -m mpipar run
fault_pool.py FACE LOG
"""

import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

TASKS = 300


def work(number):
    time.sleep(0.005)
    with open(sys.argv[2], "ab", buffering=0) as file:
        file.write(b"%d\n" % number)
    return number * number


def values(face):
    if face == "executor":
        with ProcessPoolExecutor() as executor:
            return sorted(
                future.result()
                for future in as_completed([executor.submit(work, k) for k in range(TASKS)])
            )
    with multiprocessing.Pool() as pool:
        if face == "apply_async":
            return [
                result.get()
                for result in [pool.apply_async(work, (number,)) for number in range(TASKS)]
            ]
        values = getattr(pool, face)(work, range(TASKS))
        return sorted(values) if face == "imap_unordered" else list(values)


print(json.dumps(values(sys.argv[1]) == [number * number for number in range(TASKS)]))
sys.stdout.flush()
assert os.path.exists(sys.argv[2])
