"""Exceptions of tasks, where results are fetched."""

from multiprocessing import Pool


class NegativeError(ValueError):
    def __init__(self, value, where):
        super().__init__(value, where)
        self.value, self.where = value, where

    def __str__(self):
        return f"{self.value} in {self.where}"


def root(x):
    if x < 0:
        raise NegativeError(x, "root")
    return x**0.5


def describe(x):
    try:
        return f"root is {root(x):.1f}"
    except NegativeError as error:
        return f"no root: {error}"


if __name__ == "__main__":
    with Pool(2) as pool:
        results = [pool.apply_async(root, (x,)) for x in (4, -4, 9)]
        for result in results:
            try:
                print("result:", result.get())
            except NegativeError as error:
                print("error:", error, error.value, error.where, type(error.__cause__).__name__)
        try:
            pool.map(root, [1, -2, 3, 4])
        except ValueError as error:
            print("map:", error)
        values = pool.imap(root, [1, -2, 16])
        print(next(values))
        try:
            next(values)
        except NegativeError as error:
            print("imap:", error)
        print(next(values))
        try:
            pool.apply(int, ("no number",))
        except ValueError as error:
            print("apply:", error)
        print(pool.map(describe, [25, -25]))
