"""Methods that change their object, and partials that change an argument: each chunk of tasks has
them as they were handed in.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import Pool

import numpy as np


class Simulation:
    def __init__(self):
        self.time = 0
        self.field = np.zeros(20_000)

    def run(self, steps):
        self.time += steps
        self.field += 1
        return self.time, float(self.field[-1])

    def __call__(self, steps):
        self.time += 1
        if steps % 2:
            raise ValueError(self.time)
        return self.time


def append(found, value):
    found.append(value)
    return len(found)


def draw(rng, _):
    return int(rng.integers(1000))


if __name__ == "__main__":
    simulation = Simulation()
    rng = np.random.default_rng(1)
    with Pool(2) as pool:
        print(pool.map(simulation.run, range(40), 1))
        print(list(pool.imap(simulation.run, range(40))))
        print(pool.starmap(simulation.run, [(1,), (2,)], 1))
        print(pool.map(partial(append, []), range(40), 1))
        print(list(pool.imap(rng.normal, range(4))), pool.map([1, 2, 3].pop, [0, 0, 0], 1))
    with ProcessPoolExecutor(2) as executor:
        print(list(executor.map(simulation.run, range(40))))
        print(list(executor.map(partial(draw, rng), range(4))))
        values = executor.map(simulation, range(2))
        print(next(values), repr(executor.submit(simulation, 3).exception()))
        try:
            next(values)
        except ValueError as error:
            print(error)
    print(simulation.time, simulation.field[0])
