"""Compound interest for pairs of rate and years: several arguments for each task."""

from itertools import product
from multiprocessing import Pool


def balance(capital, rate, years=10):
    for _ in range(years):
        capital += capital * rate / 100
    return round(capital, 2)


if __name__ == "__main__":
    cases = list(product([1000, 2500], [0.5, 1.25, 4.0], [1, 10, 25]))
    with Pool() as pool:
        balances = pool.starmap(balance, cases, chunksize=4)
        defaults = pool.starmap(balance, [(100, 5), (200, 5, 1)])
        later = pool.starmap_async(balance, zip([1, 2, 3], [10, 10, 10], strict=True))
        later.wait()
        print("ready:", later.ready(), "successful:", later.successful(), "values:", later.get())
    for (capital, rate, years), value in zip(cases, balances, strict=True):
        print(f"{capital:5d} at {rate:4.2f} % for {years:2d} years: {value:10.2f}")
    print(defaults)
