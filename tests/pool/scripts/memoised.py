"""Functions that remember their results, as tasks and where tasks use them."""

from functools import cache, cached_property, lru_cache, singledispatch
from multiprocessing import Pool


@lru_cache(maxsize=None)  # noqa: UP033 (as it is written everywhere)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@cache
def factorial(n):
    return n * factorial(n - 1) if n else 1


def binomial(n, k):
    return factorial(n) // factorial(k) // factorial(n - k)


@singledispatch
def describe(value):
    return f"something: {value}"


@describe.register
def _(value: int):
    return f"integer: {value}"


class Sample:
    def __init__(self, values):
        self.values = values

    @cached_property
    def mean(self):
        return sum(self.values) / len(self.values)

    @lru_cache  # noqa: B019 (as it is written everywhere)
    def moment(self, order):
        return sum((value - self.mean) ** order for value in self.values) / len(self.values)


def spread(sample):
    return sample.mean, sample.moment(2)


if __name__ == "__main__":
    with Pool(2) as pool:
        print(pool.map(fibonacci, range(30)))
        print(pool.starmap(binomial, [(10, k) for k in range(11)]))
        print(pool.map(spread, [Sample([1, 2, 3, 4]), Sample([2.5])]))
        print(pool.map(describe, [1, "one"]))
