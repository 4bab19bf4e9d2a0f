"""A table of values of formulas that are given as text, hence use names that no function does."""

import math
from math import exp, pi, sin
from multiprocessing import Pool

FORMULAS = ["sin(pi * x)", "exp(-x * x)", "math.floor(10 * x) + OFFSET", "square(x) / 2"]
OFFSET = 0.5


def square(x):
    return x * x


def value(formula, x):
    return eval(formula)


def by_name(name, x):
    return globals()[name](x)


if __name__ == "__main__":
    xs = [0, 0.25, 0.5]
    with Pool(2) as pool:
        for formula in FORMULAS:
            values = pool.starmap(value, [(formula, x) for x in xs])
            print(f"{formula:30}", " ".join(f"{value:8.4f}" for value in values))
        print(pool.starmap(by_name, [("square", 3), ("exp", 0), ("sin", 0)]))
    print(f"{math.hypot(3, 4)} {exp(0)} {sin(0)} {pi:.3f}")
