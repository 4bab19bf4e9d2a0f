"""An exception of a task that nobody catches."""

from multiprocessing import Pool


def divide(x):
    return 10 / x


if __name__ == "__main__":
    print("before")
    with Pool(2) as pool:
        print(pool.map(divide, [1, 2, 5]))
        print(pool.map(divide, [2, 1, 0]))
    print("never reached")
