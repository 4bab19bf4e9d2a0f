"""A lock that only forked processes share: whoever imports the script would have another one."""

from multiprocessing import Lock, Pool

lock = Lock()


def f(x):
    return x + 1


if __name__ == "__main__":
    with lock, Pool(2) as pool:
        print(pool.map(f, range(3)))
