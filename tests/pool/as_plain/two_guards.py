from multiprocessing import Pool

if __name__ == "__main__":
    K = 3


def f(x):
    return x + K


if __name__ == "__main__":
    import math

    def g(x):
        return math.sqrt(x) + f(x)

    class Late:
        def __init__(self, x):
            self.x = x

        def __repr__(self):
            return f"Late({self.x})"

    def h(x):
        return Late(x)

    with Pool(2) as p:
        print(p.map(f, [1, 2]), p.map(g, [1, 4]))
        r = p.map(h, [1])
        print(r, type(r[0]) is Late)
