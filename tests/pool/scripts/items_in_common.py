"""Items that hold one object, which tasks change: those of a chunk share it, and no others."""

import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from multiprocessing import Pool

import numpy as np


class Model:
    def __init__(self):
        self.calls, self.known = 0, {}

    def predict(self, x):
        self.calls += 1
        self.known[x % 3] = x
        return self.calls, sorted(self.known.values())


@dataclass
class Walker:
    rng: object
    steps: list = field(default_factory=list)

    def walk(self, x):
        self.steps.append(x)
        return len(self.steps), self.rng.random()


def draw(rng, _=0):
    return round(rng.random(), 6)


def add(values, _=0):
    values += 1
    return float(np.sum(values))


def append(values, x=0):
    values.append(x)
    return len(values)


def predict(model, x=0):
    return model.predict(x)


def walk(walker, x=0):
    return walker.walk(x)


CASES = [
    (draw, lambda: np.random.default_rng(1)),
    (draw, lambda: random.Random(1)),
    (add, lambda: np.zeros(3)),
    (add, lambda: np.zeros(20_000)),
    (append, list),
    (predict, Model),
    (walk, lambda: Walker(random.Random(2))),
    (next, lambda: iter(range(100))),
]

if __name__ == "__main__":
    with Pool(2) as pool, ProcessPoolExecutor(2) as executor:
        for function, make in CASES:
            common, n = make(), 11
            for size in (1, 4):
                print(pool.map(function, [common] * n, size))
                print(pool.map_async(function, [common] * n, size).get())
                print(list(pool.imap(function, [common] * n, size)))
                print(list(pool.imap(function, repeat(common, n), size)))
                print(sorted(pool.imap_unordered(function, [common] * n, size)))
                if function is not next:
                    pairs = [(common, i) for i in range(n)]
                    print(pool.starmap(function, pairs, size))
                    print(list(executor.map(function, repeat(common), range(n), chunksize=size)))
            print([pool.apply(function, (common,)) for _ in range(2)])
            print([executor.submit(function, common).result() for _ in range(2)])
        values, rngs = [], [np.random.default_rng(1), np.random.default_rng(2)]
        walkers = [Walker(rngs[i % 2]) for i in range(9)]
        print(pool.map(partial(walk, x=3), walkers, 1), pool.map(walk, walkers, 5))
        print(pool.starmap(append, [(values, values)] * 5, 2))
        print(pool.map(draw, [np.random.default_rng(i) for i in range(9)]))
        print(values, draw(rngs[0]))
