"""Each task gets what its arguments were when it was handed in, though the script goes on to change
them.
"""

from concurrent.futures import ProcessPoolExecutor, wait
from multiprocessing import Pool

import numpy as np


class Model:
    def __init__(self):
        self.level = 0

    def predict(self, x):
        return self.level + x


def total(values):
    return float(np.sum(values))


def first(values):
    return values[0]


if __name__ == "__main__":
    with Pool(2) as pool, ProcessPoolExecutor(2) as executor:
        is_late = (
            "mpipar" not in type(pool).__module__
        )  # multiprocessing takes arguments some time after the call
        model, buffer, values = Model(), np.zeros(40_000), [0]
        results, futures = [], []
        for i in range(4):
            model.level = values[0] = i
            buffer[:] = i
            results += [
                pool.apply_async(total, (buffer,)),
                pool.apply_async(model.predict, (10,)),
                pool.map_async(first, [values, values]),
                pool.map_async(model.predict, [1, 2]),
                pool.starmap_async(max, [(values, [0])]),
            ]
            futures += [executor.submit(total, buffer), executor.submit(model.predict, 1)]
            if is_late:
                wait(futures)
                for result in results:
                    result.wait()
        print([result.get() for result in results], [future.result() for future in futures])
