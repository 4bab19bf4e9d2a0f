"""Arrays over memory that processes share are no copies."""

from multiprocessing import Array, Pool, RawArray
from multiprocessing.shared_memory import SharedMemory

import numpy as np

view = np.frombuffer(RawArray("d", 10))
grid = np.ctypeslib.as_array(Array("i", 10).get_obj()).reshape(2, 5)


def fill(i):
    view[i] = i
    grid[i // 5, i % 5] = -i
    numbers[i] = 2 * i


if __name__ == "__main__":
    block = SharedMemory(create=True, size=80)
    numbers = np.ndarray(10, buffer=block.buf)
    with Pool(2) as pool:
        pool.map(fill, range(10))
    print(view, grid, numbers)
    del numbers
    block.close()
    block.unlink()
