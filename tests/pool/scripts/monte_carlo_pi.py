"""Pi by Monte Carlo: a generator with a seed of its own for each task."""

import multiprocessing as mp

import numpy as np


def hits(arguments):
    seed, points = arguments
    rng = np.random.default_rng(seed)
    x, y = rng.random(points), rng.random(points)
    return int(np.count_nonzero(x * x + y * y <= 1))


if __name__ == "__main__":
    tasks, points = 16, 20_000
    with mp.Pool(mp.cpu_count()) as pool:
        counts = pool.map(hits, [(seed, points) for seed in range(tasks)])
        children = np.random.SeedSequence(2024).spawn(tasks)
        others = pool.map(hits, [(child, points) for child in children])
    print("hits:", counts)
    print(f"pi is about {4 * sum(counts) / (tasks * points):.5f}")
    print(f"or about    {4 * sum(others) / (tasks * points):.5f}")
