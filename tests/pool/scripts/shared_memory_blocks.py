"""An array in shared memory that two pools write to, one after the other."""

from multiprocessing import Pool
from multiprocessing.shared_memory import SharedMemory

import numpy as np

SIZE = 12


def add(name, index, value):
    memory = SharedMemory(name=name)
    array = np.ndarray((SIZE,), dtype=np.int64, buffer=memory.buf)
    array[index] += value
    del array
    memory.close()


if __name__ == "__main__":
    memory = SharedMemory(create=True, size=8 * SIZE)
    array = np.ndarray((SIZE,), dtype=np.int64, buffer=memory.buf)
    array[:] = 0
    for value in (1, 10):
        with Pool(2) as pool:
            pool.starmap(add, [(memory.name, index, value * index) for index in range(SIZE)])
    print(array.tolist())
    del array
    memory.close()
    memory.unlink()
