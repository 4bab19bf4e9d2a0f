"""Arrays of some megabytes as arguments and results, also as one global array that is cut by
index.
"""

from multiprocessing.pool import Pool

import numpy as np

SIGNAL = np.sin(np.arange(400_000) / 1000)


def energy(bounds):
    start, stop = bounds
    return float((SIGNAL[start:stop] ** 2).sum())


def scaled(array, factor):
    return array * factor


if __name__ == "__main__":
    bounds = [(start, start + 50_000) for start in range(0, 400_000, 50_000)]
    arrays = [np.full((300, 700), float(i)) for i in range(5)]
    with Pool(2) as pool:
        energies = pool.map(energy, bounds)
        results = pool.starmap(scaled, [(array, 2) for array in arrays])
    print([f"{value:.4f}" for value in energies])
    print([(result.shape, float(result.sum())) for result in results])
    results[0][0, 0] = 5
    print(results[0].sum(), arrays[0].sum())
