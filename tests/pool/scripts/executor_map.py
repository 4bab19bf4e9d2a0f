"""The map of an executor, with one iterable and with several."""

import math
from concurrent.futures import ProcessPoolExecutor


def distance(x1, y1, x2, y2):
    return math.hypot(x2 - x1, y2 - y1)


def root(x):
    if x < 0:
        raise ValueError(f"no root of {x}")
    return math.sqrt(x)


if __name__ == "__main__":
    with ProcessPoolExecutor() as executor:
        for value in executor.map(distance, [0, 1, 2], [0, 0, 0], [3, 4, 5], [4, 4, 4]):
            print(f"{value:.3f}")
        print(list(executor.map(pow, range(10), [2] * 10, chunksize=3)))
        print(list(executor.map(max, "abc", "bbbbb")))
        try:
            for value in executor.map(root, [4, 9, -1, 16]):
                print(value)
        except ValueError as error:
            print("stopped:", error)
