from multiprocessing import Pool
import os

log = open("opens.log", "w")


def f(x):
    return x + 1


if __name__ == "__main__":
    print("hello", file=log, flush=True)
    with Pool(2) as p:
        print(p.map(f, [1, 2]))
    print(open("opens.log").read())
