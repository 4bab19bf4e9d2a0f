"""Methods as tasks: bound methods, class methods, static methods, and objects that can be
called.
"""

from multiprocessing import Pool


class Polynomial:
    degree_limit = 10

    def __init__(self, *coefficients):
        self.coefficients = coefficients

    def __call__(self, x):
        return sum(c * x**i for i, c in enumerate(self.coefficients))

    def __eq__(self, other):
        return isinstance(other, Polynomial) and self.coefficients == other.coefficients

    __hash__ = None

    def derivative_at(self, x):
        return sum(i * c * x ** (i - 1) for i, c in enumerate(self.coefficients) if i)

    @classmethod
    def from_text(cls, text):
        return cls(*map(int, text.split()))

    @staticmethod
    def format(x):
        return f"<{x:+d}>"

    def evaluate_all(self, pool, xs):
        return pool.map(self.derivative_at, xs)


class Cubic(Polynomial):
    def derivative_at(self, x):
        return -super().derivative_at(x)


if __name__ == "__main__":
    polynomial = Polynomial(1, 2, 3)
    with Pool(2) as pool:
        print(pool.map(polynomial, range(5)))
        print(pool.map(polynomial.derivative_at, range(5)))
        print(Cubic(0, 0, 0, 1).evaluate_all(pool, range(5)))
        print(
            [
                p == Polynomial(*p.coefficients)
                for p in pool.map(Polynomial.from_text, ["1 2", "3 4 5"])
            ]
        )
        print([type(p).__name__ for p in pool.map(Cubic.from_text, ["1 2", "3 4 5"])])
        print(pool.map(Polynomial.format, [-1, 0, 1]))
        print(pool.map(str.upper, ["a", "b"]), pool.map("-".join, ["abc", "de"]))
