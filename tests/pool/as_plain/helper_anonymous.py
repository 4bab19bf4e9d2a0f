import mmap

import numpy as np

memory = mmap.mmap(-1, 80)
view = np.frombuffer(memory)


def write(i):
    memory[i] = i


def set_item(i):
    view[i] = i
