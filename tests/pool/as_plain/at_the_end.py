import atexit, sys, threading, time
from multiprocessing import Pool

atexit.register(print, "bye")


class Noisy:
    def __del__(self):
        print("deleted", flush=True)


noisy = Noisy()
N = 4


def f(x):
    return x + N


if __name__ == "__main__":
    with Pool(2) as p:
        print(p.map(f, [1, 2]), flush=True)
