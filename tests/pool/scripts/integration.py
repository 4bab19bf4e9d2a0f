"""The integral of a function, by trapezes: a part of the interval for each process."""

import math
from multiprocessing import Pool, cpu_count


def f(x):
    return 4.0 / (1.0 + x * x)


def trapezes(function, a, b, n):
    h = (b - a) / n
    return h * (
        math.fsum(function(a + i * h) for i in range(1, n)) + (function(a) + function(b)) / 2
    )


def parallel_integral(function, a, b, parts=8, n=2000):
    width = (b - a) / parts
    pieces = [(function, a + i * width, a + (i + 1) * width, n) for i in range(parts)]
    with Pool(cpu_count()) as pool:
        return math.fsum(pool.starmap(trapezes, pieces))


if __name__ == "__main__":
    print(f"{parallel_integral(f, 0, 1):.12f}")
    print(f"{parallel_integral(math.sin, 0, math.pi):.12f}")
